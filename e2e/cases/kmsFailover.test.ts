/**
 * Real KMIP servers that die, hang and come back under a steady S3 load. The gateway asks the KMS on every request and
 * may serve nothing stale, unless a case says otherwise, so that whatever is answered 200 came from an endpoint that lives.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Pykmip, startPykmip } from '../harness/pykmip.ts';
import { type ConfigDocument, type Sealgate, startSealgate, writeConfig } from '../harness/sealgate.ts';
import { type RawAnswer, send } from '../harness/signedRequest.ts';
import { startTcpCutter, type TcpCutter } from '../harness/tcpCutter.ts';
import { type Judged, Load } from './kmsFailover/load.ts';

const BUCKETS = ['first', 'second', 'third', 'fourth'];
const TIMEOUTS = { connect: '1s', request: '1s', total: '5s' };
/** Rounds of killing each server, and of cutting connections. */
const SOAK = process.env['SEALGATE_SOAK'] === '1';
const ROUNDS = SOAK ? 20 : 1;
/** After so many bytes from the server: inside the TLS record of an answer, its header included. */
const CUTS = SOAK ? [0, 1, 4, 5, 6, 64, 100, 150, 200, 300, 400, 500, 600, 700] : [5, 300];
/** Requests that must be answered in each state of the world. */
const ENOUGH = 60;
const STALE_MS = 3000;

interface Cluster {
  readonly servers: readonly [Pykmip, Pykmip];
  readonly gateway: Sealgate;
  /** Writes the configuration anew and waits until it is in force. */
  reload(endpoints: readonly number[], staleLimit: string): Promise<void>;
  close(): Promise<void>;
}

/** Two PyKMIPs, on one database or on two, and a gateway on the ports that `endpoints` names. */
async function startCluster(
  databases: 'shared' | 'apart',
  endpoints: (ports: readonly [number, number]) => Promise<readonly number[]>,
): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-failover-'));
  const first = await startPykmip({ folder: join(folder, 'kms-a') });
  const { ca, clientCert, clientKey, folder: certificateFolder } = first.certificates;
  const second = await startPykmip({
    folder: join(folder, 'kms-b'),
    certificateFolder,
    ...(databases === 'shared' ? { database: first.database } : {}),
  });
  const options = (ports: readonly number[], staleLimit: string) => ({
    folder: join(folder, 'sealgate'),
    kms: { port: first.port, certificates: { ca, cert: clientCert, key: clientKey } },
    configPatch: (config: ConfigDocument) => {
      const [connection] = config['kmsConnections'] as { cache?: object; kmip: Record<string, unknown> }[];
      if (connection === undefined) throw new Error('no KMS connection to change');
      connection.cache = { ttl: '0s', staleLimit };
      connection.kmip['endpoints'] = ports.map((port) => ({ host: '127.0.0.1', port }));
      connection.kmip['timeouts'] = TIMEOUTS;
    },
  });
  const gateway = await startSealgate(options(await endpoints([first.port, second.port]), '0s'));
  return {
    servers: [first, second],
    gateway,
    reload: async (ports, staleLimit) => {
      const changed = nextLine(gateway, (line) => line['msg'] === 'KMS connection changed');
      await writeConfig(options(ports, staleLimit));
      gateway.signal('SIGHUP');
      await changed;
    },
    close: async () => {
      await gateway.stop();
      await Promise.all([first.kill(), second.kill()]);
      await rm(folder, { recursive: true });
    },
  };
}

/** The next such line of the log, from now on. */
async function nextLine(
  gateway: Sealgate,
  matches: (line: Record<string, unknown>) => boolean,
): Promise<void> {
  const before = gateway.logLines().length;
  let index = 0;
  await gateway.logLine((line) => {
    index += 1;
    return index > before && matches(line);
  });
}

/** The next line of the log, from now on, that tells this of the endpoint at a port. */
const told = (gateway: Sealgate, port: number, state: 'up' | 'down'): Promise<void> =>
  nextLine(
    gateway,
    (line) => line['msg'] === `KMS endpoint is ${state}` && line['endpoint'] === `127.0.0.1:${port}`,
  );

