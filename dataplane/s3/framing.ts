/** Requests that another server between the client and us could read differently than node:http does. */
import type { IncomingMessage } from 'node:http';
import { S3Error } from './errors.ts';
import type { HeaderBag } from './request.ts';

/**
 * Refuses a request unless everybody agrees for whom it is and where it ends: one Host (RFC 9112, section 3.2), and no
 * transfer coding but `chunked`, in HTTP/1.1 (section 6.1). The rest is refused by node:http itself. The connection
 * must end after such a refusal.
 * @throws S3Error InvalidRequest; NotImplemented: another transfer coding
 */
export function requireSoundFraming(headers: HeaderBag, { httpVersion }: IncomingMessage): void {
  if (headers.all('host').length !== 1) {
    throw new S3Error('InvalidRequest', 'A request must have exactly one Host header.');
  }
  const codings = headers.all('transfer-encoding');
  if (codings.length === 0) return;
  if (httpVersion !== '1.1' || headers.has('content-length')) {
    throw new S3Error('InvalidRequest', 'The length of the request body is not clear.');
  }
  if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') {
    throw new S3Error('NotImplemented', undefined, { details: { Header: 'Transfer-Encoding' } });
  }
}
