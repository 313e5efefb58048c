/**
 * One S3 request as the operations see it: parsed, routed, authenticated; its body still unread.
 */
import type { KeyObject } from 'node:crypto';
import type { Rights } from '../authorization/grants.ts';
import type { EncryptionHeaders } from '../headers/rules.ts';
import type { OperationName } from './router.ts';

/** Request headers as they arrived: names folded to lower case, order and repeats kept. */
export class HeaderBag {
  readonly entries: readonly (readonly [string, string])[];

  /** `raw` is node:http's rawHeaders or rawTrailers: name, value, name, value. Values are latin1-decoded bytes. */
  constructor(raw: readonly string[]) {
    const entries: [string, string][] = [];
    for (let i = 0; i + 1 < raw.length; i += 2)
      entries.push([(raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '']);
    this.entries = entries;
  }

  /** The first value of that (lower-case) name. */
  get(name: string): string | undefined {
    return this.entries.find((entry) => entry[0] === name)?.[1];
  }

  all(name: string): string[] {
    return this.entries.filter((entry) => entry[0] === name).map((entry) => entry[1]);
  }

  has(name: string): boolean {
    return this.entries.some((entry) => entry[0] === name);
  }
}

/** Query parameters in the order sent, percent-decoded ('+' is a space); a name without '=' has the value ''. */
export class Query {
  readonly entries: readonly (readonly [string, string])[];

  constructor(entries: readonly (readonly [string, string])[]) {
    this.entries = entries;
  }

  get(name: string): string | undefined {
    return this.entries.find((entry) => entry[0] === name)?.[1];
  }

  has(name: string): boolean {
    return this.entries.some((entry) => entry[0] === name);
  }
}

/** Who asks: the root credentials, or an access key. */
export interface Principal {
  readonly accessKeyId: string;
  /** Canonical user id: 64 hex characters. */
  readonly ownerId: string;
  readonly rights: Rights;
}

/** What SigV4 context a signed aws-chunked body needs to verify its chunks. */
export interface ChunkSigning {
  /** HMAC key of the credential scope; a KeyObject, which makes an HMAC five times cheaper than bytes do. */
  readonly signingKey: KeyObject;
  readonly timestamp: string;
  readonly scope: string;
  /** Signature of the request itself: the first chunk's predecessor. */
  readonly seedSignature: string;
}

/** How the body is framed and what proves it, as x-amz-content-sha256 said. */
export type PayloadForm =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly expected: Buffer }
  | { readonly kind: 'aws-chunked'; readonly signing: ChunkSigning | null; readonly trailer: boolean };

/** Where a request goes: parsed from the raw URL and Host before anything else. */
export interface Target {
  readonly method: string;
  /** Path as sent, undecoded, without the query; what SigV4 signs. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** null: the service itself. */
  readonly bucket: string | null;
  /** Object key bytes after one percent-decoding; null: the bucket itself. */
  readonly key: Buffer | null;
  readonly query: Query;
}

export interface S3Request extends Target {
  /** x-amz-request-id */
  readonly id: string;
  readonly receivedMs: number;
  readonly headers: HeaderBag;
  readonly operation: OperationName;
  readonly principal: Principal;
  readonly payload: PayloadForm;
  /** Encryption headers from headers, query and announced trailers. */
  readonly encryption: EncryptionHeaders;
}
