import type { HeaderBag } from '../s3/request.ts';
import { foldedValue } from './canonicalRequest.ts';

/** When a request was signed. */
export interface SigningTime {
  /** Basic ISO 8601, `yyyyMMdd'T'HHmmss'Z'`: what the string to sign carries. */
  readonly timestamp: string;
  /** Unix milliseconds. */
  readonly ms: number;
}

/** Reads `20130524T000000Z`; null when it is anything else or no such moment exists. */
export function parseTimestamp(timestamp: string): SigningTime | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date.UTC lets 30 February run on into March; such a time is nobody's clock.
  if (hour > 23 || minute > 59 || second > 59) return null;
  if (new Date(ms).getUTCMonth() !== month - 1) return null;
  return { timestamp, ms };
}

/** The signing time of a request signed in its headers: x-amz-date, else Date; null when neither is valid. */
export function headerSigningTime(headers: HeaderBag): SigningTime | null {
  if (headers.has('x-amz-date')) return parseTimestamp(foldedValue(headers, 'x-amz-date'));
  const date = foldedValue(headers, 'date');
  const basic = parseTimestamp(date);
  if (basic !== null) return basic;
  // The HTTP date of RFC 9110, section 5.6.7, and nothing else that Date.parse would guess at. RFC 5322 writes UTC as
  // +0000, and as -0000 when no place is meant: so does botocore when its caller set a Date.
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (GMT|[+-]0000)$/.test(date)) return null;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? null : { timestamp: formatTimestamp(ms), ms };
}

function formatTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}

/** Extended ISO 8601 without fractions, as S3 writes times into error documents. */
export function formatErrorTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
