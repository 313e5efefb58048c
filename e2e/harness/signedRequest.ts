/**
 * One S3 request with every byte under the test's control, signed with SigV4 by code of its own: headers in any
 * number, raw paths, queries, trailers, bodies that stop early.
 */
import { createHash, createHmac } from 'node:crypto';
import { connect } from 'node:net';
import type { S3Access } from './clients.ts';

export interface RawRequest {
  readonly method: string;
  /** As it goes over the wire, without the query. */
  readonly path: string;
  /** Sent and signed in this order after encoding; a value of null is a bare name. */
  readonly query?: readonly (readonly [string, string | null])[];
  /** Sent as given, repeats included; every x-amz-* and content-md5 is signed. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Buffer;
  /** The x-amz-content-sha256 header; default: the body's own hash. */
  readonly payloadHash?: string;
  /** Put the signature into the query instead of the headers. */
  readonly presigned?: boolean;
  /** When it is signed, in milliseconds since 1970; default: now. */
  readonly signedMs?: number;
  /** Milliseconds added to the clock that signs. */
  readonly clockOffsetMs?: number;
  /** Sign with this secret instead of the access's own. */
  readonly secretAccessKey?: string;
  readonly accessKeyId?: string;
  readonly region?: string;
  /** Leave out content-length (a test adds transfer-encoding by itself). */
  readonly withoutLength?: boolean;
  /** What goes over the wire as the body instead of `body`; may be shorter or framed. */
  readonly wireBody?: Buffer;
  /** After the head, close our side without waiting for an answer to `expect`. */
  readonly halfClose?: boolean;
}

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The Code of an error document, '' when there is none. */
  readonly code: string;
  /** True when the connection ended before the answer was complete. */
  readonly cut: boolean;
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface Signed {
  /** Request line and headers, up to and with the blank line. */
  readonly head: string;
  readonly signature: string;
  readonly signingKey: Buffer;
  readonly timestamp: string;
  readonly scope: string;
}

/** Signs a request; the parts are given back so that a test can sign chunks itself. */
export function sign(access: S3Access, request: RawRequest): Signed {
  const url = new URL(access.endpoint);
  const timestamp = new Date((request.signedMs ?? Date.now()) + (request.clockOffsetMs ?? 0))
    .toISOString()
    .replace(/[-:]|\.\d{3}/g, '');
  const date = timestamp.slice(0, 8);
  const scope = `${date}/${request.region ?? access.region}/s3/aws4_request`;
  const body = request.body ?? Buffer.alloc(0);
  const payloadHash = request.payloadHash ?? (request.presigned === true ? 'UNSIGNED-PAYLOAD' : sha256(body));
  const accessKeyId = request.accessKeyId ?? access.accessKeyId;

  const headers: [string, string][] = [
    ['host', url.host],
    ...(request.headers ?? []).map(([n, v]): [string, string] => [n, v]),
  ];
  const query: [string, string | null][] = (request.query ?? []).map(([n, v]): [string, string | null] => [
    n,
    v,
  ]);
  if (request.presigned !== true)
    headers.push(['x-amz-date', timestamp], ['x-amz-content-sha256', payloadHash]);
  const signedNames = [
    ...new Set(
      headers
        .map(([name]) => name.toLowerCase())
        .filter((n) => n === 'host' || n === 'content-md5' || n.startsWith('x-amz-')),
    ),
  ].toSorted();
  if (request.presigned === true) {
    query.push(
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', `${accessKeyId}/${scope}`],
      ['X-Amz-Date', timestamp],
      ['X-Amz-Expires', '900'],
      ['X-Amz-SignedHeaders', signedNames.join(';')],
    );
  }
  // By name and then by value: of two names, the one that the other begins with is first.
  const canonicalQuery = query
    .map(([name, value]) => [encode(name), encode(value ?? '')] as const)
    .toSorted(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)))
    .map((pair) => pair.join('='))
    .join('&');
  const canonicalHeaders = signedNames.map((name) => {
    const values = headers
      .filter(([other]) => other.toLowerCase() === name)
      .map(([, value]) => value.trim().replace(/ +/g, ' '));
    return `${name}:${values.join(',')}\n`;
  });
  const canonical = [
    request.method,
    request.path,
    canonicalQuery,
    canonicalHeaders.join(''),
    signedNames.join(';'),
    payloadHash,
  ].join('\n');
  const secret = request.secretAccessKey ?? access.secretAccessKey;
  const signingKey = ['s3', 'aws4_request'].reduce(
    (key, part) => hmac(key, part),
    hmac(hmac(`AWS4${secret}`, date), request.region ?? access.region),
  );
  // What is signed are the bytes of the wire, one per character.
  const hash = sha256(Buffer.from(canonical, 'latin1'));
  const signature = hmac(signingKey, ['AWS4-HMAC-SHA256', timestamp, scope, hash].join('\n')).toString('hex');
  if (request.presigned === true) query.push(['X-Amz-Signature', signature]);
  else {
    headers.push([
      'authorization',
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signedNames.join(';')}, Signature=${signature}`,
    ]);
  }
  const wire = request.wireBody ?? body;
  const named = headers.some(([name]) => name.toLowerCase() === 'content-length');
  if (
    request.withoutLength !== true &&
    !named &&
    (wire.length > 0 || request.method === 'PUT' || request.method === 'POST')
  ) {
    headers.push(['content-length', String(wire.length)]);
  }
  const search = query
    .map(([name, value]) => (value === null ? encode(name) : `${encode(name)}=${encode(value)}`))
    .join('&');
  const target = search === '' ? request.path : `${request.path}?${search}`;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = `${request.method} ${target} HTTP/1.1\r\n${lines}connection: close\r\n\r\n`;
  return { head, signature, signingKey, timestamp, scope };
}

/** Signs and sends a request on a connection of its own and reads the answer to its end. */
export async function send(access: S3Access, request: RawRequest): Promise<RawAnswer> {
  const { head } = sign(access, request);
  const wire = request.wireBody ?? request.body ?? Buffer.alloc(0);
  return await exchange(access.endpoint, Buffer.concat([Buffer.from(head, 'latin1'), wire]), {
    method: request.method,
    halfClose: request.halfClose ?? false,
  });
}

/** Sends these bytes as they are and reads one answer (100 Continue is passed over). */
export function exchange(
  endpoint: string,
  bytes: Buffer,
  options: { readonly method: string; readonly halfClose?: boolean },
): Promise<RawAnswer> {
  const url = new URL(endpoint);
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true });
    socket.on('connect', () => {
      socket.write(bytes);
      if (options.halfClose === true) socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that refuses early may reset while we still send; what it answered counts.
      if (received.length === 0 && error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      try {
        resolve(parseAnswer(Buffer.concat(received), options.method));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

function parseAnswer(bytes: Buffer, method: string): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return { status: 0, headers: {}, body: Buffer.alloc(0), code: '', cut: true };
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  if (status === 100) return parseAnswer(bytes.subarray(end + 4), method);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const rest = bytes.subarray(end + 4);
  const chunked = headers['transfer-encoding'] === 'chunked';
  const body = chunked ? dechunk(rest) : rest;
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  const expected = Number(headers['content-length'] ?? 0);
  const cut = chunked
    ? !rest.toString('latin1').endsWith('0\r\n\r\n')
    : !bodiless && body.length !== expected;
  const code = /<Code>([^<]*)<\/Code>/.exec(body.toString('utf8'))?.[1] ?? '';
  return { status, headers, body, code, cut };
}

function dechunk(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n', at);
    const size = end < 0 ? 0 : Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (!(size > 0)) break;
    pieces.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(pieces);
}
