/** What ListObjects and ListObjectsV2 share: a page of current objects with their ETags in clear. */
import type { KeyObject } from 'node:crypto';
import { bucketKey } from '../buckets/bucketKeys.ts';
import { maskEtag } from '../crypto/listEtag.ts';
import type { BucketDocument, ListedObject, ObjectPage } from '../metadata/metadata.ts';
import { etagText } from '../objects/version.ts';
import { delimiterOf, encodingTypeOf, pageLimit } from './paging.ts';
import type { Query } from './request.ts';
import type { S3Services } from './services.ts';
import type { ListingEntry } from './xml/listings.ts';

const MAX_KEYS = 1000;

export interface ListingRequest {
  readonly prefix: Buffer;
  readonly delimiter: Buffer | null;
  readonly maxKeys: number;
  readonly encodingType: 'url' | null;
}

/** The parameters that both versions have. */
export function listingRequest(query: Query): ListingRequest {
  return {
    prefix: Buffer.from(query.get('prefix') ?? ''),
    delimiter: delimiterOf(query),
    maxKeys: pageLimit(query, 'max-keys', MAX_KEYS),
    encodingType: encodingTypeOf(query),
  };
}

export interface ListingPage extends Pick<ObjectPage, 'commonPrefixes' | 'next'> {
  readonly objects: readonly ListingEntry[];
}

/** One page after `after`. Without the bucket key a listing of encrypted objects is a KmsError, as a GET is. */
export async function listPage(
  services: S3Services,
  bucket: BucketDocument,
  request: ListingRequest,
  after: Uint8Array,
  showOwner: boolean,
): Promise<ListingPage> {
  if (request.maxKeys === 0) return { objects: [], commonPrefixes: [], next: null };
  const { prefix, delimiter, maxKeys: limit } = request;
  const page = await services.metadata.listObjects({
    bucketUid: bucket.bucketUid,
    prefix,
    delimiter,
    after,
    limit,
  });
  const listKeys = new Map<number, KeyObject>();
  for (const { n } of page.objects) {
    if (n === null || listKeys.has(n)) continue;
    listKeys.set(n, services.listKeys.of(await bucketKey(services, bucket.bucketUid, n, 'read')));
  }
  return {
    commonPrefixes: page.commonPrefixes,
    next: page.next,
    objects: page.objects.map((object) => ({
      key: object.key,
      lastModifiedMs: object.lastModifiedMs,
      etag: etagText(clearEtag(object, listKeys), object.etagParts),
      sizeBytes: object.size,
      ownerId: showOwner ? bucket.ownerId : null,
    })),
  };
}

function clearEtag(object: ListedObject, listKeys: ReadonlyMap<number, KeyObject>): Uint8Array {
  const key = object.n === null ? undefined : listKeys.get(object.n);
  return key === undefined || object.wrapSalt === null
    ? object.etag
    : maskEtag(key, object.wrapSalt, object.etag);
}
