import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A folder: server processes that the covered cases start (not the test processes) leave V8 coverage in it. */
const coverage = process.env['SEALGATE_COVERAGE'];

/** The long forms of the cases, some of which run for many minutes. */
const soak = process.env['SEALGATE_SOAK'] === '1';

/** The long forms share nothing: their figures would be those of two cases. */
const TWO_WORKERS = soak ? 1 : 2;

const fileOf = (name: string): string => `e2e/cases/${name}.test.ts`;

/**
 * Cases that ask what is answered and stored, and not how soon: two of these files run at once, each on processes and
 * folders of its own, and beside them the cases on a cluster. Most of their time they wait for processes to start.
 */
const SIDE_BY_SIDE = [
  'admissionPolicies',
  'alerts',
  'badChunks',
  'badDocuments',
  'badInput',
  'chart',
  'clients',
  'crash',
  'customResources',
  'doctor',
  'doctorBadKms',
  'durability',
  'fleetObjects',
  'headerRuleRegressions',
  'headerRules',
  'image',
  'keySecrecy',
  'keySteps',
  'kmsOutages',
  'kmsTwoEndpoints',
  'mutations',
  'oddKeys',
  'operatorProbe',
  'process',
  'processEnds',
  'races',
  'rawBytes',
  'recovery',
  'recoveryDamage',
  'reencrypt',
  'scriptedKms',
  'ttlvFuzz',
].map(fileOf);

/**
 * The same, and the lines that their server processes run count for the coverage: few processes that do much of what
 * there is. To be counted doubles what the start of a process costs, so cases that start many are not among them.
 */
const COVERED = [
  'accessKeys',
  'adminApi',
  'bucketEncryption',
  'compat',
  'connectionFiles',
  'copy',
  'format',
  'multipart',
  'post',
].map(fileOf);

/**
 * Cases whose limits are seconds, and that wait most of the time: two at once, and nothing else on the machine. All that
 * is not named here has the machine to itself: it measures time or memory, or counts what a loaded machine would change.
 */
const IN_PAIRS = [
  'kmsFailover',
  'kmsOverHttp',
  'operatorCuts',
  'operatorRuntime',
  'rotation',
].map(fileOf);

/** End-to-end cases: a real data plane, a real KMIP server, real clients, on two cores. */
export default defineConfig({
  root,
  test: {
    environment: 'node',
    testTimeout: soak ? 3_600_000 : 300_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: SIDE_BY_SIDE,
          maxWorkers: TWO_WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'side by side, covered',
          include: COVERED,
          env: coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage },
          maxWorkers: TWO_WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'in pairs',
          include: IN_PAIRS,
          maxWorkers: TWO_WORKERS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['e2e/cases/**/*.test.ts'],
          // A cluster has a run of its own: .config/vitest.cluster.config.ts.
          exclude: [...SIDE_BY_SIDE, ...COVERED, ...IN_PAIRS, 'e2e/cases/cluster/**'],
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
