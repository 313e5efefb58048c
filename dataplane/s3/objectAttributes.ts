/** Content headers and user metadata: from a request into a record, and from a record into an answer. */
import { S3Error } from './errors.ts';
import type { Query } from './request.ts';

/** What a client says about its object and gets back with every read. Names are lower-case, without x-amz-meta-. */
export interface ObjectAttributes {
  readonly contentHeaders: ReadonlyMap<string, string>;
  readonly userMetadata: ReadonlyMap<string, string>;
}

const CONTENT_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
] as const;

const META_PREFIX = 'x-amz-meta-';
/** Names and values of the user metadata, in UTF-8 bytes, as AWS counts them. */
const USER_METADATA_LIMIT_BYTES = 2 * 1024;
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

/**
 * Reads the attributes from (lower-case name, value) pairs: headers, or the fields of a form. Repeated user metadata
 * is joined with commas. MetadataTooLarge above 2 KiB.
 */
export function objectAttributes(entries: Iterable<readonly [string, string]>): ObjectAttributes {
  const contentHeaders = new Map<string, string>();
  const userMetadata = new Map<string, string>();
  for (const [name, value] of entries) {
    if (name.startsWith(META_PREFIX)) {
      const metaName = name.slice(META_PREFIX.length);
      const before = userMetadata.get(metaName);
      userMetadata.set(metaName, before === undefined ? value : `${before},${value}`);
    } else if (CONTENT_HEADERS.some((known) => known === name)) {
      contentHeaders.set(name, value);
    }
  }
  const encoding = withoutAwsChunked(contentHeaders.get('content-encoding') ?? '');
  if (encoding === '') contentHeaders.delete('content-encoding');
  else contentHeaders.set('content-encoding', encoding);
  if ((contentHeaders.get('content-type') ?? '') === '')
    contentHeaders.set('content-type', DEFAULT_CONTENT_TYPE);
  let bytes = 0;
  for (const [name, value] of userMetadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  if (bytes > USER_METADATA_LIMIT_BYTES) throw new S3Error('MetadataTooLarge');
  return { contentHeaders, userMetadata };
}

/** `aws-chunked` frames the request; it is no property of the object. The rest stays as it was sent, blanks and all. */
function withoutAwsChunked(encoding: string): string {
  return encoding
    .split(',')
    .filter((token) => token.trim().toLowerCase() !== 'aws-chunked')
    .join(',')
    .trim();
}

/** The answer's headers for these attributes. `response-*` query parameters override what was stored. */
export function attributeHeaders(attributes: ObjectAttributes, query: Query): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of attributes.contentHeaders) headers[name] = value;
  for (const [name, value] of attributes.userMetadata) headers[META_PREFIX + name] = value;
  for (const name of CONTENT_HEADERS) {
    const override = query.get(`response-${name}`);
    if (override === undefined) continue;
    if (!isHeaderValue(override))
      throw new S3Error('InvalidArgument', `response-${name} is not a header value`);
    headers[name] = override;
  }
  return headers;
}

/** Overrides come from the query: a line break in one would let a link write headers of its own. */
function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
