/**
 * The life of an installation under Helm: upgrade from the version before, a change of settings, rollback, uninstall, and
 * an installation anew that finds everything again. In order: each step starts from what the one before left.
 */
import path from 'node:path';
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHART } from '../../harness/chart.ts';
import type { Cluster } from '../../harness/cluster/cluster.ts';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { importProductImage } from '../../harness/cluster/productImage.ts';
import { monitoringDefinitions } from '../../harness/cluster/programs.ts';
import { grantedRights, requestsOf, usedRights } from '../../harness/cluster/rights.ts';
import { type Load, type LoadReport, startLoad } from '../../harness/cluster/s3Load.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';

const NAMESPACE = 'cycle';
const TEAM = `${NAMESPACE}-team`;
/** What a restart of the embedded form may take from clients. */
const LONGEST_GAP_MS = 15_000;

const OLD = 'from the version before';

const APPLIED =
  'the API server asks for it when an object that is not there is applied; its log names the patch alone';
const REPEATED = 'an Event that happens again within ten minutes becomes a series';
/** What the operator may do and did not have to here, or did not have to by the log: why it needs the right. */
const RARELY_USED = {
  '*: get kmsconnections.sealgate.io': 'a KMSConnection that is deleted is read before anything is done',
  [`${TEAM}: get configmaps`]: 'the authority of a KMS lies in a ConfigMap (caBundleRef)',
  [`${TEAM}: patch secrets`]: 'credentials of an access Secret are rotated, or S3 moves to another address',
  [`${TEAM}: patch events.events.k8s.io`]: REPEATED,
  [`${NAMESPACE}: patch events.events.k8s.io`]: REPEATED,
  [`${NAMESPACE}: create networkpolicies.networking.k8s.io`]: APPLIED,
  [`${NAMESPACE}: create prometheusrules.monitoring.coreos.com`]: APPLIED,
  [`${NAMESPACE}: create serviceaccounts`]: APPLIED,
  [`${NAMESPACE}: create servicemonitors.monitoring.coreos.com`]: APPLIED,
  [`${NAMESPACE}: create services`]: APPLIED,
  [`${NAMESPACE}: create statefulsets.apps`]: APPLIED,
};

let cluster: Cluster;
/** The image of the version before. */
let before: string;
let installation: Installation;
let s3: S3Client;
let reader: S3Client;
/** Indexes in the audit log. */
let uninstalledFrom = 0;
let installedAnewFrom = 0;

/** kubectl with the words of a line, and those that have spaces. */
async function kubectl(line: string, ...words: readonly string[]): Promise<string> {
  return await cluster.kubectl([...line.split(' '), ...words]);
}

/** helm, as kubectl(). */
async function helm(line: string, ...words: readonly string[]): Promise<string> {
  return await cluster.helm([...line.split(' '), ...words]);
}

async function jsonpath(resource: string, at: string, pathInIt: string): Promise<string> {
  return await kubectl(`get ${resource} -n ${at} -o jsonpath={${pathInIt}}`);
}

/** Resolves when the data-plane pod runs this image and is Ready. */
async function runs(image: string): Promise<void> {
  const at = `pod/${NAMESPACE}-0 -n ${NAMESPACE} --timeout=60s`;
  await kubectl(`wait ${at} --for=jsonpath={.spec.containers[0].image}=${image}`);
  await installation.dataPlaneReady();
}

/** Does something under load, and resolves when requests are served afterwards. */
async function underLoad(name: string, done: () => Promise<void>): Promise<LoadReport & { lost: string[] }> {
  const load: Load = await startLoad({ s3, reader, bucket: 'invoices', prefix: name });
  await done();
  await load.served();
  const report = await load.stop();
  process.stdout.write(
    `${name}: ${report.acknowledged} writes acknowledged, longest gap ${report.gapMs} ms, failures ${JSON.stringify(report.failures)}\n`,
  );
  return { ...report, lost: await load.lost() };
}

