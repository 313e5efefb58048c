/** Renders the Helm chart with the real helm, without a cluster. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { programPath } from './cluster/programs.ts';

export const CHART = fileURLToPath(new URL('../../charts/sealgate', import.meta.url));

const renderedObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});

export type RenderedObject = z.output<typeof renderedObject>;

const run = promisify(execFile);

/** Runs helm; resolves to what it prints. Rejects with its own words. */
export async function helm(args: readonly string[]): Promise<string> {
  const { stdout } = await run(programPath('helm'), [...args], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Values as `--set-json` takes them: nested values at their paths. */
function settings(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([path, value]) => [
    '--set-json',
    `${path}=${JSON.stringify(value)}`,
  ]);
}

/** The objects of a release, tests and kept ones included. `values` by their paths, such as `fleet.region`. */
export async function renderChart(
  values: Readonly<Record<string, unknown>> = {},
  { release = 'sealgate', namespace = 'storage' } = {},
): Promise<RenderedObject[]> {
  const args = ['template', release, CHART, '--namespace', namespace, '--kube-version', 'v1.36.0'];
  const text = await helm([...args, ...settings(values)]);
  return parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .filter((object) => object !== null)
    .map((object) => renderedObject.parse(object));
}