const create = (gateway: Sealgate, bucket: string): Promise<RawAnswer> =>
  send(gateway, {
    method: 'PUT',
    path: `/${bucket}`,
    headers: [['x-amz-scal-server-side-encryption', 'AES256']],
  });

const slowest = (answers: readonly Judged[]): number =>
  Math.round(Math.max(...answers.map(({ startedMs, endedMs }) => endedMs - startedMs)));
/** Status and duration of the answers that were not right. */
const wrong = (answers: readonly Judged[]): string[] =>
  answers
    .filter(({ right }) => !right)
    .map(
      ({ method, status, startedMs, endedMs }) =>
        `${method} ${status} after ${Math.round(endedMs - startedMs)} ms`,
    );

describe('two KMIP servers on one database', () => {
  let cluster: Cluster;
  let cutters: readonly [TcpCutter, TcpCutter];
  let ports: readonly number[];
  let load: Load;
  beforeAll(async () => {
    cluster = await startCluster('shared', async ([a, b]) => {
      cutters = [await startTcpCutter(a), await startTcpCutter(b)];
      ports = cutters.map(({ port }) => port);
      return ports;
    });
    for (const bucket of BUCKETS) await createBucket(cluster.gateway, bucket, true);
    load = new Load(cluster.gateway, BUCKETS);
  });
  afterAll(async () => {
    await load.stop();
    await cluster.close();
    for (const cutter of cutters) await cutter[Symbol.asyncDispose]();
  });
  const portOf = (index: number): number => ports[index] ?? 0;

  it('either killed and restarted, in turn: every answer is right', async () => {
    const startedMs = performance.now();
    const gaps: number[] = [];
    const backs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, server] of cluster.servers.entries()) {
        const down = told(cluster.gateway, portOf(index), 'down');
        const killedMs = performance.now();
        await server.kill();
        await down;
        await load.more(ENOUGH);
        gaps.push(slowest(load.since(killedMs)));
        const up = told(cluster.gateway, portOf(index), 'up');
        await server.restart();
        const listeningMs = performance.now();
        await up;
        backs.push(Math.round(performance.now() - listeningMs));
        await load.more(ENOUGH);
      }
    }
    process.stdout.write(
      `either of two KMIP servers killed ${2 * ROUNDS} times under ${load.since(startedMs).length} requests: ` +
        `${wrong(load.since(startedMs)).length} wrong, slowest request ${Math.max(...gaps)} ms, ` +
        `used again ${Math.max(...backs)} ms after it listened\n`,
    );
    expect(wrong(load.since(startedMs))).toEqual([]);
    expect(Math.max(...gaps)).toBeLessThan(5000);
    expect(Math.max(...backs)).toBeLessThan(7000);
  });

  it('one that hangs: every answer is right, and few requests wait for it', async () => {
    const startedMs = performance.now();
    const down = told(cluster.gateway, portOf(0), 'down');
    cluster.servers[0].pause();
    await down;
    await load.more(ENOUGH);
    const up = told(cluster.gateway, portOf(0), 'up');
    cluster.servers[0].resume();
    await up;
    await load.more(ENOUGH);
    const answers = load.since(startedMs);
    const stalled = answers.filter((answer) => answer.endedMs - answer.startedMs > 900);
    process.stdout.write(
      `one of two KMIP servers hung: ${wrong(answers).length} of ${answers.length} requests wrong, ` +
        `${stalled.length} held up, slowest ${slowest(answers)} ms\n`,
    );
    expect(wrong(answers)).toEqual([]);
    expect(stalled.length).toBeLessThanOrEqual(2 * BUCKETS.length);
    expect(slowest(answers)).toBeLessThan(4000);
  });

  it('connections cut in the middle of answers: every answer is right', async () => {
    const startedMs = performance.now();
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const bytes of CUTS) {
        for (const cutter of cutters) {
          await cutter.cutOnce(bytes);
          await load.more(8);
        }
      }
    }
    const answers = load.since(startedMs);
    const cuts = cutters.reduce((sum, cutter) => sum + cutter.cuts, 0);
    process.stdout.write(
      `${cuts} connections cut inside answers: ${wrong(answers).length} of ${answers.length} requests wrong\n`,
    );
    expect(wrong(answers)).toEqual([]);
  });

  it('a changed configuration under load: every answer is right', async () => {
    const startedMs = performance.now();
    await cluster.reload([portOf(1)], '0s');
    await load.more(ENOUGH);
    await cluster.reload(ports, `${STALE_MS}ms`);
    await load.more(ENOUGH);
    expect(wrong(load.since(startedMs))).toEqual([]);
  });

  it('both killed: served inside the stale limit, 503 beyond it, served again within seconds', async () => {
    await load.more(ENOUGH);
    const startedMs = performance.now();
    await Promise.all(cluster.servers.map((server) => server.kill()));
    const killedMs = performance.now();
    const refused = await load.next(({ status }) => status === 503);
    await load.more(ENOUGH);
    const down = load.since(startedMs);
    expect(new Set(down.map(({ status }) => status))).toEqual(new Set([200, 503]));
    expect(down.filter(({ status, right }) => status === 200 && !right)).toEqual([]);
    expect(refused.endedMs - startedMs).toBeGreaterThan(STALE_MS - 1000);
    // A cached key serves until its limit, and nothing serves after it.
    expect(
      down.filter(({ status, endedMs }) => status === 503 && endedMs < startedMs + STALE_MS - 1000),
    ).toEqual([]);
    expect(down.filter(({ status, startedMs: at }) => status === 200 && at > killedMs + STALE_MS)).toEqual(
      [],
    );
    await cluster.servers[1].restart();
    const listeningMs = performance.now();
    const served = await load.next(({ right }) => right);
    const recoveredMs = Math.round(served.endedMs - listeningMs);
    await load.more(2 * ENOUGH);
    process.stdout.write(
      `both KMIP servers killed: 503 after ${Math.round(refused.endedMs - killedMs)} ms (stale limit ${STALE_MS} ms), ` +
        `served again ${recoveredMs} ms after one listened\n`,
    );
    expect(recoveredMs).toBeLessThan(7000);
    expect(wrong(load.since(served.endedMs + 1000))).toEqual([]);
    await cluster.servers[0].restart();
  });
});

