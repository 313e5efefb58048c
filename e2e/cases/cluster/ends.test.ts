import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { BUSYBOX_IMAGE } from '../../harness/cluster/busyboxImage.ts';
import { type Cluster, openCluster } from '../../harness/cluster/cluster.ts';
import { type ProcessIdentity, recordedProcesses, whenEnded } from '../../harness/cluster/processes.ts';
import { machineState, remainsOf } from '../../harness/cluster/remains.ts';

const PROGRAM = fileURLToPath(new URL('../../harness/cluster/heldCluster.ts', import.meta.url));

const NOTHING = { processes: [], networks: [], cgroups: [], folder: false };

interface Held {
  readonly process: ChildProcess;
  readonly folder: string;
}

const started: ChildProcess[] = [];

afterAll(() => {
  for (const process of started) process.kill('SIGKILL');
});

/** A pod on each node; each reaches the other, and so does this machine from within the cluster's network. */
async function expectPodsToMeet(cluster: Cluster): Promise<void> {
  const names = cluster.nodes.map((node) => `on-${node.name}`);
  const command = ['sh', '-c', 'hostname >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'];
  const pods = cluster.nodes.map((node, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: names[index] },
    spec: { nodeName: node.name, containers: [{ name: 'web', image: BUSYBOX_IMAGE, command }] },
  }));
  await cluster.apply(...pods);
  const targets = names.map((name) => `pod/${name}`);
  await cluster.kubectl(['wait', '--for=condition=Ready', '--timeout=60s', ...targets]);
  const format = 'jsonpath={.status.podIP}';
  for (const name of names) {
    const address = await cluster.kubectl(['get', 'pod', name, '-o', format]);
    const get = ['wget', '-q', '-O', '-', `http://${address}:8080/`];
    expect((await cluster.inNetwork(['busybox', ...get])).trim()).toBe(name);
    for (const from of names) {
      expect((await cluster.kubectl(['exec', from, '--', ...get])).trim()).toBe(name);
    }
  }
}

/** A process that has started a cluster, and waits. */
async function hold(nodes: 1 | 2): Promise<Held> {
  const child = spawn(process.execPath, [PROGRAM, String(nodes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(90_000);
  const ended = once(child, 'exit', { signal }).then(() =>
    Promise.reject(new Error('it started no cluster')),
  );
  const [folder] = (await Promise.race([once(lines, 'line', { signal }), ended])) as [string];
  return { process: child, folder };
}

/** The process that removes the cluster when its starter has ended. */
function keeperOf({ folder }: Held): ProcessIdentity {
  const keeper = recordedProcesses(folder).find(({ name }) => name === 'keeper');
  if (keeper === undefined) throw new Error('the cluster has no keeper');
  return keeper;
}

async function kill({ process }: Held): Promise<void> {
  process.kill('SIGKILL');
  await once(process, 'exit');
}

/** Resolves when the folder is gone, which is the last thing to be removed. */
async function whenRemoved(folder: string): Promise<void> {
  const parent = path.dirname(folder);
  const watcher = watch(parent);
  try {
    const signal = AbortSignal.timeout(60_000);
    while ((await remainsOf(folder)).folder) await once(watcher, 'change', { signal });
  } finally {
    watcher.close();
  }
}

describe('a cluster whose starter is killed', () => {
  it('leaves no process, mount, network or cgroup, and a next one starts and removes what even its keeper could not', async () => {
    const machine = await machineState();
    const first = await hold(1);
    const before = await remainsOf(first.folder);
    expect(before.processes.length).toBeGreaterThan(8);
    expect(before.networks.length).toBeGreaterThan(0);
    expect(before.cgroups.length).toBeGreaterThan(0);
    // Both at once: nothing is left that could clean up.
    process.kill(keeperOf(first).pid, 'SIGKILL');
    await kill(first);
    expect((await remainsOf(first.folder, before.networks)).processes.length).toBeGreaterThan(8);

    const second = await hold(2);
    expect(await remainsOf(first.folder, before.networks)).toEqual(NOTHING);
    await expectPodsToMeet(openCluster(second.folder));

    const then = await remainsOf(second.folder);
    expect(then.cgroups.length).toBeGreaterThan(before.cgroups.length);
    const keeper = keeperOf(second);
    await kill(second);
    await whenRemoved(second.folder);
    await whenEnded(keeper);
    expect(await remainsOf(second.folder, then.networks)).toEqual(NOTHING);
    expect(await machineState()).toEqual(machine);
  });
});
