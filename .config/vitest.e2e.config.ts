import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A folder: server processes that the cases start (not the test processes) leave V8 coverage in it. */
const coverage = process.env['SEALGATE_COVERAGE'];

/** The long forms of the cases, some of which run for many minutes. */
const soak = process.env['SEALGATE_SOAK'] === '1';

/**
 * Cases that ask what is answered and stored, and not how soon: two of these files run at once, each on processes and
 * folders of its own. Most of their time they wait for processes to start. All others have the machine to themselves:
 * they measure time or memory, count what a loaded machine would change, or cut processes off under load.
 */
const SIDE_BY_SIDE = [
  'accessKeys',
  'admissionPolicies',
  'adminApi',
  'alerts',
  'badChunks',
  'badDocuments',
  'badInput',
  'bucketEncryption',
  'chart',
  'clients',
  'compat',
  'connectionFiles',
  'copy',
  'customResources',
  'doctor',
  'doctorBadKms',
  'durability',
  'fleetObjects',
  'format',
  'headerRuleRegressions',
  'headerRules',
  'image',
  'keySecrecy',
  'keySteps',
  'kmsOutages',
  'kmsTwoEndpoints',
  'multipart',
  'mutations',
  'oddKeys',
  'operatorProbe',
  'post',
  'process',
  'processEnds',
  'rawBytes',
  'recovery',
  'recoveryDamage',
  'scriptedKms',
].map((name) => `e2e/cases/${name}.test.ts`);

/** End-to-end cases: a real data plane, a real KMIP server, real clients, on two cores. */
export default defineConfig({
  root,
  test: {
    environment: 'node',
    env: coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage },
    testTimeout: soak ? 3_600_000 : 300_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: SIDE_BY_SIDE,
          // The long forms share nothing: their figures would be those of two cases.
          maxWorkers: soak ? 1 : 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['e2e/cases/**/*.test.ts'],
          // A cluster has a run of its own: .config/vitest.cluster.config.ts.
          exclude: [...SIDE_BY_SIDE, 'e2e/cases/cluster/**'],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
