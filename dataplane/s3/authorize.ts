/** Authorisation of requests: after authentication, before anything is told about the bucket. */
import { allowsKey } from '../authorization/grants.ts';
import { allowsOperation } from '../authorization/operationNeeds.ts';
import { copySource } from './copySource.ts';
import { S3Error } from './errors.ts';
import type { Principal, S3Request } from './request.ts';

/**
 * Refuses what the principal's grants do not allow, whether or not bucket and object exist.
 *
 * @throws S3Error AccessDenied; InvalidArgument or NotImplemented: a copy whose source cannot be read
 */
export function authorize(
  principal: Principal,
  request: Pick<S3Request, 'operation' | 'bucket' | 'key' | 'query' | 'headers'>,
): void {
  const { operation, bucket, key, query, headers } = request;
  if (principal.rights === 'everything') return;
  const copies = operation === 'CopyObject' || operation === 'UploadPartCopy';
  const source = copies ? copySource(headers) : null;
  const prefix = Buffer.from(query.get('prefix') ?? '');
  if (!allowsOperation(principal.rights, operation, { bucket, key, prefix, source }))
    throw new S3Error('AccessDenied');
}

/** Refuses the deletion of one of the keys of DeleteObjects. */
export function authorizeDeletion(principal: Principal, bucket: string, key: Uint8Array): void {
  if (!allowsKey(principal.rights, 'delete', bucket, key)) throw new S3Error('AccessDenied');
}
