import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { listingRequest, listPage } from '../listing.ts';
import { decodeToken } from '../paging.ts';
import { listObjectsV2Xml } from '../xml/listings.ts';

/** ListObjectsV2: pages by continuation token. */
export const listObjectsV2: Operation = async (context) => {
  const { request, services } = context;
  const { query } = request;
  const listing = listingRequest(query);
  const continuationToken = query.get('continuation-token') ?? null;
  const startAfterText = query.get('start-after');
  const startAfter = startAfterText === undefined ? null : Buffer.from(startAfterText);
  const after = continuationToken === null ? (startAfter ?? Buffer.alloc(0)) : decodeToken(continuationToken);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  const page = await listPage(services, bucket, listing, after, query.get('fetch-owner') === 'true');
  const body = listObjectsV2Xml({
    ...listing,
    bucket: bucket.name,
    startAfter,
    continuationToken,
    nextContinuationToken: page.next === null ? null : Buffer.from(page.next).toString('base64url'),
    isTruncated: page.next !== null,
    objects: page.objects,
    commonPrefixes: page.commonPrefixes,
  });
  return { status: 200, headers: XML_CONTENT, body };
};
