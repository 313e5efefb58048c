import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A folder: server processes that the cases start (not the test processes) leave V8 coverage in it. */
const coverage = process.env['SEALGATE_COVERAGE'];

/** The long forms of the cases, some of which run for many minutes. */
const soak = process.env['SEALGATE_SOAK'] === '1';

/** End-to-end cases: a real data plane, a real KMIP server, real clients. One file at a time: they share two cores. */
export default defineConfig({
  root,
  test: {
    include: ['e2e/cases/**/*.test.ts'],
    environment: 'node',
    env: coverage === undefined ? {} : { NODE_V8_COVERAGE: coverage },
    fileParallelism: false,
    testTimeout: soak ? 3_600_000 : 300_000,
    hookTimeout: 120_000,
  },
});
