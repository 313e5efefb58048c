import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketEncryptionCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminAnswer, askAdmin } from '../harness/admin.ts';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { storedRows } from '../harness/storedRows.ts';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));
const OWNER = 'team-a/invoices';
const OBJECTS = 1_000;
const UPLOADS = 20;
const WRITERS = 16;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({
    workers: 2,
    configPatch: (config) => {
      const [kms] = config['kmsConnections'] as [object];
      config['kmsConnections'] = [kms, { ...kms, name: 'team-a/other' }];
    },
  });
});
afterAll(() => deployment.close());

type Method = Parameters<typeof askAdmin>[1];
const ask = (method: Method, path: string, payload?: unknown, epoch?: number | string) =>
  askAdmin(deployment.server, method, path, payload, epoch);
const declare = (name: string, changes: object = {}, epoch?: number): Promise<AdminAnswer> =>
  ask(
    'PUT',
    `buckets/${name}`,
    { owner: OWNER, encryption: { algorithm: 'AES256' }, kmsConnection: 'kms', ...changes },
    epoch,
  );
const remove = (name: string, mode: string, owner = OWNER) =>
  ask('DELETE', `buckets/${name}?mode=${mode}&owner=${owner}`);
const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });
const put = (bucket: string, key: string, body: string | Buffer = key) =>
  deployment.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The code of S3's refusal, and what it says. */
async function s3Refusal(request: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return { code: error.name, message: error.message };
  }
  return { code: 'none', message: '' };
}

describe('a declared bucket', () => {
  it('is made with its key, belongs to the root account, and encrypts; declared again, nothing changes', async () => {
    const first = await declare('invoices', { keyRotation: { interval: '2160h' } });
    expect(first).toMatchObject({
      status: 200,
      body: { state: 'Ready', owner: OWNER, keyVersion: 1, rotateEvery: '90d', kmsConnection: 'kms' },
    });
    expect(await declare('invoices', { keyRotation: { interval: '2160h' } })).toEqual(first);
    const { Buckets = [] } = await deployment.client.send(new ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).toContain('invoices');
    await put('invoices', 'a', 'only for invoices');
    expect(await deployment.filesWith('only for invoices')).toEqual([]);
  });

  it('is neither deleted nor decrypted over S3, and the refusal names its resource', async () => {
    const { client } = deployment;
    const requests = [
      new DeleteBucketCommand({ Bucket: 'invoices' }),
      new DeleteBucketEncryptionCommand({ Bucket: 'invoices' }),
    ];
    for (const request of requests) {
      expect(await s3Refusal(client.send(request))).toEqual({
        code: 'InvalidBucketState',
        message: expect.stringContaining(OWNER),
      });
    }
  });

  it('makes its next key over the connection that is declared then', async () => {
    expect((await declare('invoices', { kmsConnection: 'team-a/other' })).body).toMatchObject({
      kmsConnection: 'team-a/other',
      rotateEvery: null,
      keyVersion: 1,
    });
    const use = async (connection: string) =>
      (await ask('GET', `kms/${encodeURIComponent(connection)}`)).body;
    expect(await use('team-a/other')).toMatchObject({ configured: true, keyVersions: 0, buckets: 0 });
    const rotated = await ask('POST', 'buckets/invoices/rotate', { requestId: 'r1' });
    expect(rotated.body).toMatchObject({ n: 2, kmsConnection: 'team-a/other' });
    expect(await use('team-a/other')).toMatchObject({ keyVersions: 1, buckets: 1 });
    const { Body } = await deployment.client.send(new GetObjectCommand({ Bucket: 'invoices', Key: 'a' }));
    expect(await Body?.transformToString()).toBe('only for invoices');
    expect(await declare('invoices', { kmsConnection: 'nowhere' })).toMatchObject(
      refusal(404, 'NoSuchConnection'),
    );
  });

  it('goes to exactly one of two owners that declare it 64 times at once', async () => {
    const owners = range(64).map((i) => (i % 2 === 0 ? OWNER : 'team-b/race'));
    const answers = await Promise.all(owners.map((owner) => declare('race', { owner })));
    const winner = (await ask('GET', 'buckets/race')).body['owner'];
    for (const [i, owner] of owners.entries()) {
      expect(answers[i]).toMatchObject(owner === winner ? { status: 200 } : refusal(409, 'BucketNameTaken'));
    }
  });
});

