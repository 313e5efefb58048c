/**
 * `make check`, `make test` and `make soak`: which steps each has, and the last line `N passed, N failed`, with `, N skipped` where this machine
 * cannot run all.
 *
 * Usage: node .tools/prove.ts check | test | soak
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { accountOfFiles } from './account.ts';
import { type Floor, type LineHits, measure, parseLcov, union } from './coverage.ts';
import { closingLine, sum, tallyOfSkipped } from './skipped.ts';
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
        'crds',
        'dataplane',
        'e2e',
        'operator',
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
    {
      name: 'generated files up to date (custom resources)',
      command: ['node', 'crds/generate.ts', '--check'],
    },
    {
      name: 'generated files up to date (chart)',
      command: ['node', 'operator/chart/generate.ts', '--check'],
    },
    {
      name: 'generated files up to date (OpenAPI document)',
      command: ['node', 'dataplane/admin/openApiFile.ts', '--check'],
    },
  ];
}

/** Reports of the vitest runs of this process. */
const written: string[] = [];

function vitest(
  name: string,
  config: string,
  report: string,
  options: Partial<Step> & { args?: readonly string[] },
): Step {
  const file = join(reports, report);
  rmSync(file, { force: true });
  written.push(file);
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

/** Some projects of .config/vitest.e2e.config.ts; `*` stands for any text. */
function endToEnd(
  projects: readonly string[],
  report: string,
  env: Readonly<Record<string, string>> = {},
): Step {
  return vitest(`end-to-end cases, ${projects.join(', ')}`, '.config/vitest.e2e.config.ts', report, {
    live: true,
    env,
    args: projects.flatMap((project) => ['--project', project]),
  });
}

/** The cases on a Kubernetes cluster, a run of their own; where there can be no cluster, it says why and skips them. */
async function clusterCases(report: string, env: Readonly<Record<string, string>>): Promise<Tally> {
  const name = 'cases on a Kubernetes cluster';
  const { status, stdout } = spawnSync('node', ['e2e/cluster.ts', 'can-run'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status === 0) {
    const config = '.config/vitest.cluster.config.ts';
    return await runStep(vitest(name, config, report, { env, shown: true }), root, say);
  }
  const files = readdirSync(join(root, 'e2e/cases/cluster')).filter((file) => file.endsWith('.test.ts'));
  const tally = tallyOfSkipped(files.length, process.env['CI'] === 'true');
  const verdict = tally.failed === 0 ? 'SKIPPED' : 'FAILED';
  say(
    `${verdict} ${name}, ${files.length} files: ${stdout.trim() || 'whether there can be one is not known'}`,
  );
  return tally;
}

/** Unit tests beside all that only reads the source. */
function sourceSteps(args: readonly string[] = []): Step[] {
  return [vitest('unit tests', '.config/vitest.config.ts', 'unit.json', { args }), ...staticSteps()];
}

async function check(): Promise<Tally> {
  return runSteps(sourceSteps(), 2, root, say);
}

async function test(): Promise<Tally> {
  rmSync(reports, { recursive: true, force: true });
  const raw = join(reports, 'served-raw');
  mkdirSync(raw, { recursive: true });
  // The cluster waits for itself most of the time, and what runs beside it measures no time.
  const onCluster = clusterCases('cluster.json', {});
  const tallies = [
    await runSteps(sourceSteps(['--coverage']), 2, root, say),
    await runStep(
      endToEnd(['side by side*'], 'e2e-side-by-side.json', { SEALGATE_COVERAGE: raw }),
      root,
      say,
    ),
  ];
  tallies.push(
    await onCluster,
    await runStep(endToEnd(['in pairs', 'alone'], 'e2e-alone.json'), root, say),
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
  const env = { SEALGATE_SOAK: '1' };
  const longForms = await runStep(
    vitest('end-to-end cases, long forms', '.config/vitest.e2e.config.ts', 'soak.json', {
      live: true,
      env,
    }),
    root,
    say,
  );
  return sum([longForms, await clusterCases('soak-cluster.json', env)]);
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
  const tally = await chosen();
  for (const line of accountOfFiles(written, root, 12)) say(line);
  say(`make ${process.argv[2]} took ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  say(closingLine(tally));
  process.exitCode = tally.failed === 0 ? 0 : 1;
}