async function declareBucket(name: string): Promise<void> {
  await installation.declareBucket(name, {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: `${name}-s3` }],
  });
}

/** The installation Secret, in one word. */
async function installationKey(): Promise<string> {
  return await jsonpath(`secret/${NAMESPACE}-installation`, NAMESPACE, '.data');
}

/** Uids and restarts of the pods of data plane and operator, or of one. */
async function podsAndRestarts(component = 'dataplane,operator'): Promise<string> {
  const fields = '{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}';
  const selector = `app.kubernetes.io/component in (${component})`;
  return await kubectl(`get pods -n ${NAMESPACE}`, '-l', selector, '-o', `jsonpath=${fields}`);
}

/** How many configurations the data plane has taken over since it started. */
async function configurationsApplied(): Promise<number> {
  const metrics = await kubectl(
    `get --raw /api/v1/namespaces/${NAMESPACE}/pods/${NAMESPACE}-0:9002/proxy/metrics`,
  );
  return Number(/^sealgate_config_loads_total\{result="applied"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

/** What must outlive a release. */
async function keptObjects(): Promise<string[]> {
  const made = 'statefulset,service,secret,serviceaccount';
  const own = await kubectl(
    `get ${made} -n ${NAMESPACE} -l app.kubernetes.io/managed-by=sealgate-operator -o name`,
  );
  const claims = await kubectl(`get persistentvolumeclaim -n ${NAMESPACE} -o name`);
  const resources = await kubectl(`get sealgate,secret -n ${TEAM} -o name`);
  const definitions = await kubectl(
    'get crd,validatingadmissionpolicy,validatingadmissionpolicybinding -o name',
  );
  return `${own}${claims}${resources}${definitions}`.split('\n');
}

async function oldObject(): Promise<string | undefined> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'invoices', Key: 'old.txt' }));
  return await Body?.transformToString();
}

beforeAll(async () => {
  cluster = sharedCluster();
  before = await importProductImage(cluster, 'before');
  const folder = path.join(cluster.folder, 'charts');
  await helm('package --version 0.0.9 --app-version 0.0.9', CHART, '-d', folder);
  installation = await installSealgate({
    cluster,
    namespace: NAMESPACE,
    image: before,
    chart: path.join(folder, 'sealgate-0.0.9.tgz'),
    // The tests' cluster has the custom resources already, and they are no release's yet.
    flags: ['--take-ownership'],
    values: { 'crds.enabled': 'true', 'fleet.resources.requests.cpu': '1' },
  });
  await installation.connectKms('keysecure');
  for (const name of ['invoices', 'spare', 'later']) await declareBucket(name);
  for (const name of ['spare', 'invoices']) {
    await installation.waitFor(`encryptedbucket/${name}`, 'Ready');
    const secret = await installation.secret(`${name}-s3`);
    s3 = await installation.s3(secret);
    reader = await installation.s3(secret, { maxAttempts: 20 });
    await s3.send(new PutObjectCommand({ Bucket: name, Key: 'old.txt', Body: OLD }));
  }
});

afterAll(async () => {
  await installation?.close();
});

