/**
 * A real Prometheus in a pod, set up by docs/samples/prometheus, finds data plane and operator through Kubernetes, and the
 * shipped alerts work on what it sees.
 */
import { readFile } from 'node:fs/promises';
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
} from '../../harness/alertRules.ts';
import {
  PROMETHEUS,
  type Prometheus,
  startClusterPrometheus,
} from '../../harness/cluster/clusterPrometheus.ts';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { grantedRights, requestsOf, usedRights } from '../../harness/cluster/rights.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';

/** The samples' names: those of docs/install.md. */
const { namespace } = PROMETHEUS;

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
const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      status: z.object({ podIP: z.string().optional() }),
    }),
  ),
});
const series = z.array(z.record(z.string(), z.string()));

let installation: Installation;
let prometheus: Prometheus;

/** The rules about the KMS a second time, without their waiting. */
async function impatientRules(): Promise<string> {
  const text = await readFile(path.join(RULES, 'kms.yaml'), 'utf8');
  return text.replace('name: sealgate-kms', 'name: impatient').replaceAll(/for: \w+/g, 'for: 0s');
}

beforeAll(async () => {
  const cluster = sharedCluster();
  installation = await installSealgate({ cluster, namespace, image: sharedImage() });
  await installation.connectKms('keysecure');
  await installation.declareBucket('invoices', {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3' }],
  });
  await installation.waitFor('encryptedbucket/invoices', 'Ready');
  const s3 = await installation.s3(await installation.secret('invoices-s3'));
  await s3.send(new PutObjectCommand({ Bucket: 'invoices', Key: 'a.txt', Body: 'invoice 4711' }));
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'impatient', namespace },
    data: { 'impatient.yaml': await impatientRules() },
  });
  prometheus = await startClusterPrometheus(cluster, ['sealgate-alerts', 'impatient']);
}, 240_000);

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
  it('finds and scrapes the pods of data plane and operator, and nothing else', async () => {
    const pods = podList.parse(
      JSON.parse(await installation.cluster.kubectl(['get', 'pods', '-n', namespace, '-o', 'json'])),
    ).items;
    const target = (component: string, service: string, port: number) => {
      const pod = pods.find(({ metadata }) => metadata.labels['app.kubernetes.io/component'] === component);
      const labels = { job: 'sealgate', namespace, pod: pod?.metadata.name, service };
      return { ...labels, instance: `${pod?.status.podIP}:${port}`, health: 'up' };
    };
    const found = async () =>
      (await prometheus.ask('targets?state=active', targets)).activeTargets
        .toSorted((one, other) => byName(`${one.labels['service']}`, `${other.labels['service']}`))
        .map(({ labels, health }) => ({ ...labels, health }));
    await expect
      .poll(found, { timeout: 30_000, interval: 200 })
      .toEqual([
        target('dataplane', 'sealgate-metrics', 9002),
        target('operator', 'sealgate-operator-metrics', 9003),
      ]);
  });

  it('needs the rights that the sample gives, and no other', async () => {
    const { cluster } = installation;
    const requests = requestsOf(await cluster.auditEvents(), PROMETHEUS);
    const refused = requests.filter(({ responseStatus }) => responseStatus?.code === 403);
    expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
    const granted = await grantedRights(cluster, PROMETHEUS);
    // Before it watches it lists, but for API servers that let a watch begin with what is there.
    const needed = usedRights(requests).flatMap((right) => [right, right.replace(': watch ', ': list ')]);
    expect(granted).toEqual([...new Set(needed)].toSorted());
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
    // `namespace` is the target's where a metric has none of its own.
    const ofTarget = new Set(['__name__', 'job', 'instance', 'pod', 'service', 'namespace']);
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
    // The namespace of the resource, which the target's, of the same name, does not replace.
    const notReady = async () =>
      (await ruleStates(isShipped))
        .find(({ name }) => name === 'SealgateKmsConnectionNotReady')
        ?.alerts.map(({ labels }) => `${labels['namespace']}/${labels['name']}`);
    // The operator looks at a KMS that was well once a minute.
    await expect.poll(notReady, { timeout: 120_000, interval: 200 }).toEqual([connection]);
  });
});
