/**
 * `make check`, `make test` and `make soak`: which steps each has, and the last line `N passed, N failed`.
 *
 * Usage: node .tools/prove.ts check | test | soak
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type Floor, type LineHits, measure, parseLcov, union } from './coverage.ts';
import { runStep, runSteps, type Step, type Tally } from './steps.ts';
import { tallyOfFile } from './vitestReport.ts';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const reports = join(root, 'coverage');

const PURE_FLOORS: readonly Floor[] = [
  { name: 'crypto/, by unit tests alone', folder: 'dataplane/crypto', percent: 100 },
  { name: 'headers/, by unit tests alone', folder: 'dataplane/headers', percent: 100 },
];
const OVERALL_FLOOR: Floor = { name: 'data plane, all tests', folder: 'dataplane', percent: 90 };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }), {
    passed: 0,
    failed: 0,
  });
}

function staticSteps(): Step[] {
  return [
    { name: 'types (tsc)', command: ['tsc', '-p', '.'] },
    {
      name: 'lint (oxlint, type-aware)',
      command: ['oxlint', '-c', '.config/oxlintrc.json', '--type-aware', '--deny-warnings', '.'],
    },
    {
      name: 'format (biome)',
      // Not '.': beside its own configuration file Biome takes .config for a project of its own.
      command: [
        'biome',
        'check',
        '--config-path=.config',
        'dataplane',
        'e2e',
        '.tools',
        'package.json',
        'tsconfig.json',
      ],
    },
    { name: 'dead exports (knip)', command: ['knip', '--config', '.config/knip.json', '--no-progress'] },
    {
      name: 'generated files up to date (test vectors)',
      command: ['node', 'dataplane/crypto/vectors/generate.ts', '--check'],
    },
  ];
}

function vitest(
  name: string,
  config: string,
  report: string,
  options: Partial<Step> & { args?: readonly string[] },
): Step {
  const file = join(reports, report);
  rmSync(file, { force: true });
  const { args = [], ...rest } = options;
  return {
    name,
    command: [
      'vitest',
      'run',
      '--config',
      config,
      '--reporter=default',
      '--reporter=json',
      `--outputFile=${file}`,
      ...args,
    ],
    tally: (exitCode) => tallyOfFile(file, exitCode),
    ...rest,
  };
}

function lcov(path: string): LineHits {
  return existsSync(path) ? parseLcov(readFileSync(path, 'utf8'), root) : new Map();
}

/** One count per floor; the first lines that were never run are shown where a floor is missed. */
function holdFloors(unit: LineHits, served: LineHits): Tally {
  const results = [
    ...PURE_FLOORS.map((floor) => measure(unit, floor)),
    measure(union(unit, served), OVERALL_FLOOR),
  ];
  for (const { name, percent, lines, hit, reached, missed } of results) {
    const seen = lines === 0 ? 'no lines' : `${((hit * 100) / lines).toFixed(2)} % of ${lines} lines`;
    say(`${reached ? 'ok    ' : 'FAILED'} coverage of ${name}: ${seen}, at least ${percent} %`);
    if (!reached) say(missed.slice(0, 40).join('\n'));
  }
  const passed = results.filter((result) => result.reached).length;
  return { passed, failed: results.length - passed };
}

async function check(): Promise<Tally> {
  return runSteps(
    [vitest('unit tests', '.config/vitest.config.ts', 'unit.json', {}), ...staticSteps()],
    2,
    root,
    say,
  );
}

async function test(): Promise<Tally> {
  rmSync(reports, { recursive: true, force: true });
  const raw = join(reports, 'served-raw');
  mkdirSync(raw, { recursive: true });
  const tallies = [await runSteps(staticSteps(), 2, root, say)];
  tallies.push(
    await runStep(
      vitest('unit tests', '.config/vitest.config.ts', 'unit.json', { live: true, args: ['--coverage'] }),
      root,
      say,
    ),
    await runStep(
      vitest('end-to-end cases', '.config/vitest.e2e.config.ts', 'e2e.json', {
        live: true,
        env: { SEALGATE_COVERAGE: raw },
      }),
      root,
      say,
    ),
    await runStep(
      {
        name: 'coverage of the server processes',
        command: [
          'c8',
          'report',
          '--temp-directory',
          raw,
          '--reports-dir',
          join(reports, 'served'),
          '--reporter',
          'lcovonly',
          '--merge-async',
          '--extension',
          '.ts',
          '--include',
          'dataplane/**',
        ],
      },
      root,
      say,
    ),
  );
  tallies.push(holdFloors(lcov(join(reports, 'unit/lcov.info')), lcov(join(reports, 'served/lcov.info'))));
  return sum(tallies);
}

async function soak(): Promise<Tally> {
  mkdirSync(reports, { recursive: true });
  return runStep(
    vitest('end-to-end cases, long forms', '.config/vitest.e2e.config.ts', 'soak.json', {
      live: true,
      env: { SEALGATE_SOAK: '1' },
    }),
    root,
    say,
  );
}

const RUNS = new Map([
  ['check', check],
  ['test', test],
  ['soak', soak],
]);

const chosen = RUNS.get(process.argv[2] ?? '');
if (chosen === undefined) {
  process.stderr.write('usage: node .tools/prove.ts check | test | soak\n');
  process.exitCode = 2;
} else {
  const startedMs = performance.now();
  const { passed, failed } = await chosen();
  say(`make ${process.argv[2]} took ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
