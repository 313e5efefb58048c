/**
 * S3 requests as any client makes them, with signature version 4 (SigV4, "Signature calculations for the Authorization
 * header"). Small on purpose: paths without special characters, no query.
 */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface S3Access {
  readonly endpoint: URL;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** PEM; undefined: the authorities that Node.js knows. */
  readonly ca: string | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const sha256 = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Headers of the signed request. `path` is /bucket/key. */
export function signedHeaders(
  access: S3Access,
  { method, path, body, headers = {} }: S3Request,
  nowMs: number,
): Record<string, string> {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const scope = `${time.slice(0, 8)}/${access.region}/s3/aws4_request`;
  const signed: Record<string, string> = {
    ...headers,
    host: access.endpoint.host,
    'x-amz-content-sha256': sha256(body),
    'x-amz-date': time,
  };
  const names = Object.keys(signed).toSorted();
  const lines = names.map((name) => `${name}:${signed[name]}\n`).join('');
  const canonical = [method, path, '', lines, names.join(';'), sha256(body)].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<Buffer | string>(hmac, `AWS4${access.secretAccessKey}`);
  const credential = `Credential=${access.accessKeyId}/${scope}`;
  const signature = hmac(key, toSign).toString('hex');
  return {
    ...signed,
    authorization: `AWS4-HMAC-SHA256 ${credential},SignedHeaders=${names.join(';')},Signature=${signature}`,
  };
}

export interface S3Request {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** /bucket/key */
  readonly path: string;
  readonly body: Buffer;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request and reads its whole answer. Rejects when there is none. */
export async function s3Request(access: S3Access, wanted: S3Request, nowMs: number): Promise<S3Answer> {
  const url = new URL(wanted.path, access.endpoint);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = send(url, {
    method: wanted.method,
    headers: { ...signedHeaders(access, wanted, nowMs), 'content-length': wanted.body.length },
    ca: access.ca,
    timeout: 30_000,
  });
  request.on('timeout', () => request.destroy(new Error('the S3 port did not answer for 30 seconds')));
  const answered = once(request, 'response');
  request.end(wanted.body);
  const [response] = (await answered) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
  return {
    status: response.statusCode ?? 0,
    headers: Object.fromEntries(headers),
    body: Buffer.concat(pieces),
  };
}
