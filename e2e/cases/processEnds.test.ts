/**
 * How the process ends, and starts that cannot succeed. The real launcher, no KMS.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { symlink, writeFile } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type SealgateOptions, StartError, writeConfig } from '../harness/sealgate.ts';
import { nextLine, rootClient, Workplace } from '../harness/workplace.ts';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

let place: Workplace;

beforeEach(async () => {
  place = await Workplace.create();
});

afterEach(async () => {
  await place.remove();
});

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

async function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

describe('the end', () => {
  test('SIGTERM lets an upload in flight finish, takes no new connection, and exits with 0', async () => {
    const sealgate = await place.start();
    const s3 = rootClient(sealgate);
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

    const again = await place.start();
    const object = await rootClient(again).send(new GetObjectCommand({ Bucket: 'drain', Key: 'slow' }));
    expect(Buffer.from((await object.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
  });

  test('what does not end is told so or cut, and the process ends by itself within its limit', async () => {
    const limitMs = 3_000;
    const sealgate = await place.start({
      configPatch: (config) => {
        config['shutdownLimit'] = `${limitMs}ms`;
      },
    });
    const s3 = rootClient(sealgate);
    await s3.send(new CreateBucketCommand({ Bucket: 'endless' }));
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'endless', Key: 'upload' }));
    const upload = httpRequest(url, {
      method: 'PUT',
      headers: { 'content-length': 1_000_000, expect: '100-continue' },
    });
    const continued = once(upload, 'continue');
    upload.flushHeaders();
    await continued;
    upload.write('the beginning');
    // The other side of the same: an administrator who never ends the question.
    const { hostname, port } = new URL(sealgate.adminEndpoint);
    const admin = connect(Number(port), hostname);
    await once(admin, 'connect');
    admin.on('error', () => admin.destroy());
    await new Promise((written) =>
      admin.write('POST /admin/v1/epoch HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n', written),
    );
    const answered = answerOf(upload);
    const draining = nextLine(sealgate, 'draining');
    const startedMs = performance.now();
    sealgate.signal('SIGTERM');
    await draining;
    const response = await answered;
    expect({ status: response.statusCode, connection: response.headers.connection }).toEqual({
      status: 503,
      connection: 'close',
    });
    upload.on('error', () => upload.destroy());
    response.resume();
    expect(await sealgate.exited).toEqual({ code: 0, signal: null });
    // The rest is for a busy machine, still far below the minute after which a silent client is cut anyway.
    expect(performance.now() - startedMs).toBeLessThan(limitMs + 5_000);
    expect(sealgate.logLines().join('\n')).toContain('requests were cut off at the drain limit');
    expect(sealgate.logLines().at(-1)).toContain('"msg":"stopped"');
  });

  test('SIGINT ends an idle process too, and kept connections do not hold it', async () => {
    const sealgate = await place.start();
    await rootClient(sealgate).send(new ListBucketsCommand({}));
    sealgate.signal('SIGINT');
    expect(await sealgate.exited).toEqual({ code: 0, signal: null });
  });

  test('a second signal ends the process at once with code 1', async () => {
    const sealgate = await place.start();
    const s3 = rootClient(sealgate);
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
  async function startError(options: Omit<SealgateOptions, 'folder'> = {}): Promise<StartError> {
    const error: unknown = await place.start(options).catch((reason: unknown) => reason);
    if (error instanceof StartError) return error;
    throw new Error('it started', { cause: error });
  }

  test('a second process on the same data refuses to start', async () => {
    await place.start();
    const { exit, output } = await startError();
    expect(exit).toEqual({ code: 1, signal: null });
    expect(output).toContain('another process serves');
  });

  test('a second process that shares only the blobs refuses to start', async () => {
    await place.start();
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
      folder: place.folder,
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
    const { configFile } = await writeConfig({ folder: place.folder });
    const { code, stderr } = await run(['serve', '--config', configFile], {
      env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('refusing to serve with an inspector');
  });

  test('the launcher works through a symbolic link, and the example it prints is complete', async () => {
    const link = join(place.folder, 'sealgate');
    await symlink(LAUNCHER, link);
    expect(await run(['version'], { launcher: link })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^sealgate /),
    });
    const { stdout } = await run(['config', 'example'], { launcher: link });
    expect(stdout).toContain('apiVersion: config.sealgate.io/v1');
  });

  test('a damaged metadata file ends the start with code 1', async () => {
    await (await place.start()).stop();
    await writeFile(
      join(place.folder, 'data/metadata.db'),
      'this is not a database, and long enough to be looked at '.repeat(100),
    );
    expect((await startError()).exit.code).toBe(1);
  });
});