describe('a bucket that was made over S3', () => {
  it.each([
    ['encrypted', true, true, 200],
    ['encrypted and empty', true, false, 200],
    ['plain and empty', false, false, 200],
    ['plain with an object', false, true, 409],
  ])('and is %s is adopted or refused, and only with the flag', async (what, encrypted, full, status) => {
    const name = what.replaceAll(' ', '-');
    await createBucket(deployment.server, name, encrypted);
    if (full) await put(name, 'a', 'content');
    expect(await declare(name)).toMatchObject(refusal(409, 'BucketNameTaken'));
    const adopted = await declare(name, { adopt: true });
    expect(adopted).toMatchObject(status === 200 ? { status } : refusal(409, 'NotEncryptable'));
    const stored = await ask('GET', `buckets/${name}`);
    expect(stored.body).toMatchObject(
      status === 200 ? { owner: OWNER, encryption: 'AES256' } : { owner: null, encryption: null },
    );
    if (status === 409) return;
    await put(name, 'later', `stored in ${name}`);
    expect(await deployment.filesWith(`stored in ${name}`)).toEqual([]);
  });
});

describe('deletion', () => {
  it('is refused for a bucket that is not empty, not the owner’s, or to be shredded', async () => {
    await declare('full');
    await put('full', 'a');
    expect(await remove('full', 'ifEmpty')).toMatchObject(refusal(409, 'BucketNotEmpty'));
    expect(await remove('full', 'purge', 'team-b/full')).toMatchObject(refusal(409, 'BucketNameTaken'));
    expect(await remove('full', 'shred')).toMatchObject(refusal(501, 'NotImplemented'));
    await deployment.client.send(new DeleteObjectCommand({ Bucket: 'full', Key: 'a' }));
    expect(await remove('full', 'ifEmpty')).toEqual({ status: 204, body: {} });
    expect(await remove('full', 'ifEmpty')).toMatchObject(refusal(404, 'NoSuchBucket'));
  });
});

describe(`${OBJECTS} objects and ${UPLOADS} open uploads in a bucket that is purged while clients write`, () => {
  const rows = (sql: string): number =>
    Number(storedRows(deployment.server.dataFolder, sql)[0]?.['rows'] ?? Number.NaN);

  it('are gone for every client at once, nothing is written any more, and a killed process goes on where it was', async () => {
    await declare('purged');
    const { bucketId } = (await ask('GET', 'buckets/purged')).body;
    const mine = `WHERE bucket_uid = '${String(bucketId)}'`;
    const queue = range(OBJECTS);
    const fill = async (): Promise<void> => {
      for (let i = queue.pop(); i !== undefined; i = queue.pop())
        await put('purged', `o${i}`, i % 100 === 0 ? Buffer.alloc(70_000, i) : `content ${i}`);
    };
    await Promise.all(range(WRITERS).map(fill));
    const part = Buffer.alloc(70_000, 1);
    const uploads = await Promise.all(
      range(UPLOADS).map(async (i) => {
        const place = { Bucket: 'purged', Key: `upload-${i}` };
        const { UploadId = '' } = await deployment.client.send(new CreateMultipartUploadCommand(place));
        const send = (PartNumber: number) =>
          deployment.client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body: part }));
        await send(1);
        return send;
      }),
    );

    /** Writes until it is refused. */
    const writer = async (send: (i: number) => Promise<unknown>): Promise<string> => {
      for (let i = 2; ; i += 1) {
        const { code } = await s3Refusal(send(i));
        if (code !== 'none') return code;
      }
    };
    // The kill cuts them off in any way.
    const writers = Promise.allSettled([
      ...range(4).map((who) => writer((i) => put('purged', `new-${who}-${i}`))),
      ...uploads.slice(0, 2).map((send) => writer((i) => send(i % 1_000))),
    ]);
    const asked = await remove('purged', 'purge');
    expect(asked).toMatchObject({ status: 202, body: { state: 'Deleting' } });
    await deployment.server.kill();
    await writers;
    const left = rows(`SELECT count(*) AS rows FROM object_version ${mine}`);
    expect(left).toBeGreaterThan(0);

    await deployment.restart();
    const { client } = deployment;
    expect((await s3Refusal(put('purged', 'late'))).code).toBe('NoSuchBucket');
    expect((await s3Refusal(client.send(new HeadBucketCommand({ Bucket: 'purged' })))).code).toBe('NotFound');
    let state = await remove('purged', 'purge');
    const seen: number[] = [];
    while (state.status === 202) {
      seen.push((state.body['usage'] as { objects: number }).objects);
      state = await remove('purged', 'purge');
    }
    // Whether the last one sees the bucket go, or comes when it has gone.
    if (state.status === 204) state = await remove('purged', 'purge');
    expect(state).toMatchObject(refusal(404, 'NoSuchBucket'));
    expect(seen).toEqual(seen.toSorted((a, b) => b - a));
    for (const table of ['object_version', 'object_current', 'upload', 'bucket_usage', 'key_usage'])
      expect(rows(`SELECT count(*) AS rows FROM ${table} ${mine}`), table).toBe(0);
    expect(rows(`SELECT count(*) AS rows FROM upload_part`)).toBe(0);
    const { body } = await ask('GET', 'keys?unused=true');
    const keys = body['keys'] as { bucketId: unknown; state: string }[];
    expect(['Retiring', 'Revoked']).toContain(keys.find((key) => key.bucketId === bucketId)?.state);
    expect(await declare('purged', { owner: 'team-b/purged' })).toMatchObject({
      status: 200,
      body: { usage: { objects: 0 } },
    });
    process.stdout.write(
      `purge: ${left} versions left when killed, seen falling over ${seen.length} questions\n`,
    );
  });

  it('are refused with NoSuchBucket to whoever was writing, and nobody is told anything else', async () => {
    await declare('written');
    await Promise.all(range(300).map((i) => put('written', `o${i}`)));
    const writers = range(8).map(async (who) => {
      for (let i = 0; ; i += 1) {
        // As applications write: a connection that is closed with a refusal is opened again.
        const request = new PutObjectCommand({ Bucket: 'written', Key: `new-${who}-${i}`, Body: 'content' });
        const { code } = await s3Refusal(deployment.s3.send(request));
        if (code !== 'none') return code;
      }
    });
    expect(await remove('written', 'purge')).toMatchObject({ status: 202 });
    expect(new Set(await Promise.all(writers))).toEqual(new Set(['NoSuchBucket']));
  });

  it('leave nothing that verify objects to', async () => {
    const { configFile } = deployment.server;
    const { stdout } = await promisify(execFile)(LAUNCHER, ['verify', '--config', configFile, '--json']);
    expect(stdout).toMatch(/\{/);
  });
});

