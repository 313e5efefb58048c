import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import type { BucketDocument } from '../metadata.ts';
import {
  bucketNamed,
  codeOf,
  type Engine,
  inlineBody,
  keyVersionOf,
  openEngine,
  partOf,
  versionIn,
} from './engine.testkit.ts';
import { migrate } from './migrations.ts';
import {
  commitSealed,
  countedIn,
  encryptedBucket,
  rotated,
  sealedIn,
  sealedUploadIn,
  usesOf,
} from './rotation.testkit.ts';

let engine: Engine;
let bucket: BucketDocument;
let buckets = 0;
const noCrcs = new Uint8Array(0);

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
beforeEach(async () => {
  buckets += 1;
  bucket = await encryptedBucket(engine, `rotation-${buckets}`);
});

const uses = () => usesOf(engine, bucket);

const stateOf = async (n: number) => (await engine.metadata.keyVersion(bucket.bucketUid, n))?.state;

describe('the uses of a key version', () => {
  test('are counted in the transactions that make, replace and remove what names it', async () => {
    const { metadata } = engine;
    await commitSealed(engine, bucket, 'a', 1);
    await commitSealed(engine, bucket, 'a', 1);
    await commitSealed(engine, bucket, 'b', 1);
    const [kept, completed, aborted] = ['kept', 'completed', 'aborted'].map((key) =>
      sealedUploadIn(bucket, key, 1),
    ) as [
      ReturnType<typeof sealedUploadIn>,
      ReturnType<typeof sealedUploadIn>,
      ReturnType<typeof sealedUploadIn>,
    ];
    for (const upload of [kept, completed, aborted]) await metadata.createUpload(bucket.name, upload);
    expect(await uses()).toEqual({ 1: { versions: 2, uploads: 3 } });

    bucket = await rotated(engine, bucket);
    await commitSealed(engine, bucket, 'a', 2);
    const { uploadId } = completed;
    await metadata.completeUpload(
      { uploadId, revision: 0 },
      sealedIn(bucket, 'completed', 2, { bodyId: completed.bodyId }),
      [],
      undefined,
    );
    await metadata.abortUpload(bucket.bucketUid, aborted.key, aborted.uploadId);
    expect(await uses()).toEqual({ 1: { versions: 1, uploads: 1 }, 2: { versions: 2, uploads: 0 } });
    expect(await uses()).toEqual(countedIn(engine, bucket));

    await metadata.deleteObject(bucket.name, bucket.bucketUid, Buffer.from('b'), undefined);
    await metadata.abortUpload(bucket.bucketUid, kept.key, kept.uploadId);
    expect(await uses()).toMatchObject({ 1: { versions: 0, uploads: 0 } });
  });

  test('do not count what is refused', async () => {
    const refused = sealedIn(bucket, 'a', 1);
    expect(await codeOf(engine.metadata.commitVersion(refused, inlineBody, newId()))).toBe(
      'PreconditionFailed',
    );
    expect(await uses()).toEqual({});
  });

  test('follow an object that becomes plain and encrypted again', async () => {
    const plain = { ...bucket, revision: bucket.revision + 1, everPlain: true, encryption: null };
    await engine.metadata.updateBucket(plain);
    await commitSealed(engine, bucket, 'a', 1);
    await engine.metadata.commitVersion(versionIn(bucket, 'a'), inlineBody, undefined);
    expect(await uses()).toEqual({ 1: { versions: 0, uploads: 0 } });
    await commitSealed(engine, bucket, 'a', 1);
    expect(await uses()).toEqual({ 1: { versions: 1, uploads: 0 } });
  });

  test('are counted for the rows of an older file when it is opened', async () => {
    await commitSealed(engine, bucket, 'a', 1);
    await commitSealed(engine, bucket, 'b', 1);
    await engine.metadata.createUpload(bucket.name, sealedUploadIn(bucket, 'c', 1));
    using old = new DatabaseSync(':memory:');
    old.exec(`ATTACH '${engine.path}' AS today`);
    // The same rows in the schema before key_usage, as that build left them.
    for (const row of engine.rows(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL`))
      old.exec(String(row['sql']));
    for (const table of ['key_usage', 'job_state', 'access_key', 'connection_usage', 'leader_epoch'])
      old.exec(`DROP TABLE ${table}`);
    old.exec('PRAGMA user_version = 1');
    for (const table of ['object_version', 'upload']) {
      old.exec(
        `INSERT INTO main.${table} SELECT * FROM today.${table} WHERE bucket_uid = '${bucket.bucketUid}'`,
      );
    }
    old.exec('DETACH today');
    for (const table of ['body', 'upload']) old.exec(`ALTER TABLE ${table} DROP COLUMN data_key_n`);
    migrate(old);
    expect(old.prepare('SELECT bucket_uid, n, versions, uploads FROM key_usage').all()).toEqual([
      { bucket_uid: bucket.bucketUid, n: 1, versions: 2, uploads: 1 },
    ]);
    expect(old.prepare('SELECT data_key_n FROM upload').all()).toEqual([{ data_key_n: 1 }]);
  });
});

describe('a version or an upload that names', () => {
  test.each(['Retiring', 'Revoked', 'Destroyed'] as const)('a %s key is KeyRetired', async (state) => {
    await engine.metadata.putKeyVersion(keyVersionOf(bucket.bucketUid, { n: 2, state }));
    const open = sealedUploadIn(bucket, 'open', 1);
    await engine.metadata.createUpload(bucket.name, open);
    const version = sealedIn(bucket, 'a', 2);
    expect(await codeOf(engine.metadata.commitVersion(version, inlineBody, undefined))).toBe('KeyRetired');
    const upload = sealedUploadIn(bucket, 'a', 2);
    expect(await codeOf(engine.metadata.createUpload(bucket.name, upload))).toBe('KeyRetired');
    const target = { uploadId: open.uploadId, revision: 0 };
    const completed = sealedIn(bucket, 'open', 2, { bodyId: open.bodyId });
    expect(await codeOf(engine.metadata.completeUpload(target, completed, [], undefined))).toBe('KeyRetired');
    expect(await uses()).toEqual({ 1: { versions: 0, uploads: 1 } });
    expect(engine.rows(`SELECT * FROM body WHERE body_id = '${version.bodyId}'`)).toEqual([]);
  });

  test('a key that is replaced and still readable is committed', async () => {
    bucket = await rotated(engine, bucket);
    await commitSealed(engine, bucket, 'slow', 1);
    expect(await uses()).toEqual({ 1: { versions: 1, uploads: 0 } });
  });

  test('a key that is being made, or none at all, is Integrity', async () => {
    await engine.metadata.putKeyVersion(keyVersionOf(bucket.bucketUid, { n: 2 }));
    for (const n of [2, 3]) {
      const version = sealedIn(bucket, 'a', n);
      expect(await codeOf(engine.metadata.commitVersion(version, inlineBody, undefined))).toBe('Integrity');
    }
  });
});

describe('retiring', () => {
  test('waits for the last version and the last upload, and then bars every commit', async () => {
    const { metadata } = engine;
    const { bucketUid } = bucket;
    await commitSealed(engine, bucket, 'a', 1);
    const upload = sealedUploadIn(bucket, 'open', 1);
    await metadata.createUpload(bucket.name, upload);
    const late = sealedIn(bucket, 'late', 1);
    expect(await codeOf(metadata.retireKeyVersion(bucketUid, 1))).toBe('Conflict');
    bucket = await rotated(engine, bucket);
    expect(await metadata.retireKeyVersion(bucketUid, 1)).toBe(false);
    await commitSealed(engine, bucket, 'a', 2);
    expect(await metadata.retireKeyVersion(bucketUid, 1)).toBe(false);
    await metadata.abortUpload(bucketUid, upload.key, upload.uploadId);
    expect(await metadata.retireKeyVersion(bucketUid, 1)).toBe(true);
    expect(await stateOf(1)).toBe('Retiring');
    expect(await metadata.retireKeyVersion(bucketUid, 1)).toBe(true);
    expect(await codeOf(metadata.commitVersion(late, inlineBody, undefined))).toBe('KeyRetired');
    expect(await codeOf(metadata.retireKeyVersion(bucketUid, 2))).toBe('Conflict');
    expect(await codeOf(metadata.retireKeyVersion(bucketUid, 3))).toBe('Conflict');
  });

  test.each([1, -1])('is not talked into by a count that is off by %i', async (difference) => {
    bucket = await rotated(engine, bucket);
    await commitSealed(engine, bucket, 'a', 1);
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, Buffer.from('a'), undefined);
    engine.edit('UPDATE key_usage SET versions = ? WHERE bucket_uid = ?', difference, bucket.bucketUid);
    expect(await engine.metadata.retireKeyVersion(bucket.bucketUid, 1)).toBe(false);
  });

  test('happens to all keys of a bucket that is deleted, but for one that is being made', async () => {
    const { metadata } = engine;
    const { bucketUid } = bucket;
    bucket = await rotated(engine, bucket);
    await metadata.putKeyVersion(keyVersionOf(bucketUid, { n: 3, attempt: newId() }));
    const upload = sealedUploadIn(bucket, 'open', 1);
    await metadata.createUpload(bucket.name, upload);
    await metadata.commitPart(upload, partOf(engine.incarnation, 1), noCrcs);
    await metadata.putJobState('rewrap', bucketUid, '{}');
    await metadata.deleteBucket(bucket.name, bucketUid);
    const versions = await metadata.keyVersions(bucketUid);
    expect(versions.map(({ n, state }) => `${n} ${state}`)).toEqual([
      '1 Retiring',
      '2 Retiring',
      '3 Creating',
    ]);
    expect(await uses()).toEqual({});
    expect(await metadata.jobState('rewrap', bucketUid)).toBeNull();
  });
});

describe('inventories', () => {
  test('show every bucket and every key version in pages, and an edited one beside the others', async () => {
    await using own = await openEngine();
    const { metadata } = own;
    const first = await encryptedBucket(own, 'a');
    const second = await rotated(own, await encryptedBucket(own, 'b'));
    await metadata.createBucket(bucketNamed('c', { ownerId: 'somebody-else', state: 'Creating' }), null);
    await metadata.deleteBucket(first.name, first.bucketUid);
    const names = await metadata.listEveryBucket({ after: '', limit: 1 });
    expect(names).toEqual([{ name: 'b', bucketUid: second.bucketUid, bucket: second }]);
    expect((await metadata.listEveryBucket({ after: 'b', limit: 9 })).map(({ name }) => name)).toEqual(['c']);
    own.edit(
      `UPDATE key_version SET control_mac = zeroblob(32) WHERE bucket_uid = ? AND n = 1`,
      second.bucketUid,
    );
    const shown: string[] = [];
    let after: { bucketUid: string; n: number } | null = null;
    for (;;) {
      const page: Awaited<ReturnType<typeof metadata.listKeyVersions>> = await metadata.listKeyVersions({
        after,
        limit: 1,
      });
      const [entry] = page;
      if (entry === undefined) break;
      const { keyVersion, n } = entry;
      shown.push(
        `${entry.bucketUid} ${n} ${keyVersion instanceof Error ? keyVersion.code : keyVersion.state}`,
      );
      after = entry;
    }
    expect(shown.sort()).toEqual(
      [
        `${first.bucketUid} 1 Retiring`,
        `${second.bucketUid} 1 Integrity`,
        `${second.bucketUid} 2 Current`,
      ].sort(),
    );
    expect(await codeOf(metadata.keyVersions(second.bucketUid))).toBe('Integrity');
  });

  test('understand documents of a build that knew no rotation', async () => {
    const {
      rotateEveryMs: _every,
      owner: _owner,
      kmsConnection: _declared,
      ...older
    } = bucketNamed(`older-${buckets}`);
    const { rotation: _rotation, ...olderKey } = keyVersionOf(older.bucketUid, { state: 'Current' });
    await engine.metadata.createBucket(older as BucketDocument, olderKey as ReturnType<typeof keyVersionOf>);
    const nothing = { rotateEveryMs: null, owner: null, kmsConnection: null };
    expect(await engine.metadata.bucket(older.name)).toMatchObject(nothing);
    expect((await engine.metadata.keyVersion(older.bucketUid, 1))?.rotation).toBeNull();
  });
});

test('what a job wrote down is kept for each kind and bucket until it is forgotten', async () => {
  const { metadata } = engine;
  const { bucketUid } = bucket;
  expect(await metadata.jobState('rewrap', bucketUid)).toBeNull();
  await metadata.putJobState('rewrap', bucketUid, 'one');
  await metadata.putJobState('rewrap', bucketUid, 'two');
  await metadata.putJobState('reencrypt', bucketUid, 'three');
  expect(await metadata.jobState('rewrap', bucketUid)).toBe('two');
  await metadata.putJobState('rewrap', bucketUid, null);
  expect(await metadata.jobState('rewrap', bucketUid)).toBeNull();
  expect(await metadata.jobState('reencrypt', bucketUid)).toBe('three');
});

test('several key versions are stored with the bucket, all or none', async () => {
  const { bucketUid } = bucket;
  const stale = keyVersionOf(bucketUid, { state: 'Readable' });
  const next = keyVersionOf(bucketUid, { n: 2, state: 'Current' });
  const after = { ...bucket, revision: bucket.revision + 1, keyVersion: 2 };
  expect(await codeOf(engine.metadata.updateBucket(after, [next, stale]))).toBe('Conflict');
  expect(await engine.metadata.keyVersion(bucketUid, 2)).toBeNull();
  expect((await engine.metadata.bucket(bucket.name))?.keyVersion).toBe(1);
  await engine.metadata.updateBucket(after, [next, { ...stale, revision: 1 }]);
  expect((await engine.metadata.keyVersions(bucketUid)).map(({ state }) => state)).toEqual([
    'Readable',
    'Current',
  ]);
});
