/**
 * Where a request goes: bucket, key and query, from the request line and Host exactly as they arrived.
 *
 * Owns percent-decoding (once, to bytes) and the two addressing styles. It must not know operations, and it never
 * normalises: `..`, `//` and `%2f` are part of a key like any other bytes.
 */
import { isUtf8 } from 'node:buffer';
import { S3Error } from './errors.ts';
import { Query, type Target } from './request.ts';

/** Longest key in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

/**
 * Parses the target of one request.
 *
 * @param rawUrl the request target as node:http gives it: origin-form or absolute-form, each byte one character
 * @param host the Host header; undefined when there was none
 * @param domains host names (lower case, a port is ignored) under which `<bucket>.<domain>` is virtual-host style
 * @throws S3Error InvalidURI: not a request target, bad percent-encoding, ill-formed UTF-8; KeyTooLongError;
 *   InvalidBucketName: an empty bucket name
 */
export function parseTarget(
  method: string,
  rawUrl: string,
  host: string | undefined,
  domains: readonly string[],
): Target {
  const origin = originForm(rawUrl, host);
  const mark = origin.indexOf('?');
  const rawPath = mark < 0 ? origin : origin.slice(0, mark);
  const rawQuery = mark < 0 ? '' : origin.slice(mark + 1);
  const query = parseQuery(rawQuery);
  const hosted = bucketOfHost(host, domains);
  if (hosted !== null) {
    return { method, rawPath, rawQuery, query, bucket: hosted, key: decodeKey(rawPath.slice(1)) };
  }
  if (rawPath === '/') return { method, rawPath, rawQuery, query, bucket: null, key: null };
  const slash = rawPath.indexOf('/', 1);
  const bucket = percentDecode(slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash)).toString('utf8');
  if (bucket === '') throw new S3Error('InvalidBucketName');
  return {
    method,
    rawPath,
    rawQuery,
    query,
    bucket,
    key: slash < 0 ? null : decodeKey(rawPath.slice(slash + 1)),
  };
}

/**
 * Decodes `%XX` once; every other character is the byte of its code.
 *
 * @throws S3Error InvalidURI: a `%` without two hex digits, a character above U+00FF, ill-formed UTF-8
 */
export function percentDecode(text: string): Buffer {
  const bytes = Buffer.alloc(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let byte = text.charCodeAt(at);
    if (byte === PERCENT) {
      const digits = text.slice(at + 1, at + 3);
      if (!HEX_PAIR.test(digits)) throw new S3Error('InvalidURI');
      byte = Number.parseInt(digits, 16);
      at += 2;
    }
    if (byte > 0xff) throw new S3Error('InvalidURI');
    bytes[length++] = byte;
  }
  const decoded = bytes.subarray(0, length);
  if (!isUtf8(decoded)) throw new S3Error('InvalidURI');
  return decoded;
}

/**
 * Whether a general-purpose bucket may have that name (S3 user guide, "General purpose bucket naming rules"):
 * 3 to 63 of a-z, 0-9, `.` and `-`; labels begin and end with a letter or digit; not an IPv4 address; none of
 * S3's reserved prefixes and suffixes.
 */
export function isBucketName(name: string): boolean {
  if (name.length < 3 || name.length > 63) return false;
  if (!name.split('.').every((label) => LABEL.test(label))) return false;
  if (IPV4_SHAPE.test(name)) return false;
  return (
    !RESERVED_PREFIXES.some((it) => name.startsWith(it)) && !RESERVED_SUFFIXES.some((it) => name.endsWith(it))
  );
}

const PERCENT = 0x25;
const HEX_PAIR = /^[0-9a-f]{2}$/i;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/is;
/** What a request target cannot hold unencoded: controls, space and the start of a fragment (RFC 9112, section 3.2). */
const NOT_IN_TARGET = /[\u0000-\u0020\u007f#]/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const IPV4_SHAPE = /^\d+\.\d+\.\d+\.\d+$/;
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/**
 * An absolute-form target must name the Host that was sent (RFC 9112, section 3.2.2): signatures cover Host, and a
 * bucket taken from elsewhere would not be the one that was signed for.
 */
function originForm(rawUrl: string, host: string | undefined): string {
  if (NOT_IN_TARGET.test(rawUrl)) throw new S3Error('InvalidURI');
  if (rawUrl.startsWith('/')) return rawUrl;
  const absolute = ABSOLUTE_FORM.exec(rawUrl);
  const authority = absolute?.[1] ?? '';
  if (authority === '' || authority.toLowerCase() !== host?.toLowerCase()) throw new S3Error('InvalidURI');
  const rest = absolute?.[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The bucket that Host names, by the longest domain that fits; null for path style. */
function bucketOfHost(host: string | undefined, domains: readonly string[]): string | null {
  if (host === undefined) return null;
  const name = hostName(host);
  const longestFirst = domains.map(hostName).sort((a, b) => b.length - a.length);
  for (const domain of longestFirst) {
    if (name === domain) return null;
    if (!name.endsWith(`.${domain}`)) continue;
    const bucket = name.slice(0, -domain.length - 1);
    if (bucket === '') throw new S3Error('InvalidBucketName');
    return bucket;
  }
  return null;
}

/** Without port and root dot, in lower case. The colons of an IPv6 literal stand in brackets. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

function decodeKey(raw: string): Buffer | null {
  if (raw === '') return null;
  const key = percentDecode(raw);
  if (key.length > MAX_KEY_BYTES) {
    const details = { Size: String(key.length), MaxSizeAllowed: String(MAX_KEY_BYTES) };
    throw new S3Error('KeyTooLongError', undefined, { details });
  }
  return key;
}

function parseQuery(rawQuery: string): Query {
  const entries: [string, string][] = [];
  for (const piece of rawQuery.split('&')) {
    if (piece === '') continue;
    const equals = piece.indexOf('=');
    const name = equals < 0 ? piece : piece.slice(0, equals);
    const value = equals < 0 ? '' : piece.slice(equals + 1);
    entries.push([decodeQueryText(name), decodeQueryText(value)]);
  }
  return new Query(entries);
}

function decodeQueryText(text: string): string {
  return percentDecode(text.replaceAll('+', ' ')).toString('utf8');
}
