import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import {
  bucketNamed,
  codeOf,
  type Engine,
  inlineBody,
  keyVersionOf,
  openEngine,
  partOf,
  uploadIn,
  versionIn,
} from './engine.testkit.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

describe('buckets', () => {
  test('the first creation wins and the others get it back, untouched', async () => {
    const candidates = Array.from({ length: 8 }, (_, index) =>
      bucketNamed('one-name', { ownerId: `owner-${index}` }),
    );
    const answers = await Promise.all(candidates.map((bucket) => engine.metadata.createBucket(bucket, null)));
    const stored = await engine.metadata.bucket('one-name');
    expect(answers.filter((answer) => answer === null)).toHaveLength(1);
    expect(candidates[answers.indexOf(null)]).toEqual(stored);
    expect(answers.filter((answer) => answer !== null)).toEqual(Array.from({ length: 7 }, () => stored));
  });

  test('an update needs the revision below its own', async () => {
    const bucket = bucketNamed('updated');
    await engine.metadata.createBucket(bucket, null);
    const next = { ...bucket, revision: 1, encryption: 'AES256' as const, keyVersion: 1 };
    const keyVersion = keyVersionOf(bucket.bucketUid);
    await engine.metadata.updateBucket(next, [keyVersion]);
    expect(await engine.metadata.bucket('updated')).toEqual(next);
    expect(await engine.metadata.keyVersion(bucket.bucketUid, 1)).toEqual(keyVersion);
    expect(await codeOf(engine.metadata.updateBucket({ ...next, region: 'elsewhere' }))).toBe('Conflict');
    const stranger = { ...next, revision: 2, bucketUid: newId() };
    expect(await codeOf(engine.metadata.updateBucket(stranger))).toBe('NoSuchBucket');
  });

  test('both or neither: a key version in conflict keeps the bucket as it was', async () => {
    const bucket = bucketNamed('both');
    await engine.metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid));
    const again = keyVersionOf(bucket.bucketUid);
    expect(await codeOf(engine.metadata.updateBucket({ ...bucket, revision: 1 }, [again]))).toBe('Conflict');
    expect((await engine.metadata.bucket('both'))?.revision).toBe(0);
  });

  test('fields that this build does not know survive an update', async () => {
    const bucket = { ...bucketNamed('future'), lifecycle: { days: 3 } };
    await engine.metadata.createBucket(bucket, null);
    const { lifecycle: _unknown, ...known } = bucket;
    await engine.metadata.updateBucket({ ...known, revision: 1 });
    const [row] = engine.rows(`SELECT CAST(document AS TEXT) AS document FROM bucket WHERE name = 'future'`);
    expect(JSON.parse(String(row?.['document']))).toMatchObject({ revision: 1, lifecycle: { days: 3 } });
  });

  test('are listed by owner, prefix and name', async () => {
    for (const name of ['list-a', 'list-b', 'list-c', 'other-d']) {
      await engine.metadata.createBucket(bucketNamed(name, { ownerId: 'lister' }), null);
    }
    const names = async (prefix: string, after: string, limit: number) =>
      (await engine.metadata.listBuckets({ ownerId: 'lister', prefix, after, limit })).map(
        ({ name }) => name,
      );
    expect(await names('', '', 10)).toEqual(['list-a', 'list-b', 'list-c', 'other-d']);
    expect(await names('list-', '', 2)).toEqual(['list-a', 'list-b']);
    expect(await names('list-', 'list-b', 10)).toEqual(['list-c']);
    expect(await names('zzz', '', 10)).toEqual([]);
  });

  test('deleting refuses objects, discards open uploads, and leaves key versions', async () => {
    const bucket = bucketNamed('deleted');
    const { metadata } = engine;
    await metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid));
    const key = Buffer.from('k');
    await metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined);
    expect(await codeOf(metadata.deleteBucket(bucket.name, bucket.bucketUid))).toBe('NotEmpty');
    await metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
    const upload = uploadIn(bucket, key);
    await metadata.createUpload(bucket.name, upload);
    const part = partOf(engine.incarnation, 1);
    await metadata.commitPart(upload, part, new Uint8Array(0));
    expect(await codeOf(metadata.deleteBucket(bucket.name, newId()))).toBe('NoSuchBucket');
    await metadata.deleteBucket(bucket.name, bucket.bucketUid);
    expect(await metadata.bucket(bucket.name)).toBeNull();
    expect(await metadata.upload(bucket.bucketUid, key, upload.uploadId)).toBeNull();
    expect(engine.rows('SELECT kind, id FROM garbage')).toEqual([{ kind: 'blob', id: part.location.blobId }]);
    expect(await metadata.keyVersion(bucket.bucketUid, 1)).not.toBeNull();
    expect(await codeOf(metadata.deleteBucket(bucket.name, bucket.bucketUid))).toBe('NoSuchBucket');
  });

  test('a reservation is dropped with its key version, a ready bucket is not', async () => {
    const bucket = bucketNamed('reserved', { state: 'Creating', encryption: 'AES256', everPlain: false });
    const { metadata } = engine;
    await metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid));
    expect(await codeOf(metadata.dropReservation(bucket.name, newId()))).toBe('NoSuchBucket');
    await metadata.dropReservation(bucket.name, bucket.bucketUid);
    expect(await metadata.bucket(bucket.name)).toBeNull();
    expect(await metadata.keyVersion(bucket.bucketUid, 1)).toBeNull();
    const ready = bucketNamed('ready');
    await metadata.createBucket(ready, null);
    expect(await codeOf(metadata.dropReservation('ready', ready.bucketUid))).toBe('Conflict');
  });

  test('usage of a bucket that is not there is zero', async () => {
    expect(await engine.metadata.usage(newId())).toEqual({ objects: 0, bytes: 0 });
  });
});

