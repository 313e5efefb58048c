/**
 * The process as an operator meets it while it runs: its log, ports, files, and a configuration that changes. The real
 * launcher, no KMS.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { dirname, join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { CreateBucketCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigDocument, Sealgate } from '../harness/sealgate.ts';
import { nextLine, rootClient, Workplace } from '../harness/workplace.ts';

let place: Workplace;

beforeEach(async () => {
  place = await Workplace.create();
});

afterEach(async () => {
  await place.remove();
});

/** One process for the tests of a block. */
function sharedSealgate(options: { workers?: number } = {}): () => Sealgate {
  let own: Workplace | null = null;
  let sealgate: Sealgate | null = null;
  beforeAll(async () => {
    own = await Workplace.create();
    sealgate = await own.start(options);
  });
  afterAll(async () => {
    await own?.remove();
  });
  return () => {
    if (sealgate === null) throw new Error('not started');
    return sealgate;
  };
}

async function status(sealgate: Sealgate): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${sealgate.adminToken}` };
  const answer = await fetch(`${sealgate.adminEndpoint}/admin/v1/status`, { headers });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

/** Rewrites the configuration file. */
async function changeConfig(sealgate: Sealgate, change: (config: ConfigDocument) => void): Promise<void> {
  const config = JSON.parse(await readFile(sealgate.configFile, 'utf8')) as ConfigDocument;
  change(config);
  await writeFile(sealgate.configFile, `${JSON.stringify(config, null, 2)}\n`);
}

const REFUSED = 'configuration refused, the old one stays in force';

describe('a running process', () => {
  const shared = sharedSealgate({ workers: 5 });

  test('tells its addresses when ready, answers probes, shows metrics of all threads and its status', async () => {
    const sealgate = shared();
    const ready = await sealgate.logLine((line) => line['msg'] === 'ready');
    expect(ready).toMatchObject({ workers: 5, pid: sealgate.pid, s3: sealgate.endpoint });
    for (const probe of ['livez', 'readyz']) {
      expect((await fetch(`${sealgate.monitoringEndpoint}/${probe}`)).status).toBe(200);
    }
    await rootClient(sealgate).send(new ListBucketsCommand({}));
    const text = await sealgate.metrics();
    expect(text).toContain('sealgate_s3_requests_total{operation="ListBuckets",status="200"} 1');
    expect(text).toContain('sealgate_threads_not_answering 0');
    expect(text).toContain('sealgate_workers 5');
    expect(text).toMatch(/^sealgate_metadata_committed_total \d+$/m);
    expect(text).toContain('# TYPE sealgate_kms_requests_total counter');
    expect(await status(sealgate)).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      incarnation: ready['incarnation'],
      phase: 'ready',
      config: { hash: expect.stringMatching(/^[0-9a-f]{32}$/), refused: null },
      kms: [],
      storage: {
        metadata: { engine: 'sqlite', freeBytes: expect.any(Number) },
        blobs: { engine: 'filesystem', freeBytes: expect.any(Number) },
      },
      crypto: { openssl: expect.stringMatching(/^3\./), aesNi: expect.any(Boolean) },
      workers: 5,
    });
    expect((await fetch(`${sealgate.adminEndpoint}/admin/v1/status`)).status).toBe(401);
    const documented = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    for (const [, name] of documented.matchAll(/`(sealgate_\w+)/g)) expect(text).toContain(`# TYPE ${name} `);
  });

  test('allows no core dump and no debugger, keeps its files to itself, and has a file pool for its workers', async () => {
    const sealgate = shared();
    const limits = await readFile(`/proc/${sealgate.pid}/limits`, 'utf8');
    expect(limits).toMatch(/^Max core file size\s+0\s+0\s/m);
    const commandLine = await readFile(`/proc/${sealgate.pid}/cmdline`, 'utf8');
    expect(commandLine.split('\0')).toContain('--disable-sigusr1');
    await rootClient(sealgate).send(new CreateBucketCommand({ Bucket: 'pool' }));
    await rootClient(sealgate).send(
      new PutObjectCommand({ Bucket: 'pool', Key: 'k', Body: Buffer.alloc(200_000) }),
    );
    const { mode } = await stat(join(sealgate.dataFolder, 'metadata.db'));
    expect(mode & 0o077).toBe(0);
    const tasks = await readdir(`/proc/${sealgate.pid}/task`);
    const names = await Promise.all(
      tasks.map((task) => readFile(`/proc/${sealgate.pid}/task/${task}/comm`, 'utf8')),
    );
    expect(names.filter((name) => name.startsWith('libuv-worker'))).toHaveLength(20);
  });

  test('writes no secret into its log', async () => {
    const sealgate = await place.start({
      configPatch: (config) => Object.assign(config, { log: { level: 'trace' } }),
    });
    await rootClient(sealgate).send(new ListBucketsCommand({}));
    await status(sealgate);
    await sealgate.stop();
    const log = sealgate.logLines().join('\n');
    expect(log).toContain('"operation":"ListBuckets"');
    const key = await readFile(join(place.folder, 'installation.key'), 'utf8');
    for (const secret of [
      sealgate.secretAccessKey,
      sealgate.adminToken,
      key.trim(),
      'X-Amz-Signature',
      'AWS4-HMAC-SHA256',
    ]) {
      expect(log).not.toContain(secret);
    }
  });

  test('serves HTTPS, and a renewed certificate without a restart', async () => {
    const certify = (name: string): void => {
      const args = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
      ];
      const files = ['-keyout', join(place.folder, 'tls.key'), '-out', join(place.folder, 'tls.crt')];
      execFileSync('openssl', [...args, '-subj', `/CN=${name}`, ...files], { stdio: 'ignore' });
    };
    certify('first');
    const tls = { certFile: 'tls.crt', keyFile: 'tls.key' };
    const sealgate = await place.start({
      configPatch: (config) => Object.assign(config, { s3: { listen: '127.0.0.1:0', tls } }),
    });
    expect(sealgate.endpoint).toMatch(/^https:/);
    const served = async (): Promise<{ status: number | undefined; name: string | undefined }> => {
      const [response] = (await once(
        httpsGet(sealgate.endpoint, { rejectUnauthorized: false, agent: false }),
        'response',
      )) as [IncomingMessage];
      const socket = response.socket as TLSSocket;
      const name = socket.getPeerCertificate().subject.CN;
      response.resume();
      await once(response, 'end');
      return { status: response.statusCode, name: String(name) };
    };
    expect(await served()).toEqual({ status: 403, name: 'first' });
    const reloaded = nextLine(sealgate, 'configuration reloaded');
    certify('second');
    sealgate.signal('SIGHUP');
    await reloaded;
    expect((await served()).name).toBe('second');
  });
});

