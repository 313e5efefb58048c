import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { listingRequest, listPage } from '../listing.ts';
import { listObjectsXml } from '../xml/listings.ts';

/** ListObjects, version 1: pages by marker. */
export const listObjects: Operation = async (context) => {
  const { request, services } = context;
  const listing = listingRequest(request.query);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  const marker = Buffer.from(request.query.get('marker') ?? '');
  const page = await listPage(services, bucket, listing, marker, true);
  const body = listObjectsXml({
    ...listing,
    bucket: bucket.name,
    marker,
    nextMarker: listing.delimiter === null ? null : page.next,
    isTruncated: page.next !== null,
    objects: page.objects,
    commonPrefixes: page.commonPrefixes,
  });
  return { status: 200, headers: XML_CONTENT, body };
};
