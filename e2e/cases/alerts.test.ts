/**
 * The alert rules of charts/sealgate/rules: Prometheus takes them, each rings when it should, and each speaks of
 * metrics that a running server really has.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KmipError } from '../../dataplane/keys/kmip/errors.ts';
import { judge, reasonName } from '../../dataplane/keys/kmip/reasons.ts';
import {
  ALERTS,
  byName,
  CASES,
  isOperators,
  metricsOf,
  nameAndLabels,
  RULES,
  TESTS,
  yamlFiles,
} from '../harness/alertRules.ts';
import { programPath } from '../harness/cluster/programs.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { send } from '../harness/signedRequest.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Resolves to what promtool printed, rejects when it found a fault. */
async function promtool(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(programPath('promtool'), args);
  return stdout;
}

describe('the alert rules', () => {
  it('are accepted by promtool', async () => {
    const said = await promtool('check', 'rules', '--lint=all', '--lint-fatal', ...yamlFiles(RULES));
    expect(
      [...said.matchAll(/SUCCESS: (\d+) rules/g)].reduce((sum, [, rules]) => sum + Number(rules), 0),
    ).toBe(ALERTS.length);
  });

  it('ring and are silent as their unit tests say', async () => {
    await promtool('test', 'rules', ...yamlFiles(TESTS));
  });

  it.each(ALERTS)('$alert has a test in which it rings and one in which it is silent', ({ alert }) => {
    const looks = CASES.flatMap((one) => one.alert_rule_test).filter(({ alertname }) => alertname === alert);
    expect(looks.some(({ exp_alerts = [] }) => exp_alerts.length > 0)).toBe(true);
    expect(looks.some(({ exp_alerts = [] }) => exp_alerts.length === 0)).toBe(true);
  });

  it('are all explained in docs/operations.md', () => {
    const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
    expect(ALERTS.map(({ alert }) => alert).filter((alert) => !page.includes(`\`${alert}\``))).toEqual([]);
  });

  it('that are critical are all, and alone, in the list of docs/monitor.md', () => {
    const page = readFileSync(join(ROOT, 'docs/monitor.md'), 'utf8');
    const listed = [...page.matchAll(/^\| (Sealgate[^|]*) \|/gm)].flatMap(([, names = '']) =>
      names.split(', '),
    );
    const critical = ALERTS.filter(({ labels }) => labels.severity === 'critical').map(({ alert }) => alert);
    expect(listed.toSorted(byName)).toEqual(critical.toSorted(byName));
  });

  it('call denied what is answered with 403, and nothing else', () => {
    const denied = Array.from({ length: 0x200 }, (_, reason) => reason).filter(
      (reason) => judge(new KmipError('Result', 'refused', { sent: true, reason })).code === 'AccessDenied',
    );
    const { expr = '' } = ALERTS.find(({ alert }) => alert === 'SealgateKmsDenied') ?? {};
    const named = [...expr.matchAll(/result=~"([^"]*)"/g)].map(([, names = '']) =>
      names.split('|').toSorted(byName),
    );
    const expected = denied.map(reasonName).toSorted(byName);
    expect(named).toEqual([expected, expected, expected]);
  });
});

describe('what the rules speak of', () => {
  let deployment: Deployment;
  const seen = new Map<string, Set<string>>();
  beforeAll(async () => {
    deployment = await startDeployment({ buckets: true });
    const answer = await send(deployment.server, {
      method: 'PUT',
      path: '/encrypted/a',
      body: Buffer.from('a'),
    });
    expect(answer.status).toBe(200);
    for (const line of (await deployment.server.metrics()).split('\n')) {
      const [name, labels] = nameAndLabels(line);
      if (name !== '') seen.set(name, (seen.get(name) ?? new Set()).add(labels));
    }
  });
  afterAll(() => deployment?.close());

  // Those of the operator are looked for in the cluster, where one runs.
  it.each(ALERTS)('$alert: metrics of a running server', ({ expr }) => {
    const named = metricsOf(expr);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !isOperators(name) && !seen.has(name))).toEqual([]);
  });

  it('is tested with series that carry the labels of a running server', () => {
    const made = CASES.flatMap((one) => one.input_series).map(({ series }) => nameAndLabels(series));
    const strange = made.filter(([name, labels]) => {
      if (isOperators(name)) return false;
      const own = labels.split(' ').filter((label) => label !== 'instance');
      return seen.get(name)?.has(own.join(' ')) !== true;
    });
    expect(strange).toEqual([]);
  });
});