describe('a changed configuration', () => {
  const shared = sharedSealgate();

  test('that is invalid is refused on SIGHUP: logged, shown, counted, and the old one stays in force', async () => {
    const sealgate = shared();
    const { config } = await status(sealgate);
    expect(await sealgate.metric('sealgate_config_valid')).toBe(1);
    await changeConfig(sealgate, (document) => Object.assign(document, { audit: { path: 'audit.log' } }));
    const refused = nextLine(sealgate, REFUSED);
    sealgate.signal('SIGHUP');
    expect(await refused).toMatchObject({ level: 'error', problems: ['audit: unknown field'] });
    expect((await status(sealgate))['config']).toMatchObject({
      hash: (config as { hash: string }).hash,
      refused: { problems: ['audit: unknown field'] },
    });
    expect(await sealgate.metric('sealgate_config_valid')).toBe(0);
    expect(await sealgate.metric('sealgate_config_loads_total', 'result="refused"')).toBeGreaterThanOrEqual(
      1,
    );
    await rootClient(sealgate).send(new ListBucketsCommand({}));
    expect((await fetch(`${sealgate.monitoringEndpoint}/readyz`)).status).toBe(200);
    await changeConfig(sealgate, (document) => delete document['audit']);
  });

  test('that moves a listener is refused with what to do, and taken back is in force again', async () => {
    const sealgate = shared();
    const before = await readFile(sealgate.configFile, 'utf8');
    await changeConfig(sealgate, (document) => Object.assign(document, { workers: 7 }));
    const refused = nextLine(sealgate, REFUSED);
    sealgate.signal('SIGHUP');
    expect(await refused).toMatchObject({
      code: 'NeedsRestart',
      problems: ['workers: cannot change while the process runs: put the old value back, or restart it'],
    });
    await writeFile(sealgate.configFile, before);
    const unchanged = nextLine(sealgate, 'configuration unchanged');
    sealgate.signal('SIGHUP');
    await unchanged;
    expect((await status(sealgate))['config']).toMatchObject({ refused: null });
    expect(await sealgate.metric('sealgate_config_valid')).toBe(1);
  });

  test('is noticed without a signal', async () => {
    const sealgate = shared();
    const reloaded = nextLine(sealgate, 'configuration reloaded');
    await changeConfig(sealgate, (document) => Object.assign(document, { log: { level: 'debug' } }));
    await reloaded;
  });

  test('with new root credentials is in force without a restart, and the buckets keep their owner', async () => {
    const sealgate = shared();
    await rootClient(sealgate).send(new CreateBucketCommand({ Bucket: 'mine' }));
    const reloaded = nextLine(sealgate, 'configuration reloaded');
    const renewed = { accessKeyId: 'NEWROOT', secretAccessKey: 'new-secret-access-key' };
    await writeFile(join(dirname(sealgate.configFile), 'root.json'), JSON.stringify(renewed));
    sealgate.signal('SIGHUP');
    await reloaded;
    await expect(rootClient(sealgate).send(new ListBucketsCommand({}))).rejects.toMatchObject({
      name: 'InvalidAccessKeyId',
    });
    const { Buckets } = await rootClient({ ...sealgate, ...renewed }).send(new ListBucketsCommand({}));
    expect(Buckets?.map((bucket) => bucket.Name)).toEqual(['mine']);
  });
});
