/**
 * Plays kubelet for the one pod of a fleet on a control plane without nodes: mounts the rendered Secrets into a folder,
 * runs the real data plane on it, and makes the Pod object that says so.
 *
 * Owns the mounts, the process and the pod's status. The rendered configuration is used as it is but for addresses and
 * folders, which are those of this machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { systemClock } from '../../../operator/clock.ts';
import { selectorLabels } from '../../../operator/fleet/labels.ts';
import { fleetNames } from '../../../operator/fleet/names.ts';
import { ObjectCache } from '../../../operator/kube/cache.ts';
import { POD, SECRET } from '../../../operator/kube/kinds.ts';
import { Reflector } from '../../../operator/kube/reflector.ts';
import { freePort } from '../../harness/freePort.ts';
import { log, type Runtime, until } from '../operatorRuntime/cluster.ts';

const LAUNCHER = fileURLToPath(new URL('../../../dataplane/sealgate', import.meta.url));

export interface KubeletOptions {
  readonly runtime: Runtime;
  readonly folder: string;
  readonly fleet: { readonly name: string; readonly namespace: string };
}

export interface Kubelet extends AsyncDisposable {
  readonly dataPlanePid: number;
}

const secretData = z.object({ data: z.record(z.string(), z.string()).default({}) });
const config = z.looseObject({ s3: z.looseObject({}), admin: z.looseObject({}) });

type Ports = Readonly<Record<'s3' | 'admin' | 'monitoring', number>>;

/** Resolves when the data plane is ready and its Pod object says so. */
export async function startKubelet({ runtime, folder, fleet }: KubeletOptions): Promise<Kubelet> {
  const end = new AbortController();
  const { namespace } = fleet;
  const secrets = new ObjectCache({ type: SECRET, namespaces: [namespace] });
  const reflector = new Reflector({
    api: runtime.client,
    cache: secrets,
    namespaces: [namespace],
    log,
    metrics: runtime.metrics,
    clock: systemClock,
    random: Math.random,
  });
  const reflected = reflector.run(end.signal);
  const names = fleetNames(fleet.name);
  const ports: Ports = { s3: await freePort(), admin: await freePort(), monitoring: await freePort() };
  const mounts = [
    new Mount(path.join(folder, 'etc'), [names.configSecret, names.installationSecret, names.rootSecret]),
    new Mount(path.join(folder, 'etc', 'connections'), names.connectionSecrets),
  ];
  const contentOf = (name: string): Readonly<Record<string, string>> | undefined => {
    const secret = secrets.get({ namespace, name });
    if (secret === undefined) return undefined;
    const files = Object.entries(secretData.parse(secret).data).map(([file, base64]): [string, string] => [
      file,
      Buffer.from(base64, 'base64').toString('utf8'),
    ]);
    return Object.fromEntries(
      files.map(([file, text]) => [file, file === 'sealgate.json' ? adapted(text, ports, folder) : text]),
    );
  };
  const mountAll = async (): Promise<void> => {
    for (const mount of mounts) await mount.bring(contentOf);
  };
  const needed = [names.configSecret, names.installationSecret, names.rootSecret];
  await until(secrets, () => needed.every((name) => secrets.get({ namespace, name }) !== undefined));
  await mkdir(path.join(folder, 'data'), { recursive: true });
  await mountAll();
  const child = spawn(LAUNCHER, ['serve', '--config', path.join(folder, 'etc', 'sealgate.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
  });
  const dataPlanePid = await readyPid(child);
  // One after the other: a mount is never brought by two.
  let bringing: Promise<void> = Promise.resolve();
  const unsubscribe = secrets.subscribe(() => {
    bringing = bringing.then(mountAll);
  });
  await runtime.client.create(POD, podObject(names.pod, fleet, ports));
  await runtime.client.apply(POD, podStatus(names.pod, namespace), { subresource: 'status' });
  return {
    dataPlanePid,
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      end.abort();
      await reflected;
      await bringing;
      if (child.exitCode === null && child.signalCode === null) {
        process.kill(dataPlanePid, 'SIGKILL');
        await once(child, 'exit');
      }
    },
  };
}

