import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BucketDocument } from '../metadata.ts';
import {
  blobBody,
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
import { migrate } from './migrations.ts';
import { commitSealed, encryptedBucket, sealedIn, sealedUploadIn } from './rotation.testkit.ts';

let engine: Engine;
let bucket: BucketDocument;
beforeEach(async () => {
  engine = await openEngine();
  bucket = await encryptedBucket(engine, 'purged');
});
afterEach(() => engine[Symbol.asyncDispose]());

async function markDeleting(): Promise<void> {
  bucket = { ...bucket, revision: bucket.revision + 1, state: 'Deleting', owner: 'team/docs' };
  await engine.metadata.updateBucket(bucket);
}
const expected = { state: 'Deleting', owner: 'team/docs' } as const;
const count = (table: string): unknown => engine.rows(`SELECT count(*) AS n FROM ${table}`)[0]?.['n'];

/** Purges to the end; what each transaction removed. */
async function purge(limit: number): Promise<number[]> {
  const removed: number[] = [];
  for (;;) {
    const rows = await engine.metadata.purge(bucket.name, bucket.bucketUid, limit);
    if (rows === 0) return removed;
    removed.push(rows);
  }
}

describe('a purge', () => {
  test('takes versions, parts and uploads batch by batch, leaves their blobs to the collector, and other buckets alone', async () => {
    const other = await encryptedBucket(engine, 'other');
    await commitSealed(engine, other, 'kept', 1);
    for (const key of ['a', 'b', 'c']) await commitSealed(engine, bucket, key, 1);
    const withBlob = sealedIn(bucket, 'd', 1);
    await engine.metadata.commitVersion(withBlob, blobBody(engine.incarnation), undefined);
    const upload = sealedUploadIn(bucket, 'up', 1);
    await engine.metadata.createUpload(bucket.name, upload);
    const none = new Uint8Array(0);
    for (const n of [1, 2, 3]) await engine.metadata.commitPart(upload, partOf(engine.incarnation, n), none);
    await markDeleting();
    expect(await purge(2)).toEqual([2, 2, 2, 1, 1]);
    expect(await engine.metadata.usage(bucket.bucketUid)).toEqual({ objects: 0, bytes: 0 });
    expect(await engine.metadata.keyUses(bucket.bucketUid)).toEqual(
      new Map([[1, { versions: 0, uploads: 0 }]]),
    );
    expect(engine.rows('SELECT kind FROM garbage ORDER BY kind').map(({ kind }) => kind)).toEqual([
      'blob',
      'blob',
      'blob',
      'body',
    ]);
    expect([count('object_version'), count('object_current'), count('upload'), count('upload_part')]).toEqual(
      [1, 1, 0, 0],
    );
    await engine.metadata.deleteBucket(bucket.name, bucket.bucketUid, expected);
    expect(await engine.metadata.bucket(bucket.name)).toBeNull();
    expect(await engine.metadata.keyVersion(bucket.bucketUid, 1)).toMatchObject({ state: 'Retiring' });
    expect(await engine.metadata.keyVersion(other.bucketUid, 1)).toMatchObject({ state: 'Current' });
  });

  test('takes rows of listings that have no version', async () => {
    await commitSealed(engine, bucket, 'a', 1);
    engine.edit('DELETE FROM object_version');
    await markDeleting();
    await purge(10);
    expect(count('object_current')).toBe(0);
  });

  test('keeps a body that a copy in another bucket cannot share, and drops what copies in it share once', async () => {
    const version = sealedIn(bucket, 'a', 1);
    await engine.metadata.commitVersion(version, blobBody(engine.incarnation), undefined);
    const copy = sealedIn(bucket, 'b', 1, { bodyId: version.bodyId });
    const shared = { kind: 'shared', sourceKey: version.key, sourceVersionId: version.versionId } as const;
    await engine.metadata.commitVersion(copy, shared, undefined);
    await markDeleting();
    expect(await purge(1)).toEqual([1, 1]);
    expect(count('garbage')).toBe(1);
    expect(engine.rows('SELECT refs FROM body')).toEqual([{ refs: 0 }]);
  });

  test.each(['Ready', 'Creating'] as const)('of a bucket that is %s is refused', async (state) => {
    await commitSealed(engine, bucket, 'a', 1);
    await engine.metadata.updateBucket({ ...bucket, revision: 1, state });
    expect(await codeOf(engine.metadata.purge(bucket.name, bucket.bucketUid, 1))).toBe('NoSuchBucket');
    expect(count('object_version')).toBe(1);
  });
});

test('nothing is committed into a bucket that is being purged', async () => {
  const { metadata } = engine;
  const open = sealedUploadIn(bucket, 'open', 1);
  await metadata.createUpload(bucket.name, open);
  const existing = await commitSealed(engine, bucket, 'a', 1);
  const seq = Number(engine.rows('SELECT seq FROM object_version')[0]?.['seq']);
  await markDeleting();
  const none = new Uint8Array(0);
  const completed = sealedIn(bucket, 'open', 1, { bodyId: open.bodyId });
  const other = sealedIn(bucket, 'a', 1, { versionId: existing.versionId });
  const refused = [
    metadata.commitVersion(sealedIn(bucket, 'late', 1), inlineBody, undefined),
    metadata.createUpload(bucket.name, sealedUploadIn(bucket, 'late', 1)),
    metadata.commitPart(open, partOf(engine.incarnation, 1), none),
    metadata.completeUpload({ uploadId: open.uploadId, revision: 0 }, completed, [], undefined),
    metadata.replaceBody(other, { seq, bodyId: existing.bodyId }, blobBody(engine.incarnation)),
    metadata.deleteObject(bucket.name, bucket.bucketUid, Buffer.from('a'), undefined),
    metadata.deleteBucket(bucket.name, bucket.bucketUid),
  ];
  for (const operation of refused) expect(await codeOf(operation)).toBe('NoSuchBucket');
  expect([count('object_version'), count('upload'), count('upload_part'), count('blob')]).toEqual([
    1, 1, 0, 0,
  ]);
});

describe('a bucket', () => {
  test('is changed only if it is empty when that is asked for: no object and no open upload', async () => {
    const { metadata } = engine;
    const plain = bucketNamed('plain');
    await metadata.createBucket(plain, null);
    const changed = { ...plain, revision: 1, encryption: 'AES256', everPlain: false } as const;
    const upload = uploadIn(plain, 'up');
    await metadata.createUpload('plain', upload);
    expect(await codeOf(metadata.updateBucket(changed, [], true))).toBe('NotEmpty');
    await metadata.abortUpload(plain.bucketUid, upload.key, upload.uploadId);
    await metadata.commitVersion(versionIn(plain, 'a'), inlineBody, undefined);
    expect(await codeOf(metadata.updateBucket(changed, [], true))).toBe('NotEmpty');
    await metadata.deleteObject('plain', plain.bucketUid, Buffer.from('a'), undefined);
    expect(await codeOf(metadata.updateBucket(changed, [], true))).toBe('resolved');
  });

  test('that was declared meanwhile is not deleted, and takes nothing plain as if it were damage', async () => {
    const { metadata } = engine;
    const declared = { ...bucket, revision: 1, owner: 'team/docs' };
    await metadata.updateBucket(declared);
    expect(await codeOf(metadata.deleteBucket(bucket.name, bucket.bucketUid))).toBe('Conflict');
    const plain = metadata.commitVersion(versionIn(bucket, 'a'), inlineBody, undefined);
    expect(await codeOf(plain)).toBe('Conflict');
    expect(await codeOf(metadata.createUpload(bucket.name, uploadIn(bucket, 'a')))).toBe('Conflict');
    const owner = { state: 'Ready', owner: 'team/docs' } as const;
    expect(await codeOf(metadata.deleteBucket(bucket.name, bucket.bucketUid, owner))).toBe('resolved');
  });
});

describe('what hangs on a connection', () => {
  const use = (connection: string) => engine.metadata.connectionUse(connection);

  test('follows the key versions through their states, and their bucket', async () => {
    expect(await use('default')).toEqual({ keyVersions: 1, buckets: 1 });
    const second = keyVersionOf(bucket.bucketUid, { n: 2, kmsConnection: 'team/other', state: 'Current' });
    const first = await engine.metadata.keyVersion(bucket.bucketUid, 1);
    if (first === null) throw new Error('no key version');
    const readable = { ...first, revision: 1, state: 'Readable' } as const;
    await engine.metadata.updateBucket({ ...bucket, revision: 1, keyVersion: 2 }, [readable, second]);
    expect([await use('default'), await use('team/other')]).toEqual([
      { keyVersions: 1, buckets: 0 },
      { keyVersions: 1, buckets: 1 },
    ]);
    await engine.metadata.putKeyVersion({ ...readable, revision: 2, state: 'Destroyed' });
    expect(await use('default')).toEqual({ keyVersions: 0, buckets: 0 });
    await engine.metadata.deleteBucket(bucket.name, bucket.bucketUid);
    expect(await use('team/other')).toEqual({ keyVersions: 1, buckets: 0 });
    expect(await use('nowhere')).toEqual({ keyVersions: 0, buckets: 0 });
  });

  test('forgets a version whose key was never made', async () => {
    const creating = bucketNamed('creating', { state: 'Creating' });
    await engine.metadata.createBucket(creating, keyVersionOf(creating.bucketUid));
    expect(await use('default')).toEqual({ keyVersions: 2, buckets: 1 });
    await engine.metadata.dropReservation('creating', creating.bucketUid);
    expect(await use('default')).toEqual({ keyVersions: 1, buckets: 1 });
  });

  test('is counted for the rows of an older file when it is opened; an edited document does no harm', () => {
    using old = new DatabaseSync(':memory:');
    for (const { sql } of engine.rows('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL'))
      old.exec(String(sql));
    old.exec(
      'DROP TABLE access_key; DROP TABLE connection_usage; DROP TABLE leader_epoch; PRAGMA user_version = 3',
    );
    const insert = old.prepare(
      "INSERT INTO key_version (bucket_uid, n, document, control_mac) VALUES (?, 1, ?, x'00')",
    );
    const documents = [
      '{"kmsConnection":"kms","state":"Current"}',
      '{"kmsConnection":"kms","state":"Current"}',
      '{"kmsConnection":"kms","state":"Destroyed"}',
      '{"kmsConnection":"team/other","state":"Current"}',
      'no JSON',
      '{"kmsConnection":["kms"],"state":7}',
    ];
    for (const [i, document] of documents.entries()) insert.run(String(i), Buffer.from(document));
    migrate(old);
    expect(old.prepare('SELECT kms_connection, state, versions FROM connection_usage').all()).toEqual([
      { kms_connection: 'kms', state: 'Current', versions: 2 },
      { kms_connection: 'kms', state: 'Destroyed', versions: 1 },
      { kms_connection: 'team/other', state: 'Current', versions: 1 },
    ]);
  });
});

test('epochs grow by one, and the newest outlives its client', async () => {
  expect(await engine.metadata.epoch()).toBe(0);
  const taken = await Promise.all([1, 2, 3].map(() => engine.metadata.takeEpoch()));
  expect(taken).toEqual([1, 2, 3]);
  expect(await engine.connect().epoch()).toBe(3);
});
