import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { disableEncryption, enableEncryption } from '../buckets/bucketEncryption.ts';
import { createBucket } from '../buckets/createBucket.ts';
import { FakeClock } from '../keys/fakeClock.testkit.ts';
import { FakeKms } from '../keys/fakeKms.testkit.ts';
import { KmsError } from '../keys/keys.ts';
import { type BucketDocument, type Metadata, MetadataError } from '../metadata/metadata.ts';
import {
  codeOf,
  type Engine,
  inlineBody,
  openEngine,
  uploadIn,
  versionIn,
} from '../metadata/sqlite/engine.testkit.ts';
import {
  administrationOf,
  adminServerOn,
  askServer,
  type LifeAdministration,
} from './administration.testkit.ts';
import { type Life, startLife } from './life.testkit.ts';
import { Purges } from './purge.ts';
import { bucketOf, openSealedUpload, putSealed } from './sealed.testkit.ts';

const OWNER = 'team-a/docs';
let engine: Engine;
let kms: FakeKms;
let life: Life;
let administration: LifeAdministration;
let server: FastifyInstance;

beforeEach(async () => {
  engine = await openEngine();
  kms = new FakeKms(new FakeClock());
  life = await startLife(engine, kms);
  administration = administrationOf(life);
  server = adminServerOn(administration.keys);
});
afterEach(async () => {
  await server.close();
  await life[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const ask = (method: 'GET' | 'PUT' | 'DELETE' | 'POST', url: string, payload?: object) =>
  askServer(server, method, url, payload);
const declaration = (changes: object = {}) => ({
  owner: OWNER,
  encryption: { algorithm: 'AES256' },
  kmsConnection: 'kms',
  ...changes,
});
const declare = (changes: object = {}, name = 'docs') => ask('PUT', `buckets/${name}`, declaration(changes));
const refused = (status: number, code: string, message: unknown = expect.any(String)) => ({
  status,
  body: { error: { code, message } },
});
const makePlain = async (name = 'docs') => {
  await createBucket(life.making, { name, ownerId: 'owner', region: 'r', kmsConnection: null });
  return await bucketOf(life, name);
};
const commits = (): unknown => engine.writer.stats();

describe('a declaration', () => {
  test('makes the bucket with its key, and says what it is', async () => {
    const made = await declare({ keyRotation: { interval: '2160h' } });
    expect(made).toMatchObject({
      status: 200,
      body: {
        name: 'docs',
        state: 'Ready',
        owner: OWNER,
        encryption: 'AES256',
        kmsConnection: 'kms',
        keyVersion: 1,
        rotateEvery: '90d',
        nextRotationAt: new Date(1_000 + 90 * 86_400_000).toISOString(),
        usage: { objects: 0, bytes: 0 },
        keyVersions: [{ n: 1, state: 'Current', kmsConnection: 'kms' }],
      },
    });
    expect(await bucketOf(life, 'docs')).toMatchObject({ ownerId: 'owner', everPlain: false });
    expect((await ask('GET', 'buckets')).body).toMatchObject({
      buckets: [{ owner: OWNER, nextRotationAt: made.body['nextRotationAt'] }],
    });
  });

  test('again writes nothing when nothing differs, even when its connection is not configured any more', async () => {
    const first = await declare();
    const before = commits();
    expect(await declare()).toEqual(first);
    expect(commits()).toEqual(before);
    const bucket = await bucketOf(life, 'docs');
    const gone = { ...bucket, revision: bucket.revision + 1, kmsConnection: 'gone' };
    await life.metadata.updateBucket(gone);
    expect(await declare({ kmsConnection: 'gone' })).toMatchObject({ status: 200 });
    expect(await declare({ kmsConnection: 'nowhere' })).toMatchObject(refused(404, 'NoSuchConnection'));
  });

  test('changes schedule and connection; the connection counts from the next key version on', async () => {
    await declare({ keyRotation: { interval: '24h' } });
    const changed = await declare({ kmsConnection: 'other' });
    expect(changed.body).toMatchObject({
      kmsConnection: 'other',
      rotateEvery: null,
      nextRotationAt: null,
      keyVersions: [{ n: 1, kmsConnection: 'kms' }],
    });
    const rotated = await ask('POST', 'buckets/docs/rotate', { requestId: 'r1' });
    expect(rotated.body).toMatchObject({ n: 2, kmsConnection: 'other' });
    await declare({ kmsConnection: 'kms', keyRotation: { interval: '24h' } });
    life.clock.nowMs += 24 * 3_600_000;
    await life.settle();
    expect((await ask('GET', 'buckets/docs')).body).toMatchObject({
      keyVersion: 3,
      keyVersions: [{}, {}, { kmsConnection: 'kms', requestId: null }],
    });
  });

  test.each([
    ['a name that S3 does not allow', 'Docs', {}],
    ['no owner', 'docs', { owner: '' }],
    ['an unknown field', 'docs', { quota: 1 }],
    ['another algorithm', 'docs', { encryption: { algorithm: 'aws:kms' } }],
    ['an interval below a day', 'docs', { keyRotation: { interval: '23h59m' } }],
    ['an interval above ten years', 'docs', { keyRotation: { interval: '87600h1ms' } }],
    ['an interval in days', 'docs', { keyRotation: { interval: '90d' } }],
  ])('with %s is refused, and nothing is made', async (_what, name, changes) => {
    expect(await declare(changes, name)).toMatchObject(refused(400, 'InvalidArgument'));
    expect([kms.keys.size, await life.metadata.bucket(name)]).toEqual([0, null]);
  });

  test('tells what the KMS or the configuration has against it', async () => {
    expect(await declare({ kmsConnection: 'nowhere' })).toMatchObject(refused(404, 'NoSuchConnection'));
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    expect(await declare()).toMatchObject(refused(502, 'KmsRefused', expect.stringMatching(/\w/)));
    expect(await life.metadata.bucket('docs')).toBeNull();
    kms.mode = 'refuse';
    await using away = await startLife(engine, kms, undefined, { incarnation: life.incarnation });
    const call = administrationOf(away).keys.declare('docs', {
      owner: OWNER,
      kmsConnection: 'kms',
      rotateEveryMs: null,
      answers: null,
      adopt: false,
    });
    await expect(call).rejects.toMatchObject({ code: 'KmsUnavailable', status: 503 });
  });

  test('with a request to rotate makes a first key that answers it, and is no rotation', async () => {
    const schedule = { keyRotation: { interval: '24h' } };
    const made = await declare({ ...schedule, requestId: 'r1' });
    expect(made.body).toMatchObject({
      keyVersion: 1,
      nextRotationAt: new Date(1_000 + 86_400_000).toISOString(),
      keyVersions: [{ n: 1, requestId: 'r1', rotatedAt: null }],
    });
    const rotate = async (requestId: string) => await ask('POST', 'buckets/docs/rotate', { requestId });
    expect((await rotate('r1')).body).toMatchObject({ n: 1, state: 'Current' });
    // What is declared of a bucket that has its key says nothing of that key.
    await declare({ requestId: 'r2' });
    expect((await rotate('r2')).body).toMatchObject({ n: 2, requestId: 'r2' });
    expect((await rotate('r1')).body).toMatchObject({ n: 1, state: 'Readable' });
    expect(kms.keys.size).toBe(2);
  });

  test('with a request to rotate answers it also with the first key of a plain bucket that it takes over', async () => {
    await makePlain();
    const taken = await declare({ adopt: true, requestId: 'r1' });
    expect(taken.body).toMatchObject({ keyVersion: 1, keyVersions: [{ n: 1, requestId: 'r1' }] });
  });

  test('that was cut is resumed by the next, with the same key', async () => {
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    expect(await declare()).toMatchObject({ status: 502 });
    expect(await bucketOf(life, 'docs')).toMatchObject({ state: 'Creating', owner: OWNER });
    expect(await declare({ owner: 'team-b/docs' })).toMatchObject(refused(409, 'BucketNameTaken'));
    const overS3 = createBucket(life.making, {
      name: 'docs',
      ownerId: 'owner',
      region: 'r',
      kmsConnection: 'kms',
    });
    await expect(overS3).rejects.toMatchObject({ by: 'creation' });
    kms.refuse = () => null;
    expect(await declare()).toMatchObject({ status: 200, body: { keyVersion: 1 } });
    expect(kms.count('Create')).toBe(1);
  });

  test('over another connection gives up a creation that cannot be finished, and its key is revoked', async () => {
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    await declare();
    kms.refuse = () => null;
    expect((await declare({ kmsConnection: 'other' })).body).toMatchObject({
      state: 'Ready',
      keyVersion: 2,
      keyVersions: [
        { n: 1, state: 'Retiring', kmsConnection: 'kms' },
        { n: 2, state: 'Current', kmsConnection: 'other' },
      ],
    });
    await life.settle();
    expect((await life.metadata.keyVersion((await bucketOf(life, 'docs')).bucketUid, 1))?.state).toBe(
      'Revoked',
    );
  });
});

describe('a rotation that is unfinished when another connection is declared', () => {
  const versions = async () =>
    (await life.metadata.keyVersions((await bucketOf(life, 'docs')).bucketUid)).map(
      ({ n, kmsConnection, state }) => `${n} ${kmsConnection} ${state}`,
    );
  const refuseActivate = () => {
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
  };

  test('is given up when the schedule asked for it, and made over the declared one', async () => {
    await declare({ keyRotation: { interval: '24h' } });
    life.clock.nowMs += 24 * 3_600_000;
    refuseActivate();
    await life.jobs.round();
    expect(await versions()).toEqual(['1 kms Current', '2 kms Creating']);
    await declare({ keyRotation: { interval: '24h' }, kmsConnection: 'other' });
    kms.refuse = () => null;
    await life.settle();
    expect(await versions()).toEqual(['1 kms Revoked', '2 kms Revoked', '3 other Current']);
  });

  test('is made over the declared one when its request is repeated, once', async () => {
    await declare();
    refuseActivate();
    expect(await ask('POST', 'buckets/docs/rotate', { requestId: 'r1' })).toMatchObject({ status: 502 });
    await declare({ kmsConnection: 'other' });
    kms.refuse = () => null;
    const made = await ask('POST', 'buckets/docs/rotate', { requestId: 'r1' });
    expect(made).toMatchObject({ status: 200, body: { n: 3, kmsConnection: 'other' } });
    expect(await ask('POST', 'buckets/docs/rotate', { requestId: 'r1' })).toEqual(made);
    expect(await versions()).toEqual(['1 kms Readable', '2 kms Retiring', '3 other Current']);
  });
});

describe('a name', () => {
  test('goes to exactly one of two owners that declare it 64 times at once', async () => {
    const owners = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? OWNER : 'team-b/docs'));
    const answers = await Promise.all(owners.map((owner) => declare({ owner })));
    const won = new Set(owners.filter((_, i) => answers[i]?.status === 200));
    expect(won.size).toBe(1);
    expect([...won]).toEqual([(await bucketOf(life, 'docs')).owner]);
    for (const [i, owner] of owners.entries()) {
      if (!won.has(owner)) expect(answers[i]).toMatchObject(refused(409, 'BucketNameTaken'));
    }
    expect(kms.count('Create')).toBe(1);
  });

  test('goes to one of two threads that declare it at once', async () => {
    const second = administrationOf(life).keys;
    const wish = { kmsConnection: 'kms', rotateEveryMs: null, answers: null, adopt: false };
    const outcomes = await Promise.allSettled([
      administration.keys.declare('docs', { ...wish, owner: OWNER }),
      second.declare('docs', { ...wish, owner: 'team-b/docs' }),
    ]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('adoption', () => {
  test.each([
    ['an encrypted bucket with objects', 200],
    ['an empty encrypted bucket', 200],
    ['an empty plain bucket', 200],
    ['an empty bucket whose encryption was switched off', 200],
    ['a bucket of another owner', 200],
    ['a plain bucket with an object', 409],
    ['a plain bucket with an open upload', 409],
    ['a bucket with an object whose encryption was switched off', 409],
  ])('of %s answers %i, and only with the flag', async (what, status) => {
    if (what.startsWith('a plain') || what.includes('empty plain')) {
      const bucket = await makePlain();
      if (what.endsWith('object'))
        await life.metadata.commitVersion(versionIn(bucket, 'a'), inlineBody, undefined);
      if (what.endsWith('upload')) await life.metadata.createUpload('docs', uploadIn(bucket, 'a'));
    } else if (what.includes('another owner')) {
      await declare({ owner: 'team-b/docs' });
    } else {
      await life.create('docs');
      const bucket = await bucketOf(life, 'docs');
      if (what.includes('object')) await putSealed(life, bucket, 'a', 'content');
      if (what.includes('switched off')) await disableEncryption(life.metadata, bucket);
    }
    const before = await bucketOf(life, 'docs');
    expect(await declare()).toMatchObject(refused(409, 'BucketNameTaken'));
    const answer = await declare({ adopt: true, kmsConnection: 'other' });
    expect(answer.status).toBe(status);
    const after = await bucketOf(life, 'docs');
    if (status === 409) {
      expect(answer).toMatchObject(refused(409, 'NotEncryptable', expect.stringContaining('stay plain')));
      expect(after.owner).toBeNull();
      expect(after.encryption).toBeNull();
      // No key was made over the connection that was wished for, and nothing holds it.
      expect((await ask('GET', 'kms/other')).body).toMatchObject({ keyVersions: 0 });
      return;
    }
    expect(after).toMatchObject({ owner: OWNER, encryption: 'AES256', kmsConnection: 'other' });
    expect(after.bucketUid).toBe(before.bucketUid);
    expect(after.keyVersion).toBe(1);
    const key = await life.metadata.keyVersion(after.bucketUid, 1);
    expect(key?.kmsConnection).toBe(before.keyVersion === null ? 'other' : 'kms');
    // What is adopted empty takes nothing plain any more.
    if (before.encryption === null) {
      const plain = life.metadata.commitVersion(versionIn(after, 'late'), inlineBody, undefined);
      expect(await codeOf(plain)).toBe('Conflict');
    }
  });

  test.each(['encrypted', 'plain', 'plain again'])(
    'of an empty bucket that is %s over a connection that does not exist is refused, and changes nothing',
    async (what) => {
      if (what === 'plain') await makePlain();
      else await life.create('docs');
      if (what === 'plain again') await disableEncryption(life.metadata, await bucketOf(life, 'docs'));
      const before = commits();
      const answer = await declare({ adopt: true, kmsConnection: 'nowhere' });
      expect(answer).toMatchObject(refused(404, 'NoSuchConnection'));
      expect(commits()).toEqual(before);
    },
  );

  test.each([
    [
      'a plain write',
      (bucket: BucketDocument) => life.metadata.commitVersion(versionIn(bucket, 'a'), inlineBody, undefined),
    ],
    ['an upload', (bucket: BucketDocument) => life.metadata.createUpload('docs', uploadIn(bucket, 'a'))],
  ])(
    'of an empty bucket loses to %s that comes while the key is made, and that key is revoked',
    async (_what, write) => {
      const bucket = await makePlain();
      const written: Promise<void>[] = [];
      kms.refuse = (operation) => {
        if (operation === 'Activate' && written.length === 0) written.push(write(bucket));
        return null;
      };
      const refusal = refused(409, 'NotEncryptable');
      expect(await declare({ adopt: true, kmsConnection: 'other', requestId: 'r1' })).toMatchObject(refusal);
      await Promise.all(written);
      expect(await bucketOf(life, 'docs')).toMatchObject({ owner: null, encryption: null });
      await life.settle();
      // What is encrypted over S3 then has a key over the connection that is meant for that.
      await enableEncryption(life.making, bucket, 'kms');
      expect((await ask('GET', 'buckets/docs')).body).toMatchObject({
        keyVersion: 2,
        keyVersions: [
          { n: 1, state: 'Revoked', kmsConnection: 'other', requestId: null },
          { n: 2, state: 'Current', kmsConnection: 'kms' },
        ],
      });
      expect([...kms.keys.values()].map(({ state }) => state)).toEqual([3, 2]);
    },
  );

  test('takes over an unfinished creation over S3', async () => {
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    await expect(life.create('docs')).rejects.toThrow();
    kms.refuse = () => null;
    expect(await declare()).toMatchObject(refused(409, 'BucketNameTaken'));
    expect(await declare({ adopt: true })).toMatchObject({ status: 200, body: { owner: OWNER } });
    expect(kms.count('Create')).toBe(1);
  });
});

describe('over S3', () => {
  test('the encryption of a bucket that was declared meanwhile is not switched off', async () => {
    await life.create('docs');
    const before = await bucketOf(life, 'docs');
    await declare({ adopt: true });
    expect(await codeOf(disableEncryption(life.metadata, before))).toBe('Conflict');
    await enableEncryption(life.making, await bucketOf(life, 'docs'), 'kms');
    expect(await bucketOf(life, 'docs')).toMatchObject({ encryption: 'AES256', owner: OWNER });
  });
});

describe('a request over S3 that saw the bucket before it had its key', () => {
  const versions = async () => (await ask('GET', 'buckets/docs')).body['keyVersions'];

  test('is refused, whoever made the key, and makes no second one', async () => {
    const plain = await makePlain();
    await declare({ adopt: true, kmsConnection: 'other' });
    expect(await codeOf(enableEncryption(life.making, plain, 'kms'))).toBe('Conflict');
    expect(await versions()).toMatchObject([{ n: 1, state: 'Current', kmsConnection: 'other' }]);
    expect(kms.count('Create')).toBe(1);
  });

  test('is refused also when the key was rotated since', async () => {
    const plain = await makePlain();
    await enableEncryption(life.making, plain, 'kms');
    await ask('POST', 'buckets/docs/rotate', { requestId: 'r1' });
    expect(await codeOf(enableEncryption(life.making, plain, 'kms'))).toBe('Conflict');
    expect(await versions()).toMatchObject([{ state: 'Readable' }, { state: 'Current' }]);
    expect(kms.count('Create')).toBe(2);
  });
});

describe('a first key that could neither be finished nor given back, because the metadata was busy', () => {
  let busyFrom: string;
  let busy: boolean;
  let short: Life;
  beforeEach(async () => {
    busy = false;
    short = await startLife(engine, kms, async (step) => {
      if (step === `before the commit of ${busyFrom}`) busy = true;
      if (busy && step.startsWith('before the commit')) throw new MetadataError('Busy', step);
    });
  });
  afterEach(() => short[Symbol.asyncDispose]());
  const attempt = async () =>
    (await life.metadata.keyVersion((await bucketOf(life, 'docs')).bucketUid, 1))?.attempt;
  /** The metadata takes work again, and by itself the attempt ends. */
  const recover = async () => {
    expect(await attempt()).toBe(short.incarnation);
    [busyFrom, busy] = ['', false];
    await expect.poll(attempt).toBeNull();
  };

  test('is given back later: a bucket is made by the next request, with the same key', async () => {
    busyFrom = 'updateBucket';
    // What is told is what the request itself met.
    await expect(short.create('docs')).rejects.toThrow('before the commit of updateBucket');
    await recover();
    await short.create('docs');
    expect(await bucketOf(life, 'docs')).toMatchObject({ state: 'Ready', keyVersion: 1 });
    expect(kms.count('Create')).toBe(1);
  });

  test('is given back later: encryption is switched on by the next request, with the same key', async () => {
    const bucket = await makePlain();
    busyFrom = 'updateBucket';
    await expect(enableEncryption(short.making, bucket, 'kms')).rejects.toThrow('commit of updateBucket');
    await recover();
    await enableEncryption(short.making, bucket, 'kms');
    expect(await bucketOf(life, 'docs')).toMatchObject({ encryption: 'AES256', keyVersion: 1 });
    expect(kms.count('Create')).toBe(1);
  });

  test('is given back later: the name of a bucket for which no key was made can be used', async () => {
    busyFrom = 'dropReservation';
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    await expect(short.create('docs')).rejects.toBeInstanceOf(KmsError);
    kms.refuse = () => null;
    await recover();
    await short.create('docs');
    expect(await bucketOf(life, 'docs')).toMatchObject({ state: 'Ready' });
    expect(kms.keys.size).toBe(1);
  });
});

describe('removal', () => {
  const remove = (mode: string, owner: string | null = OWNER) =>
    ask('DELETE', `buckets/docs?mode=${mode}${owner === null ? '' : `&owner=${owner}`}`);

  test.each(['ifEmpty', 'purge'])(
    'with mode %s takes an empty bucket at once, and its key retires',
    async (mode) => {
      await declare();
      const { bucketUid } = await bucketOf(life, 'docs');
      expect(await remove(mode)).toEqual({ status: 204, body: {} });
      expect(await remove(mode)).toMatchObject(refused(404, 'NoSuchBucket'));
      expect(await life.metadata.keyVersion(bucketUid, 1)).toMatchObject({ state: 'Retiring' });
    },
  );

  test('of a full bucket is refused, or a purge that goes on by itself and ends with the bucket', async () => {
    await declare();
    const bucket = await bucketOf(life, 'docs');
    for (let i = 0; i < 250; i += 1) await putSealed(life, bucket, `o${i}`, 'content');
    await openSealedUpload(life, bucket, 'up', 'content');
    expect(await remove('ifEmpty')).toMatchObject(refused(409, 'BucketNotEmpty'));
    const purging = await remove('purge');
    expect(purging).toMatchObject({ status: 202, body: { state: 'Deleting', usage: { objects: 250 } } });
    expect(await remove('purge')).toMatchObject({ status: 202 });
    expect(await declare()).toMatchObject(refused(409, 'BucketDeleting'));
    expect(await ask('POST', 'buckets/docs/rotate', { requestId: 'r' })).toMatchObject(
      refused(404, 'NoSuchBucket'),
    );
    await expect(life.create('docs')).rejects.toMatchObject({ by: 'creation' });
    await life.settle();
    expect(await administration.purges.round()).toBe(2 ** 31 - 1);
    expect(await remove('purge')).toMatchObject(refused(404, 'NoSuchBucket'));
    await life.settle();
    expect(await life.metadata.keyVersion(bucket.bucketUid, 1)).toMatchObject({ state: 'Revoked' });
    expect(await declare()).toMatchObject({ status: 200 });
  });

  test('of a bucket that holds open uploads alone goes batch by batch too', async () => {
    await declare();
    const bucket = await bucketOf(life, 'docs');
    for (const key of ['a', 'b']) await openSealedUpload(life, bucket, key, 'content');
    expect(await remove('purge')).toMatchObject({ status: 202, body: { state: 'Deleting' } });
    expect(await administration.purges.round()).toBe(2 ** 31 - 1);
    expect(await remove('purge')).toMatchObject(refused(404, 'NoSuchBucket'));
    expect(engine.rows('SELECT upload_id FROM upload')).toEqual([]);
  });

  test('is for the owner alone', async () => {
    await declare();
    expect(await remove('purge', 'team-b/docs')).toMatchObject(refused(409, 'BucketNameTaken'));
    expect(await remove('ifEmpty', null)).toMatchObject(refused(409, 'BucketNameTaken'));
    await life.create('made-over-s3');
    const url = 'buckets/made-over-s3?mode=ifEmpty';
    expect(await ask('DELETE', `${url}&owner=${OWNER}`)).toMatchObject(refused(409, 'BucketNameTaken'));
    expect(await ask('DELETE', url)).toMatchObject({ status: 204 });
  });

  test('of a bucket whose key was never finished has the key looked for and revoked', async () => {
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    await declare();
    const { bucketUid } = await bucketOf(life, 'docs');
    kms.refuse = () => null;
    expect(await remove('ifEmpty')).toMatchObject({ status: 204 });
    await life.settle();
    expect(await life.metadata.keyVersion(bucketUid, 1)).toMatchObject({ state: 'Revoked' });
  });

  test('by shredding is not built and says so; without a mode it is refused', async () => {
    await declare();
    expect(await remove('shred')).toMatchObject(refused(501, 'NotImplemented'));
    expect(await remove('all')).toMatchObject(refused(400, 'InvalidArgument'));
    expect(await ask('DELETE', `buckets/docs?owner=${OWNER}`)).toMatchObject(refused(400, 'InvalidArgument'));
    expect(await bucketOf(life, 'docs')).toMatchObject({ state: 'Ready' });
  });
});

test('a bucket that cannot be purged does not keep the others, and is tried again', async () => {
  for (const name of ['damaged', 'fine']) {
    await declare({ owner: `team-a/${name}` }, name);
    await putSealed(life, await bucketOf(life, name), 'o', 'content');
    await ask('DELETE', `buckets/${name}?mode=purge&owner=team-a/${name}`);
  }
  engine.edit("UPDATE bucket SET control_mac = zeroblob(32) WHERE name = 'damaged'");
  expect(await administration.purges.round()).toBe(10_000);
  expect(await life.metadata.bucket('fine')).toBeNull();
});

test('a large bucket that is purged keeps no small one waiting', async () => {
  for (const [name, objects] of [
    ['a-large', 250],
    ['small', 1],
  ] as const) {
    await declare({}, name);
    const bucket = await bucketOf(life, name);
    for (let i = 0; i < objects; i += 1) await putSealed(life, bucket, `o${i}`, 'content');
    await ask('DELETE', `buckets/${name}?mode=purge&owner=${OWNER}`);
  }
  const lines: string[] = [];
  const note = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  // A batch takes three seconds, and so does the rest after it.
  const metadata: Metadata = new Proxy(life.metadata, {
    get: (target, name) => {
      if (name === 'purge') life.clock.nowMs += 3_000;
      return Reflect.get(target, name);
    },
  });
  const log = { info: note, warn: note, error: note };
  const { signal } = new AbortController();
  const purges = new Purges({ metadata, clock: life.clock, log, signal });
  expect(await purges.round()).toBe(0);
  expect(await life.metadata.bucket('small')).toBeNull();
  expect((await bucketOf(life, 'a-large')).state).toBe('Deleting');
  // Asked for again meanwhile, as an operator does, it goes on where it was.
  purges.add(await bucketOf(life, 'a-large'));
  expect(await purges.round()).toBe(2 ** 31 - 1);
  expect(await life.metadata.bucket('a-large')).toBeNull();
  const large = lines.filter((line) => line.includes('a-large'));
  expect(large.map((line) => line.split(' {')[0])).toEqual(['purging a bucket', 'a bucket was purged']);
  expect(large[1]).toContain('"rows":250');
});

test('what an earlier process left to purge is found', async () => {
  await declare();
  const bucket = await bucketOf(life, 'docs');
  await putSealed(life, bucket, 'o', 'content');
  await ask('DELETE', `buckets/docs?mode=purge&owner=${OWNER}`);
  await administrationOf(life).purges.round();
  expect(await life.metadata.bucket('docs')).toBeNull();
  // The first one hears of it later, and takes it for done.
  expect(await administration.purges.round()).toBe(2 ** 31 - 1);
});

test('what hangs on a connection is told, configured or not', async () => {
  await declare();
  expect(await ask('GET', 'kms/kms')).toEqual({
    status: 200,
    body: { connection: 'kms', configured: true, keyVersions: 1, buckets: 1 },
  });
  expect((await ask('GET', 'kms/team-a%2Fgone')).body).toEqual({
    connection: 'team-a/gone',
    configured: false,
    keyVersions: 0,
    buckets: 0,
  });
});