async function readyPid(child: ChildProcess): Promise<number> {
  const line = z.looseObject({ msg: z.string(), pid: z.int().default(0) });
  if (child.stdout === null) throw new Error('the data plane has no standard output');
  const lines = createInterface({ input: child.stdout });
  const said: string[] = [];
  const ready = new Promise<number>((resolve, reject) => {
    lines.on('line', (text) => {
      if (said.length < 50) said.push(text);
      const { msg, pid } = line.parse(JSON.parse(text));
      if (msg === 'ready') resolve(pid);
    });
    child.on('exit', () => reject(new Error(`the data plane ended:\n${said.join('\n')}`)));
  });
  return await ready;
}

/** The rendered configuration with this machine's addresses and folders. */
function adapted(text: string, ports: Ports, folder: string): string {
  const rendered = config.parse(JSON.parse(text));
  const at = (port: number): string => `127.0.0.1:${port}`;
  return JSON.stringify({
    ...rendered,
    s3: { ...rendered.s3, listen: at(ports.s3) },
    admin: { ...rendered.admin, listen: at(ports.admin) },
    monitoring: { listen: at(ports.monitoring) },
    metadata: { engine: 'sqlite', path: path.join(folder, 'data', 'metadata', 'metadata.db') },
    blobs: { engine: 'filesystem', path: path.join(folder, 'data', 'blobs') },
  });
}

/** A projected volume of Secrets, all optional, as kubelet's atomic writer keeps it. */
class Mount {
  readonly #folder: string;
  readonly #secrets: readonly string[];
  #present = '';
  #generation = 0;
  #files: readonly string[] = [];

  constructor(folder: string, secrets: readonly string[]) {
    this.#folder = folder;
    this.#secrets = secrets;
  }

  /** Nothing is touched when nothing differs. */
  async bring(contentOf: (secret: string) => Readonly<Record<string, string>> | undefined): Promise<void> {
    const files = Object.assign({}, ...this.#secrets.map((name) => contentOf(name) ?? {})) as Record<
      string,
      string
    >;
    const content = JSON.stringify(files);
    if (content === this.#present) return;
    this.#present = content;
    this.#generation += 1;
    const next = `..${this.#generation}`;
    const inFolder = (name: string): string => path.join(this.#folder, name);
    await mkdir(inFolder(next), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      await writeFile(inFolder(path.join(next, name)), text, { mode: 0o600 });
    }
    const before = this.#generation === 1 ? null : await readlink(inFolder('..data'));
    await symlink(next, inFolder('..data_tmp'));
    await rename(inFolder('..data_tmp'), inFolder('..data'));
    const names = Object.keys(files);
    for (const name of names.filter((one) => !this.#files.includes(one))) {
      await symlink(path.join('..data', name), inFolder(name));
    }
    for (const name of this.#files.filter((one) => !names.includes(one))) await rm(inFolder(name));
    this.#files = names;
    if (before !== null) await rm(inFolder(before), { recursive: true });
  }
}

function podObject(name: string, fleet: KubeletOptions['fleet'], { admin }: Ports) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: fleet.namespace, labels: { ...selectorLabels(fleet.name, 'dataplane') } },
    spec: {
      serviceAccountName: fleetNames(fleet.name).serviceAccount,
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'dataplane',
          image: 'sealgate:here',
          ports: [{ name: 'admin', containerPort: admin }],
        },
      ],
    },
  };
}

function podStatus(name: string, namespace: string) {
  const running = { running: { startedAt: new Date().toISOString().replace(/\.\d+/, '') } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    status: {
      phase: 'Running',
      podIP: '127.0.0.1',
      podIPs: [{ ip: '127.0.0.1' }],
      containerStatuses: [
        {
          name: 'dataplane',
          ready: true,
          restartCount: 0,
          image: 'sealgate:here',
          imageID: 'sha256:0',
          state: running,
        },
      ],
    },
  };
}
