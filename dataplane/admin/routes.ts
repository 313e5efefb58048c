/** All routes of the admin API but its own description: what is not here is neither served nor documented. */
import { accessKeyRoutes } from './accessKeyRoutes.ts';
import { bucketRoutes } from './bucketRoutes.ts';
import { keyRoutes } from './keyRoutes.ts';
import { processRoutes } from './processRoutes.ts';
import type { AdminRoute } from './route.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...processRoutes,
  ...bucketRoutes,
  ...keyRoutes,
  ...accessKeyRoutes,
];
