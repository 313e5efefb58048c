/** The routes of access keys. What they do is AccessKeyAdministration's. */
import { z } from 'zod';
import { isBucketName } from '../s3/target.ts';
import { AdminError } from './errors.ts';
import { type AdminRoute, adminRoute, ok } from './route.ts';
import {
  accessKey,
  accessKeyId,
  accessKeyPage,
  accessKeyPageQuery,
  accessKeyQuery,
  putAccessKey,
} from './schema/accessKeys.ts';

const PATH = '/admin/v1/access-keys';
const params = z.object({ accessKeyId });

export const accessKeyRoutes: readonly AdminRoute[] = [
  adminRoute({
    method: 'GET',
    path: PATH,
    operationId: 'listAccessKeys',
    summary: 'Access keys with their grants, of one owner or of all, page by page.',
    query: accessKeyPageQuery,
    answers: [{ status: 200, description: 'One page.', schema: accessKeyPage }],
    errors: [],
    handle: async ({ accessKeys }, { query }) => ok(await accessKeys.accessKeys(query)),
  }),
  adminRoute({
    method: 'GET',
    path: `${PATH}/{accessKeyId}`,
    operationId: 'getAccessKey',
    summary: 'One access key with its grants, without its secret.',
    params,
    query: accessKeyQuery,
    answers: [{ status: 200, description: 'The access key.', schema: accessKey }],
    errors: ['NoSuchAccessKey', 'AccessKeyTaken'],
    handle: async ({ accessKeys }, { params: { accessKeyId: id }, query: { owner } }) =>
      ok(await accessKeys.accessKey(id, owner ?? null)),
  }),
  adminRoute({
    method: 'PUT',
    path: `${PATH}/{accessKeyId}`,
    operationId: 'putAccessKey',
    summary: 'Makes the access key, or replaces what differs.',
    params,
    body: putAccessKey,
    answers: [{ status: 200, description: 'The access key as it is now.', schema: accessKey }],
    errors: ['AccessKeyTaken', 'Conflict'],
    handle: async ({ accessKeys }, { params: { accessKeyId: id }, body }) => {
      const wrong = body.grants.findIndex(({ bucket }) => !isBucketName(bucket));
      if (wrong >= 0)
        throw new AdminError('InvalidArgument', `grants.${wrong}.bucket: must be a bucket name of S3`);
      return ok(await accessKeys.putAccessKey(id, body));
    },
  }),
  adminRoute({
    method: 'DELETE',
    path: `${PATH}/{accessKeyId}`,
    operationId: 'deleteAccessKey',
    summary: 'Revokes the access key: from the answer on no request is signed by it any more.',
    params,
    query: accessKeyQuery,
    answers: [{ status: 204, description: 'It is gone.', schema: null }],
    errors: ['NoSuchAccessKey', 'AccessKeyTaken', 'Conflict'],
    handle: async ({ accessKeys }, { params: { accessKeyId: id }, query: { owner } }) => {
      await accessKeys.deleteAccessKey(id, owner ?? null);
      return { status: 204, body: null };
    },
  }),
];