describe('a release', () => {
  it('is upgraded under load with a gap of at most 15 s, and no acknowledged write is lost', async () => {
    const report = await underLoad('upgrade', async () => {
      await installation.upgrade({ image: sharedImage(), chart: CHART, values: { 'fleet.workers': '2' } });
      await runs(sharedImage());
    });
    expect(report.gapMs).toBeLessThanOrEqual(LONGEST_GAP_MS);
    expect(report.lost).toEqual([]);
    expect(await oldObject()).toBe(OLD);
  });

  it('takes changed settings without a restart and without a failed request', async () => {
    const [pods, applied] = [await podsAndRestarts(), await configurationsApplied()];
    const report = await underLoad('change of settings', async () => {
      await installation.upgrade({
        values: { 'fleet.policy.copyToPlain': 'Refused', 'tests.kmsConnectionRef.name': 'keysecure' },
      });
      await expect.poll(configurationsApplied, { timeout: 30_000, interval: 200 }).toBeGreaterThan(applied);
    });
    expect(report).toMatchObject({ failures: {}, lost: [] });
    expect(await podsAndRestarts()).toBe(pods);
  });

  it('is tried by helm test, down to the ciphertext on the volume', async () => {
    await installation.connectKms('keysecure', {}, NAMESPACE);
    await installation.waitFor('kmsconnection/keysecure', 'Ready', NAMESPACE);
    const said = await helm(`test ${NAMESPACE} -n ${NAMESPACE} --timeout 60s --logs`);
    expect(said).toMatch(/ok {2}\S+ has \d+ bytes of ciphertext, under a key of cycle\/keysecure/);
    expect(said).toContain('ok  the 262144 bytes that came back are those that were put');
    await kubectl(`wait --for=delete encryptedbucket/${NAMESPACE}-test -n ${NAMESPACE} --timeout=30s`);
  });

  it('is rolled back under load with a gap of at most 15 s, and no acknowledged write is lost', async () => {
    const report = await underLoad('rollback', async () => {
      await helm(`rollback ${NAMESPACE} 1 -n ${NAMESPACE} --wait --timeout 90s`);
      await runs(before);
    });
    expect(report.gapMs).toBeLessThanOrEqual(LONGEST_GAP_MS);
    expect(report.lost).toEqual([]);
    expect(await oldObject()).toBe(OLD);
  });

  it('goes without a failed request: data plane, data, keys and resources stay', async () => {
    const [kept, pods] = [await keptObjects(), await podsAndRestarts('dataplane')];
    uninstalledFrom = (await cluster.auditEvents()).length;
    const report = await underLoad('uninstall', async () => {
      await helm(`uninstall ${NAMESPACE} -n ${NAMESPACE} --wait --timeout 60s`);
    });
    expect(report).toMatchObject({ failures: {}, lost: [] });
    expect(await keptObjects()).toEqual(kept);
    expect(await podsAndRestarts('dataplane')).toBe(pods);
    expect(await kubectl(`get deployment -n ${NAMESPACE} -o name`)).toBe('');
  });
});

describe('a bucket that is deleted while there is no operator', () => {
  it('stays, force-delete or not, until its finalizer is taken off by hand', async () => {
    await kubectl(`delete encryptedbucket spare later --wait=false -n ${TEAM}`);
    await kubectl(`annotate encryptedbucket spare -n ${TEAM} sealgate.io/force-delete=true`);
    expect(await jsonpath('encryptedbucket/spare', TEAM, '.metadata.deletionTimestamp')).not.toBe('');
    await kubectl(`patch encryptedbucket spare -n ${TEAM} --type=merge -p {"metadata":{"finalizers":null}}`);
    await kubectl(`wait --for=delete encryptedbucket/spare -n ${TEAM} --timeout=10s`);
  });
});