describe('key versions', () => {
  test('go from revision to revision', async () => {
    const bucketUid = newId();
    const first = keyVersionOf(bucketUid);
    await engine.metadata.putKeyVersion(first);
    expect(await codeOf(engine.metadata.putKeyVersion(first))).toBe('Conflict');
    const second = { ...first, revision: 1, kmsId: 'key-1' };
    await engine.metadata.putKeyVersion(second);
    expect(await engine.metadata.keyVersion(bucketUid, 1)).toEqual(second);
    expect(await codeOf(engine.metadata.putKeyVersion({ ...first, n: 2, revision: 5 }))).toBe('Conflict');
    expect(await engine.metadata.keyVersion(bucketUid, 2)).toBeNull();
  });
});

describe('control rows that somebody edited', () => {
  /** A fresh pair of buckets with key versions, uploads and one client that has never seen them. */
  async function pair(name: string) {
    const a = bucketNamed(`${name}-a`, { everPlain: false, encryption: 'AES256' });
    const b = bucketNamed(`${name}-b`);
    const uploads = [uploadIn(b, 'k1'), uploadIn(b, 'k2')] as const;
    await engine.metadata.createBucket(a, keyVersionOf(a.bucketUid));
    await engine.metadata.createBucket(b, keyVersionOf(b.bucketUid, { kmsConnection: 'another' }));
    for (const upload of uploads) await engine.metadata.createUpload(b.name, upload);
    return { a, b, uploads };
  }

  test.each([
    ['a flipped bit in the MAC', `UPDATE bucket SET control_mac = zeroblob(32) WHERE name = ?`],
    ['a short MAC', `UPDATE bucket SET control_mac = x'00' WHERE name = ?`],
    [
      'encryption switched off by hand',
      `UPDATE bucket SET document = CAST(replace(CAST(document AS TEXT), '"everPlain":false', '"everPlain":true') AS BLOB) WHERE name = ?`,
    ],
    ['another uid', `UPDATE bucket SET bucket_uid = '${newId()}' WHERE name = ?`],
  ])('%s: neither readers nor the writer accept the bucket', async (name, sql) => {
    const { a } = await pair(name.replaceAll(' ', '-'));
    expect(engine.edit(sql, a.name)).toBe(1);
    expect(await codeOf(engine.metadata.bucket(a.name))).toBe('Integrity');
    expect(await codeOf(engine.metadata.commitVersion(versionIn(a, 'k'), inlineBody, undefined))).toBe(
      'Integrity',
    );
    expect(await codeOf(engine.metadata.updateBucket({ ...a, revision: 1 }))).toBe('Integrity');
    expect(await codeOf(engine.metadata.deleteBucket(a.name, a.bucketUid))).toBe('Integrity');
  });

  test('a bucket row under another name is refused, although it was verified under its own', async () => {
    const { a, b } = await pair('swap');
    await engine.metadata.bucket(a.name);
    await engine.metadata.bucket(b.name);
    engine.edit(`UPDATE bucket SET name = 'swap-x' WHERE name = ?`, a.name);
    engine.edit(`UPDATE bucket SET name = ? WHERE name = ?`, a.name, b.name);
    engine.edit(`UPDATE bucket SET name = ? WHERE name = 'swap-x'`, b.name);
    expect(await codeOf(engine.metadata.bucket(a.name))).toBe('Integrity');
    expect(await codeOf(engine.metadata.bucket(b.name))).toBe('Integrity');
  });

  test('a bucket row under another owner is refused in the listing', async () => {
    const { a } = await pair('owned');
    engine.edit(`UPDATE bucket SET owner_id = 'thief' WHERE name = ?`, a.name);
    const listing = engine.metadata.listBuckets({ ownerId: 'thief', prefix: '', after: '', limit: 10 });
    expect(await codeOf(listing)).toBe('Integrity');
  });

  test('a key version in the place of another is refused, by readers and by the writer', async () => {
    const { a, b } = await pair('keys');
    engine.edit(
      `UPDATE key_version SET (document, control_mac) =
         (SELECT document, control_mac FROM key_version WHERE bucket_uid = ?) WHERE bucket_uid = ?`,
      b.bucketUid,
      a.bucketUid,
    );
    expect(await codeOf(engine.metadata.keyVersion(a.bucketUid, 1))).toBe('Integrity');
    const next = keyVersionOf(a.bucketUid, { revision: 1 });
    expect(await codeOf(engine.metadata.putKeyVersion(next))).toBe('Integrity');
  });

  test('an upload in the place of another is refused, by readers and by the writer', async () => {
    const { b, uploads } = await pair('uploads');
    const [first, second] = uploads;
    engine.edit(
      `UPDATE upload SET (document, control_mac) = (SELECT document, control_mac FROM upload WHERE upload_id = ?)
       WHERE upload_id = ?`,
      second.uploadId,
      first.uploadId,
    );
    const { metadata } = engine;
    expect(await codeOf(metadata.upload(b.bucketUid, first.key, first.uploadId))).toBe('Integrity');
    const part = partOf(engine.incarnation, 1);
    expect(await codeOf(metadata.commitPart(first, part, new Uint8Array(0)))).toBe('Integrity');
    expect(await codeOf(metadata.abortUpload(b.bucketUid, first.key, first.uploadId))).toBe('Integrity');
  });
});
