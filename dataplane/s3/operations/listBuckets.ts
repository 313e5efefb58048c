import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import { pageLimit } from '../paging.ts';
import { listBucketsXml } from '../xml/listings.ts';

const MAX_BUCKETS = 10_000;

/** ListBuckets: the caller's own, by name, in pages when asked for. */
export const listBuckets: Operation = async (context) => {
  const { request, services } = context;
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: false });
  const { query } = request;
  const prefix = query.get('prefix') ?? null;
  const limit = pageLimit(query, 'max-buckets', MAX_BUCKETS);
  const region = query.get('bucket-region');
  const token = query.get('continuation-token');
  const after = token === undefined ? '' : Buffer.from(token, 'base64url').toString('utf8');
  if (limit < 1) throw new S3Error('InvalidArgument');
  const { ownerId } = request.principal;
  const found = await services.metadata.listBuckets({
    ownerId,
    prefix: prefix ?? '',
    after,
    limit: limit + 1,
  });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const continuationToken =
    found.length > limit && last !== undefined ? Buffer.from(last.name).toString('base64url') : null;
  const buckets = page.filter(
    (bucket) => bucket.state === 'Ready' && (region === undefined || region === bucket.region),
  );
  return {
    status: 200,
    headers: XML_CONTENT,
    body: listBucketsXml({ ownerId, buckets, prefix, continuationToken }),
  };
};
