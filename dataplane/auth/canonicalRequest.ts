import type { HeaderBag } from '../s3/request.ts';

/** Parts of a request that SigV4 signs. */
export interface SignedRequest {
  readonly method: string;
  /** Already in canonical form: see `canonicalPaths`. */
  readonly path: string;
  /** As sent, without the '?'. */
  readonly rawQuery: string;
  readonly headers: HeaderBag;
  /** Lower-case names in the order that the client declared. */
  readonly signedHeaders: readonly string[];
  /** What x-amz-content-sha256 says, as sent. */
  readonly payloadHash: string;
}

/** Source: S3 API, "Create a canonical request". Characters of header values are latin1-decoded bytes. */
export function canonicalRequest(request: SignedRequest): string {
  const headerLines = request.signedHeaders.map((name) => `${name}:${foldedValue(request.headers, name)}\n`);
  return [
    request.method,
    request.path,
    canonicalQuery(request.rawQuery),
    headerLines.join(''),
    request.signedHeaders.join(';'),
    request.payloadHash,
  ].join('\n');
}

/**
 * The forms of the path that a client may have signed, most usual first: the path as it was sent, and where that
 * differs, its percent-encoding normalised as S3 documents it (only unreserved characters and '/' stay bare).
 * Both name the same key, because %2F is never turned into a separator and nothing is encoded twice.
 */
export function canonicalPaths(rawPath: string): readonly string[] {
  const sent = rawPath === '' ? '/' : rawPath;
  const normalised = sent.split('/').map(encodeUnreserved).join('/');
  return normalised === sent ? [sent] : [sent, normalised];
}

/** Decoded, encoded anew and sorted by encoded name, then value. The signature itself is left out. */
export function canonicalQuery(rawQuery: string): string {
  const parameters: (readonly [string, string])[] = [];
  for (const parameter of rawQuery.split('&')) {
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    const name = encodeQuery(equals < 0 ? parameter : parameter.slice(0, equals));
    if (name.toLowerCase() === 'x-amz-signature') continue;
    parameters.push([name, equals < 0 ? '' : encodeQuery(parameter.slice(equals + 1))]);
  }
  // Not by the joined text: '-' and '.' sort below '='.
  parameters.sort((a, b) => compareText(a[0], b[0]) || compareText(a[1], b[1]));
  return parameters.map(([name, value]) => `${name}=${value}`).join('&');
}

/** Values of a repeated header joined by ',', each trimmed, runs of blanks made one space. */
export function foldedValue(headers: HeaderBag, name: string): string {
  // Only space and tab: \s would also eat 0xA0, which is half a UTF-8 character in a latin1-decoded value.
  return headers
    .all(name)
    .map((value) => value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, ''))
    .join(',');
}

function encodeQuery(text: string): string {
  return encodeUnreserved(text.replaceAll('+', '%20'));
}

function encodeUnreserved(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~]/g, (found: string, hex: string | undefined) => {
    const octet = hex === undefined ? found.charCodeAt(0) : Number.parseInt(hex, 16);
    const character = String.fromCharCode(octet);
    if (/[A-Za-z0-9\-._~]/.test(character)) return character;
    return `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  });
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
