import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AdminError } from '../admin/errors.ts';
import { FakeClock } from '../keys/fakeClock.testkit.ts';
import { FakeKms } from '../keys/fakeKms.testkit.ts';
import { type Engine, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import { administrationOf, adminServerOn, askServer } from './administration.testkit.ts';
import { type Life, startLife } from './life.testkit.ts';
import { bucketOf, openSealedUpload, putSealed } from './sealed.testkit.ts';

const DAY_MS = 86_400_000;

let engine: Engine;
let kms: FakeKms;
let life: Life;
let server: FastifyInstance;
let flushed: string[];

beforeEach(async () => {
  engine = await openEngine();
  kms = new FakeKms(new FakeClock());
  life = await startLife(engine, kms);
  await life.create('docs');
  flushed = [];
  server = adminServerOn(administrationOf(life).keys, {
    flush: (connection) => {
      if (connection === 'nowhere')
        return Promise.reject(new AdminError('NoSuchConnection', 'no such connection'));
      flushed.push(connection);
      return Promise.resolve();
    },
  });
});
afterEach(async () => {
  await server.close();
  await life[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const ask = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) =>
  askServer(server, method, url, payload);
const rotate = (requestId: string, more: Record<string, unknown> = {}) =>
  ask('POST', 'buckets/docs/rotate', { requestId, ...more });

describe('buckets', () => {
  test('are told page by page', async () => {
    await life.create('more');
    const first = await ask('GET', 'buckets?limit=1');
    expect(first.body).toMatchObject({
      buckets: [{ name: 'docs', state: 'Ready', keyVersion: 1 }],
      next: 'docs',
    });
    const second = await ask('GET', 'buckets?limit=1&after=docs');
    expect(second.body).toMatchObject({ buckets: [{ name: 'more' }], next: 'more' });
    expect((await ask('GET', 'buckets?limit=1&after=more')).body).toEqual({ buckets: [], next: null });
  });

  test('whose row was edited are told as damaged, and do not hide the others', async () => {
    await life.create('more');
    engine.edit("UPDATE bucket SET control_mac = zeroblob(32) WHERE name = 'docs'");
    expect((await ask('GET', 'buckets')).body).toMatchObject({
      buckets: [
        { name: 'docs', state: 'Damaged', keyVersion: null },
        { name: 'more', state: 'Ready' },
      ],
      next: null,
    });
  });

  const declaration = { owner: 'team-a/docs', encryption: { algorithm: 'AES256' }, kmsConnection: 'kms' };
  test.each([
    ['bucket', 'GET', 'buckets/docs', undefined],
    ['bucket', 'PUT', 'buckets/docs', declaration],
    ['bucket', 'DELETE', 'buckets/docs?mode=ifEmpty', undefined],
    ['bucket', 'POST', 'buckets/docs/rotate', { requestId: 'r1' }],
    ['bucket', 'PUT', 'buckets/docs/rotation', { every: '90d' }],
    ['key_version', 'GET', 'buckets/docs', undefined],
    ['key_version', 'PUT', 'buckets/docs', { ...declaration, adopt: true }],
    ['key_version', 'DELETE', 'buckets/docs?mode=ifEmpty', undefined],
    ['key_version', 'POST', 'buckets/docs/rotate', { requestId: 'r1' }],
  ] as const)(
    'whose %s row was edited answer %s %s with Damaged, and nothing is done',
    async (table, method, url, body) => {
      engine.edit(`UPDATE ${table} SET control_mac = zeroblob(32)`);
      const answer = await ask(method, url, body);
      const message = expect.stringContaining('is not authentic');
      expect(answer).toMatchObject({ status: 409, body: { error: { code: 'Damaged', message } } });
      expect(kms.keys.size).toBe(1);
      expect(engine.rows('SELECT name FROM bucket')).toEqual([{ name: 'docs' }]);
    },
  );

  test('tell their key versions, what uses them, and how far the rewrap has come', async () => {
    const bucket = await bucketOf(life, 'docs');
    await putSealed(life, bucket, 'o', 'content');
    await rotate('r1');
    const before = await ask('GET', 'buckets/docs');
    expect(before.body).toMatchObject({
      name: 'docs',
      bucketId: bucket.bucketUid,
      encryption: 'AES256',
      keyVersion: 2,
      rotateEvery: null,
      usage: { objects: 1, bytes: 3 },
      keyVersions: [
        { n: 1, state: 'Readable', kmsConnection: 'kms', kmsId: 'key-1', uses: { versions: 1, uploads: 0 } },
        { n: 2, state: 'Current', requestId: 'r1', uses: { versions: 0, uploads: 0 } },
      ],
      rewrap: { state: 'Running', done: 0, remaining: 1, damaged: 0, message: null },
    });
    await life.settle();
    expect((await ask('GET', 'buckets/docs')).body).toMatchObject({
      keyVersions: [{ state: 'Revoked' }, { state: 'Current', uses: { versions: 1 } }],
      rewrap: { state: 'Idle', remaining: 0 },
    });
  });

  test('tell why a rewrap waits', async () => {
    const bucket = await bucketOf(life, 'docs');
    await putSealed(life, bucket, 'o', 'content');
    engine.edit('UPDATE object_version SET sealed_key = zeroblob(48)');
    await rotate('r1');
    await life.jobs.round();
    await life.jobs.round();
    const { body } = await ask('GET', 'buckets/docs');
    expect(body['rewrap']).toMatchObject({ state: 'Waiting', remaining: 1 });
    expect(body['rewrap']).toHaveProperty('message', expect.stringContaining('do not open'));
  });
});

describe('POST rotate', () => {
  test('rotates once for one request id', async () => {
    const first = await rotate('r1');
    expect(first).toMatchObject({
      status: 200,
      body: { bucket: 'docs', n: 2, state: 'Current', requestId: 'r1', kmsConnection: 'kms' },
    });
    expect(await rotate('r1')).toEqual(first);
    expect(kms.keys.size).toBe(2);
  });

  test('moves a bucket to another connection', async () => {
    expect((await rotate('r1', { toConnection: 'other' })).body).toMatchObject({ kmsConnection: 'other' });
  });

  test.each([
    ['no request id', {}, 400, 'InvalidArgument'],
    ['an empty request id', { requestId: '' }, 400, 'InvalidArgument'],
    ['an unknown field', { requestId: 'r', wait: true }, 400, 'InvalidArgument'],
    ['an unknown connection', { requestId: 'r', toConnection: 'nowhere' }, 404, 'NoSuchConnection'],
  ])('with %s is refused, and nothing is made', async (_what, payload, status, code) => {
    const answer = await ask('POST', 'buckets/docs/rotate', payload);
    expect(answer).toMatchObject({ status, body: { error: { code } } });
    expect(kms.keys.size).toBe(1);
    expect(await life.metadata.keyVersions((await bucketOf(life, 'docs')).bucketUid)).toHaveLength(1);
  });

  test('of a bucket that does not exist, or has no key, says so', async () => {
    const payload = { requestId: 'r' };
    const none = await ask('POST', 'buckets/none/rotate', payload);
    expect(none).toMatchObject({ status: 404, body: { error: { code: 'NoSuchBucket' } } });
    const bucket = await bucketOf(life, 'docs');
    const plain = { ...bucket, name: 'plain', bucketUid: '0'.repeat(32), keyVersion: null, revision: 0 };
    await life.metadata.createBucket({ ...plain, encryption: null }, null);
    const refused = { status: 409, body: { error: { code: 'NotEncrypted' } } };
    expect(await ask('POST', 'buckets/plain/rotate', payload)).toMatchObject(refused);
    expect(await ask('PUT', 'buckets/plain/rotation', { every: '90d' })).toMatchObject(refused);
  });

  test('tells an outage of the KMS from its refusal', async () => {
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    expect(await rotate('r1')).toMatchObject({ status: 502, body: { error: { code: 'KmsRefused' } } });
    kms.mode = 'refuse';
    await using away = await startLife(engine, kms, undefined, { incarnation: life.incarnation });
    const administration = administrationOf(away).keys;
    const rotating = administration.rotate('docs', { requestId: 'r2', toConnection: null });
    await expect(rotating).rejects.toMatchObject({ code: 'KmsUnavailable', status: 503 });
  });
});

describe('PUT rotation', () => {
  test('sets and removes a schedule', async () => {
    const set = await ask('PUT', 'buckets/docs/rotation', { every: '90d' });
    expect(set).toMatchObject({ status: 200, body: { rotateEvery: '90d' } });
    expect((await bucketOf(life, 'docs')).rotateEveryMs).toBe(90 * DAY_MS);
    expect((await ask('PUT', 'buckets/docs/rotation', { every: '36h' })).body).toMatchObject({
      rotateEvery: '36h',
    });
    const removed = await ask('PUT', 'buckets/docs/rotation', { every: null });
    expect(removed.body).toMatchObject({ rotateEvery: null });
  });

  test.each(['', '90', '59m', '3661d', '1.5d', '90 days', '-1d', 90])('of %j is refused', async (every) => {
    const answer = await ask('PUT', 'buckets/docs/rotation', { every });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'InvalidArgument' } } });
  });
});

