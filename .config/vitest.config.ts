import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Unit tests: beside the code they prove, no server, no network. `make check` runs exactly these. */
export default defineConfig({
  root,
  test: {
    include: [
      'dataplane/**/*.test.ts',
      'operator/**/*.test.ts',
      'crds/**/*.test.ts',
      'e2e/harness/**/*.test.ts',
      '.tools/**/*.test.ts',
    ],
    environment: 'node',
    // No module has state of its own, so files share their processes: it halves the time.
    isolate: false,
    testTimeout: 20_000,
    coverage: {
      provider: 'v8',
      // Floors are held for the data plane alone.
      include: ['dataplane/**/*.ts'],
      exclude: ['**/*.test.ts', '**/*.testkit.ts', '**/vectors/**'],
      reporter: ['lcovonly'],
      reportsDirectory: 'coverage/unit',
    },
  },
});