describe('an installation anew', () => {
  it('under another name is refused until it may take over the custom resources', async () => {
    await expect(installation.upgrade({ release: 'again' })).rejects.toThrow(/invalid ownership metadata/);
  });

  it('finds everything again: installation key, pods as they run, buckets, objects and what waits', async () => {
    for (const file of monitoringDefinitions()) await kubectl('create -f', file);
    const [key, pods] = [await installationKey(), await podsAndRestarts('dataplane')];
    installedAnewFrom = (await cluster.auditEvents()).length;
    await installation.upgrade({
      release: 'again',
      flags: ['--take-ownership'],
      image: before,
      values: { 'fleet.workers': 'auto', 'fleet.policy.copyToPlain': 'Allowed' },
    });
    await kubectl(`wait --for=delete encryptedbucket/later -n ${TEAM} --timeout=60s`);
    await declareBucket('spare');
    await installation.waitFor('encryptedbucket/spare', 'Ready');
    expect(await installationKey()).toBe(key);
    expect(await podsAndRestarts('dataplane')).toBe(pods);
    const spare = await installation.secret('spare-s3');
    const { Body } = await (await installation.s3(spare)).send(
      new GetObjectCommand({ Bucket: 'spare', Key: 'old.txt' }),
    );
    expect(await Body?.transformToString()).toBe(OLD);
    expect(await oldObject()).toBe(OLD);
    expect(await installation.conditions('encryptedbucket/invoices')).toMatchObject({ Ready: 'True Ready' });
  });

  it('is watched through the Prometheus operator where the cluster has it, and no more when that is not wanted', async () => {
    const optional = 'servicemonitor,prometheusrule,networkpolicy';
    const own = `-n ${NAMESPACE} -l app.kubernetes.io/managed-by=sealgate-operator`;
    const made = async (): Promise<string[]> =>
      (await kubectl(`get ${optional} ${own} -o name`)).trim().split('\n').toSorted();
    expect(await made()).toEqual([
      'networkpolicy.networking.k8s.io/cycle-dataplane',
      'prometheusrule.monitoring.coreos.com/cycle',
      'servicemonitor.monitoring.coreos.com/cycle-dataplane',
      'servicemonitor.monitoring.coreos.com/cycle-operator',
    ]);
    const off = ['networkPolicy', 'prometheusRule', 'serviceMonitor'].map((name) => [
      `fleet.${name}.enabled`,
      'false',
    ]);
    await installation.upgrade({ values: Object.fromEntries(off) });
    await expect.poll(made, { timeout: 30_000, interval: 200 }).toEqual(['']);
  });
});

describe('a second installation', () => {
  it('lives beside the first without the custom resources, asks for nothing of it, and leaves it as it is', async () => {
    const [kept, pods] = [await keptObjects(), await podsAndRestarts()];
    const [repository = '', tag = ''] = before.split(':');
    const values = {
      'crds.enabled': 'false',
      watchNamespaces: '{second}',
      'fleet.storage.storageClassName': 'local',
      'image.repository': repository,
      'image.tag': tag,
    };
    await helm(
      'install second -n second --create-namespace --wait --timeout 60s',
      CHART,
      ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    );
    const account = { namespace: 'second', name: 'second-operator' };
    await expect
      .poll(async () => usedRights(requestsOf(await cluster.auditEvents(), account)), { timeout: 30_000 })
      .toContain('second: patch statefulsets.apps');
    const requests = requestsOf(await cluster.auditEvents(), account);
    expect(new Set(usedRights(requests).map((one) => one.split(':')[0]))).toEqual(new Set(['*', 'second']));
    await helm('uninstall second -n second --wait --timeout 60s');
    expect(await keptObjects()).toEqual(kept);
    expect(await podsAndRestarts()).toBe(pods);
  });
});

describe('the rights of the operator', () => {
  const account = { namespace: NAMESPACE, name: `${NAMESPACE}-operator` };

  it('are those that it uses, by the audit log, and are always enough', async () => {
    const events = await cluster.auditEvents();
    // Helm takes the roles away while the operator ends: then it cannot give its lease back, which the next waits for.
    const installed = events.filter((_, index) => index < uninstalledFrom || index >= installedAnewFrom);
    const forbidden = requestsOf(installed, account).filter(
      ({ responseStatus }) => responseStatus?.code === 403,
    );
    expect(forbidden.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
    const requests = requestsOf(events, account);
    const granted = await grantedRights(cluster, account);
    const everywhere = (right: string): string => `*${right.slice(right.indexOf(':'))}`;
    // What is granted in all namespaces at once is used in one of them.
    const used = usedRights(requests).map((right) =>
      granted.includes(everywhere(right)) ? everywhere(right) : right,
    );
    expect(used.filter((right) => !granted.includes(right))).toEqual([]);
    const rare = Object.keys(RARELY_USED);
    expect(granted.filter((right) => !used.includes(right) && !rare.includes(right))).toEqual([]);
    expect(rare.filter((right) => !granted.includes(right))).toEqual([]);
  });
});