describe('keys', () => {
  test('of all buckets are told page by page, deleted ones too', async () => {
    const { bucketUid } = await bucketOf(life, 'docs');
    await rotate('r1');
    await life.metadata.deleteBucket('docs', bucketUid);
    const first = await ask('GET', 'keys?limit=1');
    expect(first.body).toMatchObject({
      keys: [{ bucketId: bucketUid, bucket: null, n: 1, state: 'Retiring' }],
      next: `${bucketUid}/1`,
    });
    const second = await ask('GET', `keys?limit=1&after=${bucketUid}/1`);
    expect(second.body).toMatchObject({ keys: [{ n: 2 }] });
  });

  test('that are in use are left out when only unused ones are asked for', async () => {
    await rotate('r1');
    await life.settle();
    const all = await ask('GET', 'keys');
    expect(all.body).toMatchObject({ keys: [{ state: 'Revoked' }, { state: 'Current', bucket: 'docs' }] });
    const unused = await ask('GET', 'keys?unused=true');
    expect(unused.body['keys']).toHaveLength(1);
  });

  test.each(['keys?limit=0', 'keys?limit=1001', 'keys?after=x', 'keys?unused=maybe', 'keys?all=1'])(
    'are not told for %s',
    async (url) => {
      const answer = await ask('GET', url);
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'InvalidArgument' } } });
    },
  );

  test('are destroyed only when they are revoked and nothing uses them', async () => {
    const bucket = await bucketOf(life, 'docs');
    const destroy = (n: number) => ask('POST', `keys/${bucket.bucketUid}/${n}/destroy`);
    await putSealed(life, bucket, 'o', 'content');
    expect(await destroy(1)).toMatchObject({ status: 409, body: { error: { code: 'KeyInUse' } } });
    await rotate('r1');
    expect(await destroy(1)).toMatchObject({ status: 409 });
    expect(await destroy(3)).toMatchObject({ status: 404, body: { error: { code: 'NoSuchKeyVersion' } } });
    await life.settle();
    expect(await destroy(1)).toMatchObject({ status: 200, body: { n: 1, state: 'Destroyed' } });
    expect(await destroy(1)).toMatchObject({ status: 200, body: { state: 'Destroyed' } });
    expect([...kms.keys.keys()]).toEqual(['key-2']);
  });

  test('of a bucket whose row was edited are told without its name, and are destroyed like others', async () => {
    const { bucketUid } = await bucketOf(life, 'docs');
    await life.create('more');
    await rotate('r1');
    await life.settle();
    engine.edit("UPDATE bucket SET control_mac = zeroblob(32) WHERE name = 'docs'");
    const { keys } = (await ask('GET', 'keys')).body as { keys: { n: number; bucket: string | null }[] };
    expect(keys.map(({ n, bucket }) => `${n} ${bucket}`).toSorted()).toEqual(['1 more', '1 null', '2 null']);
    expect(await ask('POST', `keys/${bucketUid}/1/destroy`)).toMatchObject({
      status: 200,
      body: { bucket: null, n: 1, state: 'Destroyed' },
    });
  });

  test('whose own row was edited are not destroyed', async () => {
    const { bucketUid } = await bucketOf(life, 'docs');
    engine.edit('UPDATE key_version SET control_mac = zeroblob(32)');
    const answer = await ask('POST', `keys/${bucketUid}/1/destroy`);
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'Damaged' } } });
  });

  test('that are revoked and still used, as only an edited row can say, are not destroyed', async () => {
    const bucket = await bucketOf(life, 'docs');
    await rotate('r1');
    await life.settle();
    engine.edit(
      'INSERT OR REPLACE INTO key_usage (bucket_uid, n, versions, uploads) VALUES (?, 1, 1, 0)',
      bucket.bucketUid,
    );
    const answer = await ask('POST', `keys/${bucket.bucketUid}/1/destroy`);
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'KeyInUse' } } });
    expect(kms.keys.size).toBe(2);
  });

  test.each([
    ['a version', 'object_version', 'key'],
    ['an open upload', 'upload', 'upload_id'],
  ])('that %s names although the counts say otherwise are not destroyed', async (_, table, order) => {
    const bucket = await bucketOf(life, 'docs');
    for (const name of ['a', 'b', 'c']) {
      await putSealed(life, bucket, name, 'content');
      await openSealedUpload(life, bucket, name, 'content');
    }
    await rotate('r1');
    await life.settle();
    engine.edit(`UPDATE ${table} SET n = 1 WHERE ${order} = (SELECT max(${order}) FROM ${table})`);
    const answer = await ask('POST', `keys/${bucket.bucketUid}/1/destroy`);
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'KeyInUse' } } });
    expect(kms.keys.size).toBe(2);
  });
});

test('flush names a connection, slashes and all', async () => {
  expect((await ask('POST', 'kms/team-a%2Fkeysecure/flush')).status).toBe(200);
  expect(flushed).toEqual(['team-a/keysecure']);
  const unknown = await ask('POST', 'kms/nowhere/flush');
  expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'NoSuchConnection' } } });
});
