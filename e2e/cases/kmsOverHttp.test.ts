/** What S3 clients see of the KMS: how seldom it is asked, and what its outages, lies and refusals turn into. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { KEY_STATES } from '../harness/pykmip.ts';
import { type RawAnswer, send } from '../harness/signedRequest.ts';
import { kmsIdentifiers } from '../harness/storedRows.ts';

const REQUESTS = 1000;
const CLIENTS = 8;
const BUCKET = 'of-the-kms';
const PLAIN = 'of-nobody';

/** Short, where a case waits for a KMS that hangs. */
const TOTAL_MS = 2000;

type Cache = { readonly ttl: string; readonly staleLimit: string };

async function deploy(cache?: Cache): Promise<Deployment> {
  const deployment = await startDeployment({
    workers: 2,
    configPatch: (config) => {
      const [connection] = config['kmsConnections'] as Record<string, unknown>[];
      if (connection === undefined || cache === undefined) return;
      connection['cache'] = cache;
      const kmip = connection['kmip'] as Record<string, unknown>;
      kmip['timeouts'] = { connect: '1s', request: '1s', total: `${TOTAL_MS}ms` };
    },
  });
  await createBucket(deployment.server, BUCKET, true);
  await createBucket(deployment.server, PLAIN, false);
  return deployment;
}

const put = (deployment: Deployment, bucket: string, key: string): Promise<RawAnswer> =>
  send(deployment.server, { method: 'PUT', path: `/${bucket}/${key}`, body: Buffer.from(`body of ${key}`) });

const get = (deployment: Deployment, bucket: string, key: string): Promise<RawAnswer> =>
  send(deployment.server, { method: 'GET', path: `/${bucket}/${key}` });

/** Asks until the answer is the awaited one; every answer before it must be `meanwhile`. */
async function until(
  ask: () => Promise<RawAnswer>,
  awaited: (answer: RawAnswer) => boolean,
  meanwhile: (answer: RawAnswer) => boolean,
): Promise<{ readonly answer: RawAnswer; readonly afterMs: number; readonly asked: number }> {
  const started = performance.now();
  for (let asked = 1; ; asked += 1) {
    const answer = await ask();
    if (awaited(answer)) return { answer, afterMs: performance.now() - started, asked };
    expect(meanwhile(answer), `${answer.status} ${answer.code} while waiting`).toBe(true);
  }
}

const served = (answer: RawAnswer): boolean => answer.status === 200;
const answers =
  (status: number, code: string) =>
  (answer: RawAnswer): boolean =>
    answer.status === status && answer.code === code;

function kmsIdOf(deployment: Deployment): string {
  const [kmsId, ...others] = kmsIdentifiers(deployment.server.dataFolder);
  if (kmsId === undefined || others.length > 0) throw new Error('expected one key in the KMS');
  return kmsId;
}

describe('with the default cache', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy();
  });
  afterAll(() => deployment.close());

  it('1,000 PUTs and 1,000 GETs in one bucket cost at most 10 KMIP requests, counted at the server', async () => {
    const before = deployment.kms.requestCount();
    const many = async (request: (key: string) => Promise<RawAnswer>): Promise<void> => {
      await Promise.all(
        Array.from({ length: CLIENTS }, async (_, client) => {
          for (let i = client; i < REQUESTS; i += CLIENTS)
            expect((await request(`object-${i}`)).status).toBe(200);
        }),
      );
    };
    await many((key) => put(deployment, BUCKET, key));
    await many((key) => get(deployment, BUCKET, key));
    const cost = deployment.kms.requestCount() - before;
    process.stdout.write(`${REQUESTS} PUTs and ${REQUESTS} GETs: ${cost} KMIP requests\n`);
    expect(cost).toBeLessThanOrEqual(10);
  });

  it('goes on while the KMS is down, on both workers', async () => {
    await deployment.kms.kill();
    for (let i = 0; i < 50; i += 1) expect((await get(deployment, BUCKET, `object-${i}`)).status).toBe(200);
    await deployment.kms.restart();
  });
});

