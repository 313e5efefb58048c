import type { BucketDocument } from '../../metadata/metadata.ts';
import { checkEncryptionHeaders, type Operation, type S3Context } from '../context.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import { pageLimit } from '../paging.ts';
import { listBucketsXml } from '../xml/listings.ts';

const MAX_BUCKETS = 10_000;

/** ListBuckets: those that the caller may see, by name, in pages when asked for. */
export const listBuckets: Operation = async (context) => {
  const { request } = context;
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: false });
  const { query } = request;
  const prefix = query.get('prefix') ?? null;
  const limit = pageLimit(query, 'max-buckets', MAX_BUCKETS);
  const region = query.get('bucket-region');
  const token = query.get('continuation-token');
  const after = token === undefined ? '' : Buffer.from(token, 'base64url').toString('utf8');
  if (limit < 1) throw new S3Error('InvalidArgument');
  const { ownerId } = request.principal;
  const found = await visibleBuckets(context, { prefix: prefix ?? '', after, limit: limit + 1 });
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

/** The root's are all of its own; an access key's, those that its few grants name. */
async function visibleBuckets(
  { request, services }: S3Context,
  query: { readonly prefix: string; readonly after: string; readonly limit: number },
): Promise<readonly BucketDocument[]> {
  const { ownerId, rights } = request.principal;
  const { prefix, after, limit } = query;
  if (rights === 'everything') return await services.metadata.listBuckets({ ownerId, ...query });
  const names = [...new Set(rights.map(({ bucket }) => bucket))]
    .filter((name) => name.startsWith(prefix) && name > after)
    .toSorted();
  const found = await Promise.all(names.map((name) => services.metadata.bucket(name)));
  return found
    .filter((bucket) => bucket !== null)
    .filter((bucket) => bucket.ownerId === ownerId)
    .slice(0, limit);
}
