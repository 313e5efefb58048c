import { S3Error } from '../errors.ts';
import type { HeaderBag } from '../request.ts';
import { decodeBase64 } from './base64.ts';

/** The 16 bytes of Content-MD5; null: not given. @throws S3Error InvalidDigest. */
export function requestedContentMd5(headers: HeaderBag): Buffer | null {
  if (!headers.has('content-md5')) return null;
  const value = headers.all('content-md5').join(',');
  const md5 = decodeBase64(value, 16);
  if (md5 !== null) return md5;
  throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.', {
    details: { 'Content-MD5': value },
  });
}