describe('with a cache of one second and a stale limit of three', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy({ ttl: '1s', staleLimit: '3s' });
    expect((await put(deployment, BUCKET, 'kept')).status).toBe(200);
    expect((await put(deployment, PLAIN, 'kept')).status).toBe(200);
  });
  afterAll(() => deployment.close());
  const read = (): Promise<RawAnswer> => get(deployment, BUCKET, 'kept');
  const write = (): Promise<RawAnswer> => put(deployment, BUCKET, 'written');

  it('serves for the stale limit without the KMS, then answers 503 with Retry-After, and plain buckets go on', async () => {
    await read();
    await deployment.kms.kill();
    const { answer, afterMs, asked } = await until(read, answers(503, 'ServiceUnavailable'), served);
    process.stdout.write(
      `without the KMS: ${asked - 1} reads served in ${(afterMs / 1000).toFixed(1)} s, then 503\n`,
    );
    expect(asked).toBeGreaterThan(1);
    expect(afterMs).toBeGreaterThan(1500);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answers(503, 'ServiceUnavailable')(await write())).toBe(true);
    expect(
      answers(
        503,
        'ServiceUnavailable',
      )(await send(deployment.server, { method: 'GET', path: `/${BUCKET}` })),
    ).toBe(true);
    expect((await get(deployment, PLAIN, 'kept')).body.toString()).toBe('body of kept');
    expect((await put(deployment, PLAIN, 'meanwhile')).status).toBe(200);
    // The header rules need no KMS.
    const refused = await send(deployment.server, {
      method: 'PUT',
      path: `/${BUCKET}/refused`,
      headers: [['x-amz-server-side-encryption', 'aws:kms']],
    });
    expect(answers(400, 'InvalidArgument')(refused)).toBe(true);
  });

  it('stays ready without the KMS', async () => {
    const ready = await fetch(`${deployment.server.monitoringEndpoint}/readyz`);
    expect(ready.status).toBe(200);
  });

  it('works again without restart when the KMS is back', async () => {
    await deployment.kms.restart();
    const { afterMs } = await until(read, served, answers(503, 'ServiceUnavailable'));
    process.stdout.write(`the KMS is back: served after ${(afterMs / 1000).toFixed(1)} s\n`);
    expect((await write()).status).toBe(200);
  });

  it('answers 503 in time while the KMS hangs, and works again when it goes on', async () => {
    expect((await read()).status).toBe(200);
    deployment.kms.pause();
    const { answer } = await until(read, answers(503, 'ServiceUnavailable'), served);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    const started = performance.now();
    expect(answers(503, 'ServiceUnavailable')(await write())).toBe(true);
    expect(performance.now() - started).toBeLessThan(TOTAL_MS + 1000);
    deployment.kms.resume();
    await until(read, served, answers(503, 'ServiceUnavailable'));
    await until(write, served, answers(503, 'ServiceUnavailable'));
  });

  it('answers 500 and never uses the key when its bytes were altered in the KMS', async () => {
    const before = await deployment.server.metric('sealgate_integrity_failures_total', 'subject="bucketKey"');
    deployment.kms.alterKeyBytes(kmsIdOf(deployment));
    await until(read, answers(500, 'InternalError'), served);
    await until(write, answers(500, 'InternalError'), served);
    expect(
      await deployment.server.metric('sealgate_integrity_failures_total', 'subject="bucketKey"'),
    ).toBeGreaterThan(before);
    deployment.kms.alterKeyBytes(kmsIdOf(deployment));
    const { answer } = await until(read, served, answers(500, 'InternalError'));
    expect(answer.body.toString()).toBe('body of kept');
    expect((await get(deployment, BUCKET, 'written')).body.toString()).toBe('body of written');
  });

  it.each([
    ['only reads while the key is deactivated', KEY_STATES.deactivated, 200],
    ['only reads while the key is compromised', KEY_STATES.compromised, 200],
    ['refuses a key that is not active yet', KEY_STATES.preActive, 400],
  ])('%s', async (_, state, readStatus) => {
    deployment.kms.setState(kmsIdOf(deployment), state);
    await until(write, answers(400, 'KMS.InvalidState'), served);
    await until(read, (answer) => answer.status === readStatus, served);
    deployment.kms.setState(kmsIdOf(deployment), KEY_STATES.active);
    await until(write, served, answers(400, 'KMS.InvalidState'));
    await until(read, served, answers(400, 'KMS.InvalidState'));
  });

  it('answers 403 KMS.AccessDenied when the key has another owner', async () => {
    const kmsId = kmsIdOf(deployment);
    deployment.kms.changeOwner(kmsId, 'somebody-else');
    await until(read, answers(403, 'KMS.AccessDenied'), served);
    await until(write, answers(403, 'KMS.AccessDenied'), served);
    deployment.kms.changeOwner(kmsId, 'sealgate');
    await until(read, served, answers(403, 'KMS.AccessDenied'));
  });

  it('answers 400 KMS.NotFound when the key is gone', async () => {
    deployment.kms.removeKey(kmsIdOf(deployment));
    await until(read, answers(400, 'KMS.NotFound'), served);
    await until(write, answers(400, 'KMS.NotFound'), served);
  });
});

describe('while an encrypted bucket is being created', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy();
  });
  afterAll(() => deployment.close());

  it('without the KMS is 503, leaves no bucket that could pass for one, and works when the KMS is back', async () => {
    const create = (): Promise<RawAnswer> =>
      send(deployment.server, {
        method: 'PUT',
        path: '/later',
        headers: [['x-amz-scal-server-side-encryption', 'AES256']],
      });
    await deployment.kms.kill();
    expect(answers(503, 'ServiceUnavailable')(await create())).toBe(true);
    expect((await send(deployment.server, { method: 'HEAD', path: '/later' })).status).toBe(404);
    expect(answers(404, 'NoSuchBucket')(await put(deployment, 'later', 'x'))).toBe(true);
    await deployment.kms.restart();
    await until(create, served, answers(503, 'ServiceUnavailable'));
    const head = await send(deployment.server, { method: 'HEAD', path: '/later' });
    expect(head.headers['x-amz-scal-server-side-encryption']).toBe('AES256');
    expect(kmsIdentifiers(deployment.server.dataFolder).length).toBe(2);
  });
});
