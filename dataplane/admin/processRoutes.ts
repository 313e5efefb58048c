/** The routes of the process as a whole: its status, and the epochs of those who administer it. */
import { type AdminRoute, adminRoute, ok } from './route.ts';
import { epochTaken, takeEpoch } from './schema/epoch.ts';
import { status, statusQuery } from './schema/status.ts';

export const processRoutes: readonly AdminRoute[] = [
  adminRoute({
    method: 'GET',
    path: '/admin/v1/status',
    operationId: 'getStatus',
    summary: 'The process, its configuration and its KMS connections, or that one of them alone.',
    query: statusQuery,
    answers: [{ status: 200, description: 'The status.', schema: status }],
    errors: [],
    handle: async (services, { query: { connection } }) => ok(await services.status(connection ?? null)),
  }),
  adminRoute({
    method: 'POST',
    path: '/admin/v1/epoch',
    operationId: 'takeEpoch',
    summary:
      'Takes the next epoch, durably. Once it is answered, no mutation of an older epoch takes effect any more.',
    body: takeEpoch,
    fenced: false,
    answers: [{ status: 200, description: 'The newest epoch.', schema: epochTaken }],
    errors: [],
    handle: async ({ epochs }, { body: { holder } }) => ok({ epoch: await epochs.take(holder) }),
  }),
];
