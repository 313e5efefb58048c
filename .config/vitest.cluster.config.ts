import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The long forms of the cases. */
const soak = process.env['SEALGATE_SOAK'] === '1';

/**
 * Cases on a Kubernetes cluster. A run of its own, because the cluster is started once for all files; while it is up,
 * nothing can be measured on this machine. Each file works in namespaces of its own.
 */
export default defineConfig({
  root,
  test: {
    environment: 'node',
    include: ['e2e/cases/cluster/**/*.test.ts'],
    globalSetup: ['e2e/harness/cluster/sharedCluster.ts'],
    maxWorkers: 1,
    testTimeout: soak ? 3_600_000 : 300_000,
    hookTimeout: 120_000,
  },
});
