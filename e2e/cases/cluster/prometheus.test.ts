/** A real Prometheus finds pods and operator by the cluster's DNS, and the shipped alerts work on what it sees. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ALERTS,
  byName,
  CASES,
  isOperators,
  metricsOf,
  nameAndLabels,
  RULES,
  yamlFiles,
} from '../../harness/alertRules.ts';
import { type Prometheus, startDnsPrometheus } from '../../harness/cluster/dnsPrometheus.ts';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';

const NAMESPACE = 'metrics';

const targets = z.object({
  activeTargets: z.array(z.object({ labels: z.record(z.string(), z.string()), health: z.string() })),
});
const rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          name: z.string(),
          state: z.string(),
          health: z.string(),
          alerts: z.array(z.object({ labels: z.record(z.string(), z.string()) })).default([]),
        }),
      ),
    }),
  ),
});
const series = z.array(z.record(z.string(), z.string()));

let installation: Installation;
let prometheus: Prometheus;

/** The rules about the KMS in a second file, without their waiting. */
async function impatientRules(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const text = await readFile(path.join(RULES, 'kms.yaml'), 'utf8');
  const file = path.join(folder, 'impatient.yaml');
  await writeFile(
    file,
    text.replace('name: sealgate-kms', 'name: impatient').replaceAll(/for: \w+/g, 'for: 0s'),
  );
  return file;
}

beforeAll(async () => {
  const cluster = sharedCluster();
  installation = await installSealgate({ cluster, namespace: NAMESPACE, image: sharedImage() });
  await installation.connectKms('keysecure');
  await installation.declareBucket('invoices', {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3' }],
  });
  await installation.waitFor('encryptedbucket/invoices', 'Ready');
  const s3 = await installation.s3(await installation.secret('invoices-s3'));
  await s3.send(new PutObjectCommand({ Bucket: 'invoices', Key: 'a.txt', Body: 'invoice 4711' }));
  const impatient = await impatientRules(path.join(cluster.folder, 'rules'));
  prometheus = await startDnsPrometheus({
    cluster,
    namespace: NAMESPACE,
    ruleFiles: [...yamlFiles(RULES), impatient],
  });
});

afterAll(async () => {
  await prometheus?.close();
  await installation?.close();
});

/** Rules of a file's group by name. */
async function ruleStates(group: (name: string) => boolean) {
  const { groups } = await prometheus.ask('rules', rules);
  return groups.filter(({ name }) => group(name)).flatMap((one) => one.rules);
}
const isShipped = (group: string): boolean => group !== 'impatient';

describe('Prometheus in the cluster', () => {
  it('finds and scrapes the pods of data plane and operator', async () => {
    const found = async () =>
      (await prometheus.ask('targets?state=active', targets)).activeTargets
        .map(({ labels, health }) => `${labels['component']} ${labels['instance']?.split(':')[1]} ${health}`)
        .toSorted(byName);
    await expect
      .poll(found, { timeout: 30_000, interval: 200 })
      .toEqual(['dataplane 9002 up', 'operator 9003 up']);
  });

  it('evaluates every shipped alert, and none rings', async () => {
    const evaluated = async () =>
      (await ruleStates(isShipped))
        .map(({ name, health, state }) => `${name} ${health} ${state}`)
        .toSorted(byName);
    await expect
      .poll(evaluated, { timeout: 30_000, interval: 200 })
      .toEqual(ALERTS.map(({ alert }) => `${alert} ok inactive`).toSorted(byName));
  });

  it('has what the alerts speak of, with the labels that their unit tests give', async () => {
    const seen = await prometheus.ask(`series?match[]=${encodeURIComponent('{job="sealgate"}')}`, series);
    const names = new Set(seen.map(({ __name__: name }) => name));
    const named = ALERTS.flatMap(({ expr }) => metricsOf(expr));
    // What nothing is wrong with has no series.
    const onlyInTrouble = new Set(['sealgate_operator_resource_not_ready']);
    expect(named.filter((name) => !names.has(name) && !onlyInTrouble.has(name))).toEqual([]);
    // `namespace` and `endpoint` are the target's where a metric has none of its own.
    const ofTarget = new Set(['__name__', 'job', 'instance', 'pod', 'component', 'namespace', 'endpoint']);
    const labelled = new Set(
      seen.map((labels) => {
        const own = Object.keys(labels).filter((label) => !ofTarget.has(label));
        return `${labels['__name__']} ${own.toSorted(byName).join(' ')}`;
      }),
    );
    const strange = CASES.flatMap((one) => one.input_series)
      .map(({ series: text }) => nameAndLabels(text))
      .map(([name, labels]) => [name, labels.split(' ').filter((label) => !ofTarget.has(label))] as const)
      .filter(([name]) => isOperators(name) && !onlyInTrouble.has(name))
      .map(([name, labels]) => `${name} ${labels.join(' ')}`);
    expect(strange.filter((one) => !labelled.has(one))).toEqual([]);
  });

  it('rings when the KMS is gone: of its endpoint, of its connection, and not yet of what must last', async () => {
    await installation.kms.kill();
    const connection = `${installation.team}/keysecure`;
    const ringing = async () =>
      (await ruleStates((group) => group === 'impatient'))
        .filter(({ state }) => state === 'firing')
        .map(({ name, alerts }) => `${name} ${alerts[0]?.labels['connection']}`);
    await expect
      .poll(ringing, { timeout: 60_000, interval: 200 })
      .toEqual(
        expect.arrayContaining([`SealgateKmsEndpointDown ${connection}`, `SealgateKmsDown ${connection}`]),
      );
    const stateOf = async (rule: string) =>
      (await ruleStates(isShipped)).find(({ name }) => name === rule)?.state;
    await expect
      .poll(async () => await stateOf('SealgateKmsDown'), { timeout: 30_000, interval: 200 })
      .toBe('pending');
    const shipped = await ruleStates(isShipped);
    expect(
      shipped.find(({ name }) => name === 'SealgateKmsEndpointDown')?.alerts[0]?.labels['endpoint'],
    ).toBe(`${installation.cluster.nodeAddress}:${installation.kms.port}`);
  });
});
