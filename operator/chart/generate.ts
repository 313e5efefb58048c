/**
 * Writes what in the chart is made from sources elsewhere: values.yaml and values.schema.json from the values' schema,
 * and copies of the custom resources and their admission policies from crds/.
 *
 * Usage: node operator/chart/generate.ts [--check]; with --check it writes nothing, names what is out of date, and fails.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { keptObjects } from './definitions.ts';
import { valuesFile } from './valuesFile.ts';
import { valuesSchema } from './valuesSchema.ts';

const CHART = new URL('../../charts/sealgate/', import.meta.url);
const CRDS = new URL('../../crds/', import.meta.url);
const COPIES = 'files/crds/';

function source(name: string): string {
  return readFileSync(new URL(name, CRDS), 'utf8');
}

/** Every generated file, by its path in the chart. */
function generated(): Map<string, string> {
  const definitions = existsSync(CRDS) ? readdirSync(CRDS).filter((name) => name.endsWith('.yaml')) : [];
  return new Map([
    ['values.yaml', valuesFile()],
    ['values.schema.json', `${JSON.stringify(valuesSchema(), null, 2)}\n`],
    ...definitions.map((name): [string, string] =>
      name === 'policies.yaml'
        ? ['files/policies.yaml', keptObjects(source(name))]
        : [`${COPIES}${name}`, keptObjects(source(name))],
    ),
  ]);
}

function present(path: string): string | null {
  const file = new URL(path, CHART);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

function strays(files: ReadonlyMap<string, string>): string[] {
  const folder = new URL(COPIES, CHART);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => `${COPIES}${name}`)
    .filter((path) => !files.has(path));
}

const files = generated();
const outdated = [...files].filter(([path, text]) => present(path) !== text).map(([path]) => path);
const left = strays(files);
if (process.argv[2] === '--check') {
  for (const path of [...outdated, ...left]) process.stderr.write(`charts/sealgate/${path} is out of date\n`);
  process.exitCode = outdated.length + left.length === 0 ? 0 : 1;
} else {
  for (const path of outdated) {
    const file = new URL(path, CHART);
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, files.get(path) ?? '');
  }
  for (const path of left) rmSync(new URL(path, CHART));
}
