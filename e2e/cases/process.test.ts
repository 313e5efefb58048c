/**
 * The process as an operator meets it: starting, probing, changing its configuration, ending. The real launcher, no
 * KMS.
 */
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ConfigDocument,
  type Sealgate,
  StartError,
  startSealgate,
  writeConfig,
} from '../harness/sealgate.ts';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

let folder = '';
let running: Sealgate[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-process-'));
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((sealgate) => sealgate.kill()));
  await rm(folder, { recursive: true });
});

/** One process for the tests of a block, in a folder of its own. */
function sharedSealgate(
  options: Omit<Parameters<typeof startSealgate>[0], 'folder'> = {},
): () => Promise<Sealgate> {
  let own = '';
  let sealgate: Sealgate | null = null;
  beforeAll(async () => {
    own = await mkdtemp(join(tmpdir(), 'sealgate-process-'));
    sealgate = await startSealgate({ ...options, folder: own });
  });
  afterAll(async () => {
    await sealgate?.kill();
    await rm(own, { recursive: true });
  });
  return async () => {
    if (sealgate === null) throw new Error('not started');
    return sealgate;
  };
}

async function start(options: Omit<Parameters<typeof startSealgate>[0], 'folder'> = {}): Promise<Sealgate> {
  const sealgate = await startSealgate({ folder, ...options });
  running.push(sealgate);
  return sealgate;
}

function client(sealgate: Sealgate): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = sealgate;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey },
  });
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command to its end. */
function run(
  args: readonly string[],
  options: { env?: Record<string, string>; launcher?: string } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      options.launcher ?? LAUNCHER,
      args,
      { env: { ...process.env, ...options.env } },
      (error, stdout, stderr) => {
        resolve({
          code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        });
      },
    );
  });
}

