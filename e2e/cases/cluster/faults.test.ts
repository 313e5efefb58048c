/** On the cluster: operators that are killed, stopped and deposed, an API server that goes away, data-plane pods that go. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { type Load, startLoad } from '../../harness/cluster/s3Load.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';
import { Operators } from './faults/operators.ts';

const soak = process.env['SEALGATE_SOAK'] === '1';
/** Of a data plane of one pod that goes: this is promised. */
const LONGEST_GAP_MS = 15_000;
const STORM = soak ? 60 : 12;

let installation: Installation;
let operators: Operators;

beforeAll(async () => {
  const values = { 'operator.replicas': '2' };
  installation = await installSealgate({
    cluster: sharedCluster(),
    namespace: 'faults',
    image: sharedImage(),
    values,
  });
  operators = new Operators(installation);
  await installation.connectKms('keysecure');
  await installation.waitFor('kmsconnection/keysecure', 'Ready');
});

afterAll(async () => {
  await installation?.close();
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function declare(name: string): Promise<void> {
  await installation.declareBucket(name, {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: `${name}-s3` }],
  });
}

/** The name of the pod that leads, as soon as it is another one. */
async function successor(former: string): Promise<string> {
  const leads = async (): Promise<boolean> => !['', former].includes(await operators.leader());
  await expect.poll(leads, { timeout: 60_000, interval: 100 }).toBe(true);
  return await operators.leader();
}

describe('the operator', () => {
  test('is killed three times while buckets are declared, and all of them become ready', async () => {
    const names = Array.from({ length: STORM }, (_, number) => `storm-${number}`);
    const killed: string[] = [];
    for (const [number, name] of names.entries()) {
      await declare(name);
      if (killed.length === 3 || number % 3 !== 1) continue;
      const leader = await operators.leader();
      if (killed.length === 1) {
        const gone = ['delete', 'pod', leader, '--force', '--grace-period=0'];
        await installation.cluster.kubectl(['-n', installation.namespace, ...gone]);
      } else operators.signal(leader, 'SIGKILL');
      killed.push(leader);
      // The next one is killed at work too.
      if (killed.length < 3) {
        await expect.poll(isLed, { timeout: 60_000, interval: 100 }).toBe(true);
      }
    }
    expect(killed).toHaveLength(3);
    await Promise.all(
      names.map(async (name) => await installation.waitFor(`encryptedbucket/${name}`, 'Ready')),
    );
    const ids = await Promise.all(
      names.map(async (name) => (await installation.secret(`${name}-s3`))['AWS_ACCESS_KEY_ID']),
    );
    expect(new Set(ids).size).toBe(STORM);
  });

  /** Whether the pod that holds the lease is there and ready. */
  async function isLed(): Promise<boolean> {
    const holder = await operators.leader();
    return (await operators.pods()).some(({ name, ready }) => name === holder && ready);
  }

  test('that is stopped is replaced when its lease has run out, and ends itself when it goes on', async () => {
    await expect
      .poll(async () => (await operators.pods()).filter(({ ready }) => ready).length, { timeout: 60_000 })
      .toBe(2);
    const former = await operators.leader();
    const { restarts = 0 } = (await operators.pods()).find(({ name }) => name === former) ?? {};
    const stoppedMs = performance.now();
    operators.signal(former, 'SIGSTOP');
    const next = await successor(former);
    say(
      `another operator leads ${Math.round(performance.now() - stoppedMs)} ms after its leader was stopped`,
    );
    await declare('meanwhile');
    await installation.waitFor('encryptedbucket/meanwhile', 'Ready');
    operators.signal(former, 'SIGCONT');
    const restarted = async (): Promise<boolean> =>
      (await operators.pods()).some(({ name, restarts: now }) => name === former && now > restarts);
    await expect.poll(restarted, { timeout: 30_000, interval: 200 }).toBe(true);
    expect(await operators.leader()).toBe(next);
    expect(await operators.log(former, ['--previous'])).toContain('"end":"lost"');
    await declare('afterwards');
    await installation.waitFor('encryptedbucket/afterwards', 'Ready');
  });

  test('goes on when the API server has crashed under its work', async () => {
    const names = Array.from({ length: 6 }, (_, number) => `crash-${number}`);
    for (const [number, name] of names.entries()) {
      await declare(name);
      if (number === 2) await installation.cluster.restartApiServer();
    }
    await Promise.all(
      names.map(async (name) => await installation.waitFor(`encryptedbucket/${name}`, 'Ready')),
    );
  });
});

describe('the data-plane pod', () => {
  const at = (...args: string[]): string[] => ['-n', installation.namespace, ...args];
  const pod = (): string => `${installation.namespace}-0`;

  const evict = async (): Promise<void> => {
    const metadata = { name: pod(), namespace: installation.namespace };
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata };
    const path = `/api/v1/namespaces/${installation.namespace}/pods/${pod()}/eviction`;
    await installation.cluster.kubectl(['create', '--raw', path, '-f', '-'], {
      stdin: JSON.stringify(eviction),
    });
  };
  /** When the pod was made, started and ready. */
  const timesOf = async (): Promise<string> => {
    const started = '{.status.containerStatuses[0].state.running.startedAt}';
    const ready = '{.status.conditions[?(@.type=="Ready")].lastTransitionTime}';
    const path = `made {.metadata.creationTimestamp}, started ${started}, ready ${ready}`;
    return await installation.cluster.kubectl(at('get', 'pod', pod(), '-o', `jsonpath=${path}`));
  };
  const remove = async (): Promise<void> => {
    await installation.cluster.kubectl(at('delete', 'pod', pod(), '--wait=false'));
  };

  test.each([
    ['deleted', remove],
    ['evicted', evict],
  ])('that is %s under load is back within 15 s, and nothing acknowledged is lost', async (how, act) => {
    await declare('loaded');
    await installation.waitFor('encryptedbucket/loaded', 'Ready');
    const secret = await installation.secret('loaded-s3');
    const bucket = secret['BUCKET_NAME'] ?? '';
    const patient = await installation.s3(secret, { maxAttempts: 20 });
    const loads: Load[] = [
      await startLoad({ s3: await installation.s3(secret), reader: patient, bucket, prefix: `${how}-raw` }),
      await startLoad({
        s3: patient,
        reader: patient,
        bucket,
        prefix: `${how}-retrying`,
        patienceMs: 120_000,
      }),
    ];
    const uid = async (): Promise<string> =>
      await installation.cluster.kubectl(
        at('get', 'pod', pod(), '--ignore-not-found', '-o', 'jsonpath={.metadata.uid}'),
      );
    const former = await uid();
    const askedAt = new Date().toISOString();
    await act();
    await expect.poll(uid, { timeout: 60_000, interval: 200 }).not.toBe(former);
    await installation.dataPlaneReady();
    say(`${how}: asked at ${askedAt}; the new pod: ${await timesOf()}`);
    await Promise.all(loads.map(async (load) => await load.served()));
    const reports = await Promise.all(loads.map(async (load) => await load.stop()));
    const [once, retrying] = reports;
    say(`${how}: ${JSON.stringify({ once, retrying })}`);
    expect(once?.gapMs).toBeLessThanOrEqual(LONGEST_GAP_MS);
    expect(retrying?.failures).toEqual({});
    for (const load of loads) expect(await load.lost()).toEqual([]);
  });
});
