/** Paging parameters of listings: numbers within limits, keys as bytes, opaque tokens. */
import { S3Error } from './errors.ts';
import type { Query } from './request.ts';

/** max-keys and its kin: a number from 0, cut to `most`; InvalidArgument for anything else. */
export function pageLimit(query: Query, name: string, most: number): number {
  return Math.min(numberParameter(query, name, most), most);
}

/** A number from 0 to 2^31 - 1, `absent` when it is not given or empty; InvalidArgument for anything else. */
export function numberParameter(query: Query, name: string, absent: number): number {
  const text = query.get(name);
  if (text === undefined || text === '') return absent;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 2_147_483_647) {
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
      details: { ArgumentName: name, ArgumentValue: text },
    });
  }
  return Number(text);
}

/** encoding-type: `url` or nothing. */
export function encodingTypeOf(query: Query): 'url' | null {
  const text = query.get('encoding-type');
  if (text === undefined) return null;
  if (text.toLowerCase() === 'url') return 'url';
  throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
    details: { ArgumentName: 'encoding-type', ArgumentValue: text },
  });
}

/** A continuation token is the last key of its page, base64url. InvalidArgument when it is not one of ours. */
export function decodeToken(token: string): Buffer {
  const key = Buffer.from(token, 'base64url');
  if (token === '' || key.toString('base64url') !== token) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      details: { ArgumentName: 'continuation-token' },
    });
  }
  return key;
}

/** The delimiter as bytes; an empty one is none. */
export function delimiterOf(query: Query): Buffer | null {
  const text = query.get('delimiter') ?? '';
  return text === '' ? null : Buffer.from(text);
}