describe('two KMIP servers of which one lags behind', () => {
  let cluster: Cluster;
  const object = '/early/object';
  beforeAll(async () => {
    cluster = await startCluster('apart', async ([a]) => await Promise.resolve([a]));
    await createBucket(cluster.gateway, 'early', true);
    const body = Buffer.from('kept');
    expect((await send(cluster.gateway, { method: 'PUT', path: object, body })).status).toBe(200);
    await cluster.reload(
      cluster.servers.map(({ port }) => port),
      '0s',
    );
  });
  afterAll(() => cluster.close());
  const read = (): Promise<RawAnswer> => send(cluster.gateway, { method: 'GET', path: object });
  const replicate = async (): Promise<void> => {
    const [from, to] = cluster.servers;
    const up = told(cluster.gateway, to.port, 'up');
    const down = told(cluster.gateway, to.port, 'down');
    await to.kill();
    await read();
    await down;
    await copyFile(from.database, to.database);
    await to.restart();
    await up;
  };

  it('a key that only the other one has is served all the same', async () => {
    const before = cluster.servers[1].requestCount('GetAttributes');
    for (let count = 0; count < 20; count += 1) expect((await read()).status).toBe(200);
    expect(cluster.servers[1].requestCount('GetAttributes')).toBeGreaterThan(before);
  });

  it('a bucket is not ready before its key is on both', async () => {
    expect((await create(cluster.gateway, 'late')).status).toBe(503);
    expect((await send(cluster.gateway, { method: 'HEAD', path: '/late' })).status).toBe(404);
    await replicate();
    expect((await create(cluster.gateway, 'late')).status).toBe(200);
  });

  it('alone, the one that lags is not believed that a key is gone; with it, the other serves alone', async () => {
    const [first, second] = cluster.servers;
    const kmsId = '1';
    expect(second.keyBytes(kmsId)).toEqual(first.keyBytes(kmsId));
    second.removeKey(kmsId);
    const down = told(cluster.gateway, first.port, 'down');
    await first.kill();
    while ((await read()).status !== 503);
    await down;
    expect((await read()).code).toBe('ServiceUnavailable');
    await second.kill();
    await copyFile(first.database, second.database);
    await second.restart();
    while ((await read()).status !== 200);
    expect((await read()).body.toString()).toBe('kept');
  });
});
