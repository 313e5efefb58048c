/** The alert rules of the chart and their unit tests, as their files say them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

export const RULES = fileURLToPath(new URL('../../charts/sealgate/rules', import.meta.url));
export const TESTS = join(RULES, 'tests');
export const byName = (a: string, b: string): number => (a < b ? -1 : 1);
export const yamlFiles = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(folder, name))
    .toSorted(byName);

const ruleFile = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ alert: z.string(), expr: z.string(), labels: z.object({ severity: z.string() }) }),
      ),
    }),
  ),
});
const testFile = z.object({
  tests: z.array(
    z.object({
      input_series: z.array(z.object({ series: z.string() })),
      alert_rule_test: z.array(
        z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()).optional() }),
      ),
    }),
  ),
});

export const ALERTS = yamlFiles(RULES).flatMap((file) =>
  ruleFile.parse(parse(readFileSync(file, 'utf8'))).groups.flatMap(({ rules }) => rules),
);
export const CASES = yamlFiles(TESTS).flatMap(
  (file) => testFile.parse(parse(readFileSync(file, 'utf8'))).tests,
);

/** `name{a="b"}` as its name and the names of its labels, in order. */
export function nameAndLabels(series: string): readonly [name: string, labels: string] {
  const [, name = '', labels = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?/.exec(series) ?? [];
  const sorted = [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label).toSorted(byName);
  return [name, sorted.join(' ')];
}

/** Names of the metrics that the rules speak of. */
export const metricsOf = (expr: string): string[] =>
  [...expr.matchAll(/\bsealgate_\w+/g)].map(([name]) => name);

/** Whether the operator has this metric; the data plane has all others. */
export const isOperators = (metric: string): boolean => metric.startsWith('sealgate_operator_');
