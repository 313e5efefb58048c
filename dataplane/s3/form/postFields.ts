/** What the fields of a form upload say: S3's names, `${filename}`, and the same things that headers say elsewhere. */
import { isUtf8 } from 'node:buffer';
import { isEncryptionHeader } from '../../headers/rules.ts';
import { S3Error } from '../errors.ts';
import { HeaderBag } from '../request.ts';
import { MAX_KEY_BYTES } from '../target.ts';
import type { FormField } from './formReader.ts';

/** Fields under other names than the headers that mean the same. */
const HEADER_OF_FIELD: ReadonlyMap<string, string> = new Map([
  ['acl', 'x-amz-acl'],
  ['tagging', 'x-amz-tagging'],
]);
/** Fields that become headers of every later read must be able to be headers. */
const STORED = /^(?:cache-control|content-(?:disposition|encoding|language|type)|expires|x-amz-meta-.*)$/s;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export interface PostFields {
  /** By lower-case name, `${filename}` replaced, as UTF-8: what a policy speaks of. */
  readonly texts: ReadonlyMap<string, string>;
  /** The same as if they were headers. */
  readonly headers: HeaderBag;
}

/**
 * Reads the fields before the file.
 *
 * @throws S3Error MalformedPOSTRequest: not UTF-8; InvalidArgument: a field that is given twice or cannot be kept
 */
export function postFields(fields: readonly FormField[], filename: string): PostFields {
  const texts = new Map<string, string>();
  const raw: string[] = [];
  for (const { name, value } of fields) {
    if (!isUtf8(value)) throw new S3Error('MalformedPOSTRequest');
    // The header rules have their own word for a repeated encryption field.
    if (texts.has(name) && !isEncryptionHeader(name))
      throw invalid(name, 'The field must not be given more than once.');
    const text = value.toString('utf8').replaceAll('${filename}', () => filename);
    if (!texts.has(name)) texts.set(name, text);
    const headerValue = Buffer.from(text).toString('latin1').trim();
    if (STORED.test(name) && !(HEADER_NAME.test(name) && HEADER_VALUE.test(headerValue))) {
      throw invalid(name, 'The field cannot be kept as a header.');
    }
    raw.push(HEADER_OF_FIELD.get(name) ?? name, headerValue);
  }
  return { texts, headers: new HeaderBag(raw) };
}

/** The key of the new object. @throws S3Error InvalidArgument, KeyTooLongError */
export function postKey({ texts }: PostFields): Buffer {
  const text = texts.get('key');
  if (text === undefined) {
    throw invalid(
      'key',
      "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
    );
  }
  const key = Buffer.from(text);
  if (key.length === 0) throw invalid('key', 'User key must have a length greater than 0.');
  if (key.length <= MAX_KEY_BYTES) return key;
  const details = { Size: String(key.length), MaxSizeAllowed: String(MAX_KEY_BYTES) };
  throw new S3Error('KeyTooLongError', undefined, { details });
}

/** What a successful upload is answered with. */
export type PostSuccess =
  | { readonly kind: 'status'; readonly status: 200 | 201 | 204 }
  | { readonly kind: 'redirect'; readonly url: URL };

/** Reads success_action_redirect (or redirect) and success_action_status; what cannot be used is as if it were not there. */
export function postSuccess({ texts }: PostFields): PostSuccess {
  const redirect = texts.get('success_action_redirect') ?? texts.get('redirect') ?? '';
  const url = URL.parse(redirect);
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:'))
    return { kind: 'redirect', url };
  const status = texts.get('success_action_status');
  return { kind: 'status', status: status === '200' ? 200 : status === '201' ? 201 : 204 };
}

function invalid(ArgumentName: string, message: string): S3Error {
  return new S3Error('InvalidArgument', message, { details: { ArgumentName } });
}
