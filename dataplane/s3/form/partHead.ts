/** The heads in multipart/form-data: the boundary of the whole, the name and file name of each part (RFC 7578). */
import { S3Error } from '../errors.ts';

/** What the Content-Disposition of a part says; text as UTF-8. */
export interface PartHead {
  /** Lower-case, as S3 compares the names of fields. */
  readonly name: string;
  /** Without any folders in front; '' when there is none. */
  readonly filename: string;
}

const MAX_BOUNDARY_LENGTH = 70;
const PARAMETER = /;\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s;"]+))\s*/y;

/** The boundary that a Content-Type of multipart/form-data announces. @throws S3Error MalformedPOSTRequest */
export function boundaryOf(contentType: string | undefined): string {
  const boundary = parameters(contentType ?? '', 'multipart/form-data')?.get('boundary') ?? '';
  if (boundary !== '' && boundary.length <= MAX_BOUNDARY_LENGTH) return boundary;
  throw new S3Error('MalformedPOSTRequest');
}

/**
 * Reads a Content-Disposition, given as bytes in latin1. A part that cannot be named is an error: skipped, it could
 * hide what somebody else reads there.
 *
 * @throws S3Error MalformedPOSTRequest
 */
export function partHead(contentDisposition: string | undefined): PartHead {
  const found = parameters(contentDisposition ?? '', 'form-data');
  const name = found?.get('name') ?? '';
  if (found === null || name === '') throw new S3Error('MalformedPOSTRequest');
  const path = utf8(found.get('filename') ?? '');
  return { name: utf8(name).toLowerCase(), filename: path.slice(path.search(/[^/\\]*$/)) };
}

/** The parameters of a header by lower-case name; null when it is not of that type, malformed or repeats one. */
function parameters(header: string, type: string): Map<string, string> | null {
  const text = header.trim();
  const semicolon = text.indexOf(';');
  const given = (semicolon < 0 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  if (given !== type) return null;
  const found = new Map<string, string>();
  const pattern = new RegExp(PARAMETER);
  let at = semicolon < 0 ? text.length : semicolon;
  while (at < text.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || found.has(name)) return null;
    // Browsers do not escape the backslashes of a path: only what must be escaped is unescaped.
    found.set(name, match[3] ?? (match[2] ?? '').replace(/\\(["\\])/g, '$1'));
    at = pattern.lastIndex;
  }
  return found;
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
