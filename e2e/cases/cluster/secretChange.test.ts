/**
 * How soon a change of a Secret or of the fleet's settings is in force on a pod that goes on running, although kubelet by
 * itself looks at mounted Secrets once a minute.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Status } from '../../../dataplane/admin/schema/status.ts';
import { AdminClient } from '../../../operator/admin/adminClient.ts';
import { systemClock, wait } from '../../../operator/clock.ts';
import { ADMIN_SERVER_NAME, fleetNames, PORTS } from '../../../operator/fleet/names.ts';
import { type CertificateFiles, makeClientCertificate } from '../../harness/certificates.ts';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';
import { Runtime, until } from '../operatorRuntime/cluster.ts';

const NAMESPACE = 'changes';
const CONNECTION = 'keysecure';
const LIMIT_MS = 5_000;
/** Certificates one after the other, each valid for another number of days. */
const CHANGES = [20, 21, 22];

let installation: Installation;
let admin: AdminClient;

beforeAll(async () => {
  installation = await installSealgate({
    cluster: sharedCluster(),
    namespace: NAMESPACE,
    image: sharedImage(),
  });
  await installation.connectKms(CONNECTION);
  await installation.waitFor(`kmsconnection/${CONNECTION}`, 'Ready');
  const [config, authority] = [
    await installation.secret(fleetNames(NAMESPACE).configSecret, NAMESPACE),
    await installation.secret(fleetNames(NAMESPACE).caSecret, NAMESPACE),
  ];
  const port = await installation.cluster.forward(await podField('.status.podIP'), PORTS.admin);
  admin = new AdminClient(
    { host: '127.0.0.1', port, caBundle: authority['ca.crt'] ?? '', serverName: ADMIN_SERVER_NAME },
    {
      token: () => (config['admin.token'] ?? '').split('\n')[0] ?? '',
      epoch: () => null,
      deposed: () => undefined,
    },
  );
});

afterAll(async () => {
  await admin?.close();
  await installation?.close();
});

async function podField(field: string): Promise<string> {
  const { cluster } = installation;
  return await cluster.kubectl([
    'get',
    'pod',
    `${NAMESPACE}-0`,
    '-n',
    NAMESPACE,
    '-o',
    `jsonpath={${field}}`,
  ]);
}

/** What a restart would change. */
const lifeOfPod = async (): Promise<string> =>
  await podField(
    '.metadata.uid} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].containerID',
  );

/** ms until the pod says so. Rejects after half a minute. */
async function untilPod(isSo: (status: Status) => boolean, sinceMs: number): Promise<number> {
  const deadline = AbortSignal.timeout(30_000);
  for (;;) {
    const status = await admin.status(deadline);
    if (isSo(status)) return performance.now() - sinceMs;
    await wait(systemClock, 20, deadline);
  }
}

async function renew(days: number): Promise<CertificateFiles> {
  const { ca, caKey } = installation.kms.certificates;
  const folder = path.join(installation.kms.folder, `renewed-${days}`);
  await mkdir(folder);
  return await makeClientCertificate({ folder, ca, caKey }, 'sealgate', days);
}

test('a new client certificate is in force on the pod within five seconds, and the resource says so', async () => {
  const { cluster, team } = installation;
  const life = await lifeOfPod();
  const took: number[] = [];
  for (const days of CHANGES) {
    const { cert, key } = await renew(days);
    const data = {
      'tls.crt': await readFile(cert, 'base64'),
      'tls.key': await readFile(key, 'base64'),
      'ca.crt': await readFile(installation.kms.certificates.ca, 'base64'),
    };
    const ours = ({ kms }: Status) => kms.find(({ name }) => name === `${team}/${CONNECTION}`);
    const before = ours(await admin.status())?.revision;
    const sinceMs = performance.now();
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      data,
      metadata: { name: `${CONNECTION}-client`, namespace: team },
    });
    took.push(await untilPod((status) => ours(status)?.revision !== before, sinceMs));
    const end = Date.parse(ours(await admin.status())?.certificateNotAfter ?? '');
    expect(Math.round((end - Date.now()) / 86_400_000)).toBe(days);
    const notAfter = new Date(end).toISOString().replace('.000', '');
    await cluster.kubectl([
      'wait',
      `--for=jsonpath={.status.certificateNotAfter}=${notAfter}`,
      `kmsconnection/${CONNECTION}`,
      `--namespace=${team}`,
      '--timeout=30s',
    ]);
    await installation.waitFor(`kmsconnection/${CONNECTION}`, 'FleetSynced');
    await installation.waitFor(`kmsconnection/${CONNECTION}`, 'Ready');
  }
  process.stdout.write(
    `a Secret was in force after ${took.map((ms) => (ms / 1_000).toFixed(1)).join(', ')} s\n`,
  );
  expect(Math.max(...took)).toBeLessThan(LIMIT_MS);
  expect(await lifeOfPod()).toBe(life);
});

test('a new setting of the fleet is in force within five seconds of the upgrade, and no pod starts anew', async () => {
  const { cluster } = installation;
  const life = await lifeOfPod();
  const runtime = new Runtime(cluster.kubeconfig);
  try {
    const configMaps = await runtime.cache({ namespaces: [NAMESPACE] });
    const key = { namespace: NAMESPACE, name: fleetNames(NAMESPACE).fleetConfigMap };
    const versionBefore = configMaps.get(key)?.metadata.resourceVersion;
    const { revision } = (await admin.status()).config;
    const upgraded = installation.upgrade({ values: { 'fleet.logLevel': 'debug' } });
    await until(configMaps, () => configMaps.get(key)?.metadata.resourceVersion !== versionBefore);
    const ms = await untilPod(({ config }) => config.revision !== revision, performance.now());
    process.stdout.write(`a setting of the fleet was in force after ${(ms / 1_000).toFixed(1)} s\n`);
    await upgraded;
    expect(ms).toBeLessThan(LIMIT_MS);
    expect((await admin.status()).config.refused).toBeNull();
    expect(await lifeOfPod()).toBe(life);
  } finally {
    await runtime.close();
  }
});