describe('a leader', () => {
  const take = async (holder: string): Promise<number> =>
    Number((await ask('POST', 'epoch', { holder })).body['epoch']);

  it('that was deposed is refused, and a person is served; also by the next process', async () => {
    const first = await take('operator-0');
    expect(await declare('led', {}, first)).toMatchObject({ status: 200 });
    const second = await take('operator-1');
    expect(second).toBe(first + 1);
    const stale = refusal(412, 'StaleEpoch');
    expect(await declare('led', { keyRotation: { interval: '24h' } }, first)).toMatchObject(stale);
    expect(await ask('DELETE', `buckets/led?mode=ifEmpty&owner=${OWNER}`, undefined, first)).toMatchObject(
      stale,
    );
    expect(await ask('POST', 'kms/kms/flush', undefined, first)).toMatchObject(stale);
    expect(await ask('GET', 'buckets/led', undefined, first)).toMatchObject({
      status: 200,
      body: { rotateEvery: null },
    });
    for (const epoch of ['', 'x', '-1', '1.5', '1, 2'])
      expect(await ask('POST', 'kms/kms/flush', undefined, epoch)).toMatchObject(
        refusal(400, 'InvalidArgument'),
      );
    await deployment.server.stop();
    await deployment.restart();
    expect(await declare('led', {}, first)).toMatchObject(stale);
    expect(await declare('led', {}, second)).toMatchObject({ status: 200 });
    expect(await declare('led')).toMatchObject({ status: 200 });
    expect(await take('operator-0')).toBe(second + 1);
  });

  it('that is deposed amid its declarations makes no bucket after its successor was answered', async () => {
    const deposed = await take('operator-0');
    /** One bucket after the other, until it is refused. */
    const first = Promise.withResolvers<void>();
    const answers: AdminAnswer[] = [];
    const declaring = range(4).map(async (who) => {
      for (let i = 0; i < 10; i += 1) {
        const answer = await declare(`deposed-${who}-${i}`, {}, deposed);
        answers.push(answer);
        first.resolve();
        if (answer.status !== 200) return;
      }
    });
    // Others are under way.
    await first.promise;
    const successor = await take('operator-1');
    const names = async (): Promise<unknown[]> => {
      const { body } = await ask('GET', 'buckets?limit=1000');
      return (body['buckets'] as { name: string }[]).map(({ name }) => name);
    };
    const then = await names();
    await Promise.all(declaring);
    expect(await names()).toEqual(then);
    const made = answers.filter(({ status }) => status === 200).length;
    expect(made).toBeGreaterThan(0);
    for (const answer of answers) {
      if (answer.status !== 200) expect(answer).toMatchObject(refusal(412, 'StaleEpoch'));
    }
    expect(answers.length).toBeGreaterThan(made);
    expect(await declare('deposed-0-0', {}, deposed)).toMatchObject(refusal(412, 'StaleEpoch'));
    expect(await declare('deposed-0-0', {}, successor)).toMatchObject({ status: 200 });
    process.stdout.write(
      `epochs: ${made} declarations of a deposed leader took effect before its successor was answered, ${answers.length - made} were refused\n`,
    );
  });
});

it('the description of the API is served beside it', async () => {
  const { status, body } = await ask('GET', 'openapi.json');
  expect([status, body['openapi']]).toEqual([200, '3.1.1']);
});
