/**
 * A data-plane pod on a control plane without nodes: its object is the API server's, its process is one of this machine,
 * and what kubelet would do between the two is done here.
 *
 * Owns the Pod object, the process and the folder that stands for the pod's mounts. The configuration is the operator's,
 * but for addresses and paths: all listen on the loopback, at free ports.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { fleetNames } from '../../../operator/fleet/names.ts';
import { POD, SECRET } from '../../../operator/kube/kinds.ts';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';
import { type Sealgate, startSealgate } from '../../harness/sealgate.ts';
import { type Runtime, until } from '../operatorRuntime/cluster.ts';

export interface HostedPodOptions {
  readonly plane: ControlPlane;
  readonly runtime: Runtime;
  /** Where the fleet is, and its name. */
  readonly namespace: string;
  readonly fleetName: string;
  /** For configuration and data. */
  readonly folder: string;
}

export interface HostedPod {
  readonly process: Sealgate;
  /**
   * Ends the process as a crash does, and starts it again on the data as `meanwhile` leaves them in their folder; the
   * pod's object follows.
   */
  restart(meanwhile: (dataFolder: string) => Promise<void>): Promise<void>;
  /** Ends everything; the object stays. */
  close(): Promise<void>;
}

type Files = Readonly<Record<string, string>>;

const secretData = z.record(z.string(), z.string());

function filesOf(secret: KubeObject | undefined): Files {
  const data = secretData.parse(secret?.['data'] ?? {});
  return Object.fromEntries(
    Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64').toString('utf8')]),
  );
}

/** Starts when the operator has made the fleet's Secrets, and resolves when the pod's object says that it runs. */
export async function startHostedPod({
  plane,
  runtime,
  namespace,
  fleetName,
  folder,
}: HostedPodOptions): Promise<HostedPod> {
  const names = fleetNames(fleetName);
  const { client } = runtime;
  const secrets = await runtime.cache({ type: SECRET, namespaces: [namespace] });
  const filesIn = (name: string): Files => filesOf(secrets.get({ namespace, name }));
  await until(secrets, () =>
    [names.configSecret, names.installationSecret, names.rootSecret].every(
      (name) => Object.keys(filesIn(name)).length > 0,
    ),
  );

  const connections = path.join(folder, 'connections');
  await mkdir(connections, { recursive: true });
  for (const name of [names.configSecret, names.installationSecret, names.rootSecret]) {
    await mount(folder, filesIn(name));
  }
  const configPatch = (config: Record<string, unknown>): void => {
    const { s3, admin, monitoring, metadata, blobs } = config;
    const rendered = z
      .record(z.string(), z.unknown())
      .parse(JSON.parse(filesIn(names.configSecret)['sealgate.json'] ?? ''));
    Object.assign(config, rendered, { metadata, blobs, workers: 1 });
    for (const [name, server] of Object.entries({ s3, admin, monitoring })) {
      const { listen } = z.object({ listen: z.string() }).parse(server);
      config[name] = { ...z.record(z.string(), z.unknown()).parse(rendered[name]), listen };
    }
  };
  const start = async (): Promise<Sealgate> => await startSealgate({ folder, configPatch });
  let running = await start();
  let mounting = Promise.resolve();
  const mountConnections = (): void => {
    const wanted = Object.assign({}, ...names.connectionSecrets.map(filesIn)) as Files;
    mounting = mounting.then(async () => {
      await mount(connections, wanted);
      for (const name of await readdir(connections)) {
        if (!(name in wanted)) await rm(path.join(connections, name));
      }
    });
  };
  mountConnections();
  const unsubscribe = secrets.subscribe(mountConnections);
  const tell = async (): Promise<void> => {
    const key = { namespace, name: names.pod };
    if ((await client.get(POD, key)) !== null) {
      await plane.kubectl(['-n', namespace, 'delete', 'pod', names.pod, '--force', '--grace-period=0']);
    }
    await client.create(POD, podObject(fleetName, key, Number(new URL(running.adminEndpoint).port)));
    const state = { running: { startedAt: new Date().toISOString() } };
    const container = { name: 'dataplane', image: 'none', imageID: '', ready: true, restartCount: 0, state };
    const status = { phase: 'Running', podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] };
    await client.mergePatch(
      POD,
      key,
      { status: { ...status, containerStatuses: [container] } },
      { subresource: 'status' },
    );
  };
  await tell();
  return {
    get process() {
      return running;
    },
    restart: async (meanwhile) => {
      await running.kill();
      await meanwhile(running.dataFolder);
      running = await start();
      await tell();
    },
    close: async () => {
      unsubscribe();
      await mounting;
      await running.kill();
    },
  };
}

/** Certificates and credentials first: the documents name them. */
async function mount(folder: string, files: Files): Promise<void> {
  const isDocument = (name: string): boolean => name.endsWith('.json') && !name.includes('credentials');
  const documentsLast = Object.entries(files).toSorted(
    ([a], [b]) => Number(isDocument(a)) - Number(isDocument(b)),
  );
  for (const [name, text] of documentsLast) {
    const file = path.join(folder, name);
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

function podObject(
  fleetName: string,
  metadata: { namespace: string; name: string },
  port: number,
): KubeObject {
  const labels = {
    'app.kubernetes.io/name': 'sealgate',
    'app.kubernetes.io/instance': fleetName,
    'app.kubernetes.io/component': 'dataplane',
  };
  const container = { name: 'dataplane', image: 'none', ports: [{ name: 'admin', containerPort: port }] };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, labels },
    spec: {
      serviceAccountName: `${fleetName}-dataplane`,
      automountServiceAccountToken: false,
      containers: [container],
    },
  };
}