async function status(sealgate: Sealgate): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${sealgate.adminToken}` };
  const answer = await fetch(`${sealgate.adminEndpoint}/admin/v1/status`, { headers });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

async function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** Rewrites the configuration file. */
async function changeConfig(sealgate: Sealgate, change: (config: ConfigDocument) => void): Promise<void> {
  const config = JSON.parse(await readFile(sealgate.configFile, 'utf8')) as ConfigDocument;
  change(config);
  await writeFile(sealgate.configFile, `${JSON.stringify(config, null, 2)}\n`);
}

/** The next line with this message after those that are there already. */
function nextLine(sealgate: Sealgate, message: string): Promise<Record<string, unknown>> {
  let skip = sealgate.logLines().filter((line) => line.includes(`"msg":"${message}"`)).length;
  return sealgate.logLine((line) => line['msg'] === message && skip-- === 0);
}

const REFUSED = 'configuration refused, the old one stays in force';

describe('a running process', () => {
  const shared = sharedSealgate({ workers: 5 });

  test('tells its addresses when ready, answers probes, shows metrics of all threads and its status', async () => {
    const sealgate = await shared();
    const ready = await sealgate.logLine((line) => line['msg'] === 'ready');
    expect(ready).toMatchObject({ workers: 5, pid: sealgate.pid, s3: sealgate.endpoint });
    for (const probe of ['livez', 'readyz']) {
      expect((await fetch(`${sealgate.monitoringEndpoint}/${probe}`)).status).toBe(200);
    }
    await client(sealgate).send(new ListBucketsCommand({}));
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
    const sealgate = await shared();
    const limits = await readFile(`/proc/${sealgate.pid}/limits`, 'utf8');
    expect(limits).toMatch(/^Max core file size\s+0\s+0\s/m);
    const commandLine = await readFile(`/proc/${sealgate.pid}/cmdline`, 'utf8');
    expect(commandLine.split('\0')).toContain('--disable-sigusr1');
    await client(sealgate).send(new CreateBucketCommand({ Bucket: 'pool' }));
    await client(sealgate).send(
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
    const sealgate = await start({
      configPatch: (config) => Object.assign(config, { log: { level: 'trace' } }),
    });
    await client(sealgate).send(new ListBucketsCommand({}));
    await status(sealgate);
    await sealgate.stop();
    const log = sealgate.logLines().join('\n');
    expect(log).toContain('"operation":"ListBuckets"');
    const key = await readFile(join(folder, 'installation.key'), 'utf8');
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
      const files = ['-keyout', join(folder, 'tls.key'), '-out', join(folder, 'tls.crt')];
      execFileSync('openssl', [...args, '-subj', `/CN=${name}`, ...files], { stdio: 'ignore' });
    };
    certify('first');
    const tls = { certFile: 'tls.crt', keyFile: 'tls.key' };
    const sealgate = await start({
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
    const sealgate = await shared();
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
    await client(sealgate).send(new ListBucketsCommand({}));
    expect((await fetch(`${sealgate.monitoringEndpoint}/readyz`)).status).toBe(200);
    await changeConfig(sealgate, (document) => delete document['audit']);
  });

  test('that moves a listener is refused with what to do, and taken back is in force again', async () => {
    const sealgate = await shared();
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
    const sealgate = await shared();
    const reloaded = nextLine(sealgate, 'configuration reloaded');
    await changeConfig(sealgate, (document) => Object.assign(document, { log: { level: 'debug' } }));
    await reloaded;
  });

  test('with new root credentials is in force without a restart, and the buckets keep their owner', async () => {
    const sealgate = await shared();
    await client(sealgate).send(new CreateBucketCommand({ Bucket: 'mine' }));
    const reloaded = nextLine(sealgate, 'configuration reloaded');
    const renewed = { accessKeyId: 'NEWROOT', secretAccessKey: 'new-secret-access-key' };
    await writeFile(join(dirname(sealgate.configFile), 'root.json'), JSON.stringify(renewed));
    sealgate.signal('SIGHUP');
    await reloaded;
    await expect(client(sealgate).send(new ListBucketsCommand({}))).rejects.toMatchObject({
      name: 'InvalidAccessKeyId',
    });
    const { Buckets } = await client({ ...sealgate, ...renewed }).send(new ListBucketsCommand({}));
    expect(Buckets?.map((bucket) => bucket.Name)).toEqual(['mine']);
  });
});

describe('the end', () => {
  test('SIGTERM lets an upload in flight finish, takes no new connection, and exits with 0', async () => {
    const sealgate = await start();
    const s3 = client(sealgate);
    await s3.send(new CreateBucketCommand({ Bucket: 'drain' }));
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'drain', Key: 'slow' }));
    const body = Buffer.alloc(3_000_000, 'x');
    const upload = httpRequest(url, {
      method: 'PUT',
      headers: { 'content-length': body.length, expect: '100-continue' },
    });
    const continued = once(upload, 'continue');
    upload.flushHeaders();
    await continued;
    upload.write(body.subarray(0, 1_000_000));
    const draining = nextLine(sealgate, 'draining');
    sealgate.signal('SIGTERM');
    await draining;
    expect(await (await fetch(`${sealgate.monitoringEndpoint}/readyz`)).text()).toBe('draining\n');
    await refusesConnections(sealgate.endpoint);
    const answered = answerOf(upload);
    upload.end(body.subarray(1_000_000));
    const response = await answered;
    expect({ status: response.statusCode, connection: response.headers.connection }).toEqual({
      status: 200,
      connection: 'close',
    });
    response.resume();
    expect(await sealgate.exited).toEqual({ code: 0, signal: null });
    expect(sealgate.logLines().at(-1)).toContain('"msg":"stopped"');

    const again = await start();
    const object = await client(again).send(new GetObjectCommand({ Bucket: 'drain', Key: 'slow' }));
    expect(Buffer.from((await object.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
  });

  test('SIGINT ends an idle process too, and kept connections do not hold it', async () => {
    const sealgate = await start();
    await client(sealgate).send(new ListBucketsCommand({}));
    sealgate.signal('SIGINT');
    expect(await sealgate.exited).toEqual({ code: 0, signal: null });
  });

  test('a second signal ends the process at once with code 1', async () => {
    const sealgate = await start();
    const s3 = client(sealgate);
    await s3.send(new CreateBucketCommand({ Bucket: 'stuck' }));
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'stuck', Key: 'k' }));
    const upload = httpRequest(url, {
      method: 'PUT',
      headers: { 'content-length': 10, expect: '100-continue' },
    });
    const continued = once(upload, 'continue');
    upload.flushHeaders();
    await continued;
    const failed = once(upload, 'error');
    const draining = nextLine(sealgate, 'draining');
    sealgate.signal('SIGTERM');
    await draining;
    sealgate.signal('SIGTERM');
    expect(await sealgate.exited).toEqual({ code: 1, signal: null });
    await failed;
  });
});

/** Until nobody accepts there any more: the listeners of several threads close one after the other. */
async function refusesConnections(endpoint: string): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  for (;;) {
    const socket = connect(Number(port), hostname);
    try {
      await once(socket, 'connect');
    } catch (error) {
      expect(error).toMatchObject({ code: 'ECONNREFUSED' });
      return;
    } finally {
      socket.destroy();
    }
  }
}

describe('a start that cannot succeed', () => {
  async function startError(
    options: Omit<Parameters<typeof startSealgate>[0], 'folder'> = {},
  ): Promise<StartError> {
    const error: unknown = await start(options).catch((reason: unknown) => reason);
    if (error instanceof StartError) return error;
    throw new Error('it started', { cause: error });
  }

  test('a second process on the same data refuses to start', async () => {
    await start();
    const { exit, output } = await startError();
    expect(exit).toEqual({ code: 1, signal: null });
    expect(output).toContain('another process serves');
  });

  test('a second process that shares only the blobs refuses to start', async () => {
    await start();
    const { exit, output } = await startError({
      configPatch: (config) =>
        Object.assign(config, { metadata: { engine: 'sqlite', path: 'other/metadata.db' } }),
    });
    expect(exit.code).toBe(1);
    expect(output).toContain('another process serves');
  });

  test.each([1, 2])('a port that is taken is not shared, with %i workers', async (workers) => {
    const occupant = createServer();
    occupant.listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const address = occupant.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { exit, output } = await startError({
      workers,
      configPatch: (config) => Object.assign(config, { s3: { listen: `127.0.0.1:${port}` } }),
    });
    occupant.close();
    expect(exit.code).toBe(1);
    expect(output).toContain('EADDRINUSE');
  });

  test('an invalid configuration ends with code 1 and every problem on standard error', async () => {
    const { configFile } = await writeConfig({
      folder,
      configPatch: (config) => Object.assign(config, { workers: 0, trustedProxies: [] }),
    });
    expect(await run(['serve', '--config', configFile])).toEqual({
      code: 1,
      stdout: '',
      stderr: `${configFile}: workers: must be auto or a number from 1 to 256\n${configFile}: trustedProxies: unknown field\n`,
    });
    expect(await run(['config', 'check', configFile])).toMatchObject({ code: 1, stdout: '' });
  });

  test.each([
    { args: [], message: 'a command is missing' },
    { args: ['serve'], message: '--config FILE is missing' },
    { args: ['serve', '--confg', 'x'], message: "Unknown option '--confg'" },
    { args: ['nonsense'], message: "unknown command 'nonsense'" },
  ])('sealgate $args ends with code 2 and the usage', async ({ args, message }) => {
    const { code, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('usage:');
  });

  test('with a debugger it refuses to serve', async () => {
    const { configFile } = await writeConfig({ folder });
    const { code, stderr } = await run(['serve', '--config', configFile], {
      env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('refusing to serve with an inspector');
  });

  test('the launcher works through a symbolic link, and the example it prints is complete', async () => {
    const link = join(folder, 'sealgate');
    await symlink(LAUNCHER, link);
    expect(await run(['version'], { launcher: link })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^sealgate /),
    });
    const { stdout } = await run(['config', 'example'], { launcher: link });
    expect(stdout).toContain('apiVersion: config.sealgate.io/v1');
  });

  test('a damaged metadata file ends the start with code 1', async () => {
    await (await start()).stop();
    await writeFile(
      join(folder, 'data/metadata.db'),
      'this is not a database, and long enough to be looked at '.repeat(100),
    );
    expect((await startError()).exit.code).toBe(1);
  });
});
