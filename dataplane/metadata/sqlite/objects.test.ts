import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import type { BucketDocument } from '../metadata.ts';
import {
  blobBody,
  bucketNamed,
  codeOf,
  type Engine,
  filled,
  inlineBody,
  keyVersionOf,
  openEngine,
  someDescriptor,
  versionIn,
} from './engine.testkit.ts';

let engine: Engine;
let bucket: BucketDocument;
let buckets = 0;

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
beforeEach(async () => {
  buckets += 1;
  bucket = bucketNamed(`objects-${buckets}`);
  await engine.metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid, { state: 'Current' }));
});

const key = Buffer.from('some/key');

async function current(of: Uint8Array = key) {
  const pinned = await engine.metadata.currentVersion(bucket.bucketUid, of);
  pinned?.release();
  return pinned?.version ?? null;
}

describe('a committed version', () => {
  test('comes back with every field, inline', async () => {
    const sealed = versionIn(bucket, key, {
      descriptor: someDescriptor,
      clearRecord: null,
      partCount: 0,
      size: 77,
    });
    await engine.metadata.commitVersion(
      sealed,
      { kind: 'inline', stored: filled(3, 1), salt: filled(32, 5) },
      undefined,
    );
    const {
      bucketName: _name,
      versioning: _versioning,
      listEtag: _etag,
      etagParts: _parts,
      ...fields
    } = sealed;
    expect(await current()).toEqual({
      ...fields,
      key: new Uint8Array(key),
      seq: 1,
      body: { kind: 'inline', stored: filled(3, 1), salt: filled(32, 5) },
    });
  });

  test('comes back with the place of its blob', async () => {
    const body = blobBody(engine.incarnation);
    await engine.metadata.commitVersion(versionIn(bucket, key), body, undefined);
    expect((await current())?.body).toEqual({
      kind: 'blob',
      location: body.location,
      storedBytes: 3,
      salt: null,
    });
    expect(await engine.metadata.blobCrcs(body.location.blobId, 0, 0)).toEqual(Buffer.from(filled(4, 1)));
    const known = await engine.metadata.knownBlobs([
      body.location,
      { ...body.location, incarnation: newId() },
    ]);
    expect([...known]).toEqual([body.location.blobId]);
  });

  test('is seen by another client as soon as it was acknowledged', async () => {
    const other = engine.connect();
    for (let round = 0; round < 20; round += 1) {
      const version = versionIn(bucket, key);
      await engine.metadata.commitVersion(version, inlineBody, undefined);
      expect((await other.currentVersion(bucket.bucketUid, key))?.version.versionId).toBe(version.versionId);
    }
  });

  test('replaces the null version and sends its body to the garbage', async () => {
    const first = versionIn(bucket, key, { size: 10 });
    await engine.metadata.commitVersion(first, blobBody(engine.incarnation), undefined);
    const second = versionIn(bucket, key, { size: 20 });
    await engine.metadata.commitVersion(second, inlineBody, undefined);
    expect(await current()).toMatchObject({ versionId: second.versionId, seq: 2 });
    expect(engine.rows(`SELECT kind, id FROM garbage WHERE id = '${first.bodyId}'`)).toHaveLength(1);
    expect(engine.rows(`SELECT seq FROM object_version WHERE bucket_uid = '${bucket.bucketUid}'`)).toEqual([
      { seq: 2 },
    ]);
    expect(await engine.metadata.usage(bucket.bucketUid)).toEqual({ objects: 1, bytes: 20 });
  });

  test('has a seq above every seq that its key ever had, also after a deletion', async () => {
    await engine.metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined);
    const before = (await current())?.seq ?? 0;
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
    await engine.metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined);
    expect((await current())?.seq).toBeGreaterThan(before);
  });

  test('keeps CRCs of more than one row in order', async () => {
    const crcs = Uint8Array.from({ length: 4 * 40_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
    const body = { ...blobBody(engine.incarnation), crcs };
    await engine.metadata.commitVersion(versionIn(bucket, key), body, undefined);
    const read = (first: number, last: number) => engine.metadata.blobCrcs(body.location.blobId, first, last);
    expect(await read(0, 39_999)).toEqual(Buffer.from(crcs));
    expect(await read(16_383, 16_385)).toEqual(Buffer.from(crcs.subarray(4 * 16_383, 4 * 16_386)));
    expect(await codeOf(read(39_999, 40_000))).toBe('Integrity');
  });
});

describe('preconditions', () => {
  test.each([
    ['absent, and nothing is there', 'absent', false, 'resolved'],
    ['absent, but something is there', 'absent', true, 'PreconditionFailed'],
    ['a version that is not current', 'other', true, 'PreconditionFailed'],
    ['a version of a key that has none', 'other', false, 'PreconditionFailed'],
    ['the current version', 'current', true, 'resolved'],
  ])('%s', async (_name, expected, exists, outcome) => {
    const first = versionIn(bucket, key);
    if (exists) await engine.metadata.commitVersion(first, inlineBody, undefined);
    const expectCurrent = { absent: 'absent', other: newId(), current: first.versionId }[expected];
    const second = versionIn(bucket, key);
    expect(await codeOf(engine.metadata.commitVersion(second, inlineBody, expectCurrent))).toBe(outcome);
    const after = await current();
    expect(after?.versionId ?? null).toBe(
      outcome === 'resolved' ? second.versionId : exists ? first.versionId : null,
    );
  });

  test('of 64 writers who expect an absent key exactly one wins, over two clients', async () => {
    const clients = [engine.metadata, engine.connect()];
    const versions = Array.from({ length: 64 }, () => versionIn(bucket, key));
    const outcomes = await Promise.all(
      versions.map((version, index) =>
        codeOf((clients[index % 2] ?? engine.metadata).commitVersion(version, inlineBody, 'absent')),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'PreconditionFailed')).toHaveLength(63);
    expect((await current())?.versionId).toBe(versions[outcomes.indexOf('resolved')]?.versionId);
    expect(await engine.metadata.usage(bucket.bucketUid)).toEqual({ objects: 1, bytes: 3 });
  });

  test('of 64 writers and deleters who expect one version exactly one wins', async () => {
    const first = versionIn(bucket, key);
    await engine.metadata.commitVersion(first, inlineBody, undefined);
    const { metadata } = engine;
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_, index) =>
        codeOf(
          index % 2 === 0
            ? metadata.commitVersion(versionIn(bucket, key), inlineBody, first.versionId)
            : metadata.deleteObject(bucket.name, bucket.bucketUid, key, first.versionId),
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
  });

  test('a bucket that is gone, of another uid, or not ready is NoSuchBucket', async () => {
    const { metadata } = engine;
    const stranger = { ...bucket, bucketUid: newId() };
    expect(await codeOf(metadata.commitVersion(versionIn(stranger, key), inlineBody, undefined))).toBe(
      'NoSuchBucket',
    );
    const creating = bucketNamed(`creating-${buckets}`, { state: 'Creating' });
    await metadata.createBucket(creating, null);
    expect(await codeOf(metadata.commitVersion(versionIn(creating, key), inlineBody, undefined))).toBe(
      'NoSuchBucket',
    );
    expect(await codeOf(metadata.deleteObject('nowhere', bucket.bucketUid, key, undefined))).toBe(
      'NoSuchBucket',
    );
  });

  test('a plain version never enters a bucket that was never plain', async () => {
    const strict = bucketNamed(`strict-${buckets}`, {
      everPlain: false,
      encryption: 'AES256',
      keyVersion: 1,
    });
    await engine.metadata.createBucket(strict, null);
    expect(await codeOf(engine.metadata.commitVersion(versionIn(strict, key), inlineBody, undefined))).toBe(
      'Integrity',
    );
  });
});

describe('a copy by reference', () => {
  async function source() {
    const version = versionIn(bucket, 'source', { bodyId: newId() });
    await engine.metadata.commitVersion(version, blobBody(engine.incarnation), undefined);
    return version;
  }

  test('shares the body until the last reference goes', async () => {
    const from = await source();
    const copy = versionIn(bucket, 'copy', { bodyId: from.bodyId });
    const shared = { kind: 'shared' as const, sourceKey: from.key, sourceVersionId: from.versionId };
    await engine.metadata.commitVersion(copy, shared, undefined);
    const garbage = () => engine.rows(`SELECT id FROM garbage WHERE id = '${from.bodyId}'`).length;
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, from.key, undefined);
    expect(garbage()).toBe(0);
    expect((await current(copy.key))?.body.kind).toBe('blob');
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, copy.key, undefined);
    expect(garbage()).toBe(1);
  });

  test('onto itself keeps the body, inline and as a blob', async () => {
    for (const body of [inlineBody, blobBody(engine.incarnation)]) {
      const from = versionIn(bucket, key);
      await engine.metadata.commitVersion(from, body, undefined);
      const again = versionIn(bucket, key, { bodyId: from.bodyId });
      const shared = { kind: 'shared' as const, sourceKey: key, sourceVersionId: from.versionId };
      await engine.metadata.commitVersion(again, shared, from.versionId);
      expect(await current()).toMatchObject({ versionId: again.versionId, body: { kind: body.kind } });
    }
  });

  test('is SourceChanged when the source is gone, replaced or has another body', async () => {
    const from = await source();
    const shared = { kind: 'shared' as const, sourceKey: from.key, sourceVersionId: from.versionId };
    const commit = (bodyId: string) =>
      codeOf(engine.metadata.commitVersion(versionIn(bucket, 'copy', { bodyId }), shared, undefined));
    expect(await commit(newId())).toBe('SourceChanged');
    await engine.metadata.commitVersion(versionIn(bucket, 'source'), inlineBody, undefined);
    expect(await commit(from.bodyId)).toBe('SourceChanged');
    expect(await current(Buffer.from('copy'))).toBeNull();
  });
});

describe('deleting', () => {
  test('says whether there was something, and takes inline bodies away at once', async () => {
    const version = versionIn(bucket, key);
    await engine.metadata.commitVersion(version, inlineBody, undefined);
    const remove = () => engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
    expect(await remove()).toBe(true);
    expect(await remove()).toBe(false);
    expect(await current()).toBeNull();
    expect(engine.rows(`SELECT body_no FROM body WHERE body_id = '${version.bodyId}'`)).toEqual([]);
    expect(engine.rows(`SELECT id FROM garbage WHERE id = '${version.bodyId}'`)).toEqual([]);
    expect(await engine.metadata.usage(bucket.bucketUid)).toEqual({ objects: 0, bytes: 0 });
  });

  test('of an object whose body row is lost still works', async () => {
    const version = versionIn(bucket, key);
    await engine.metadata.commitVersion(version, inlineBody, undefined);
    engine.edit('DELETE FROM body WHERE body_id = ?', version.bodyId);
    expect(await codeOf(current())).toBe('Integrity');
    expect(await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined)).toBe(true);
  });
});

describe('edited rows', () => {
  test.each([
    ['the version row is missing', 'DELETE FROM object_version WHERE bucket_uid = ?', 'Integrity'],
    [
      'the current row names another version',
      `UPDATE object_current SET version_id = '${newId()}' WHERE bucket_uid = ?`,
      'Integrity',
    ],
    [
      'the body row belongs to another body',
      `UPDATE object_version SET body_no = body_no + 1000 WHERE bucket_uid = ?`,
      'Integrity',
    ],
    [
      'a part of the descriptor is missing',
      'UPDATE object_version SET sealed_key = NULL WHERE bucket_uid = ?',
      'Integrity',
    ],
    [
      'a size no number can hold',
      'UPDATE object_version SET size = 9223372036854775807 WHERE bucket_uid = ?',
      'Integrity',
    ],
    [
      'the descriptor is gone',
      'UPDATE object_version SET suite = NULL, clear_record = sealed_record WHERE bucket_uid = ?',
      'Integrity',
    ],
    [
      'neither sealed nor plain',
      'UPDATE object_version SET clear_record = sealed_record WHERE bucket_uid = ?',
      'Integrity',
    ],
    ['the current row is deleted', 'DELETE FROM object_current WHERE bucket_uid = ?', null],
  ])('%s', async (_name, sql, outcome) => {
    const strict = bucketNamed(`edited-${buckets}`, {
      everPlain: false,
      encryption: 'AES256',
      keyVersion: 1,
    });
    await engine.metadata.createBucket(strict, keyVersionOf(strict.bucketUid, { state: 'Current' }));
    const version = versionIn(strict, key, { descriptor: someDescriptor, clearRecord: null });
    await engine.metadata.commitVersion(version, inlineBody, undefined);
    expect(engine.edit(sql, strict.bucketUid)).toBe(1);
    const read = engine.metadata.currentVersion(strict.bucketUid, key);
    if (outcome === null) expect(await read).toBeNull();
    else expect(await codeOf(read)).toBe(outcome);
  });

  test('a listed object without a key in a bucket that was never plain is Integrity', async () => {
    const strict = bucketNamed(`listed-${buckets}`, {
      everPlain: false,
      encryption: 'AES256',
      keyVersion: 1,
    });
    await engine.metadata.createBucket(strict, keyVersionOf(strict.bucketUid, { state: 'Current' }));
    const version = versionIn(strict, key, { descriptor: someDescriptor, clearRecord: null });
    await engine.metadata.commitVersion(version, inlineBody, undefined);
    engine.edit('UPDATE object_current SET n = NULL WHERE bucket_uid = ?', strict.bucketUid);
    const { bucketUid } = strict;
    const nothing = new Uint8Array(0);
    const query = { bucketUid, prefix: nothing, delimiter: null, after: nothing, limit: 10 };
    expect(await codeOf(engine.metadata.listObjects(query))).toBe('Integrity');
  });
});

describe('pins', () => {
  test('hold a body from the tick of the read until the last release', async () => {
    await engine.metadata.commitVersion(versionIn(bucket, key), blobBody(engine.incarnation), undefined);
    const reading = engine.metadata.currentVersion(bucket.bucketUid, key);
    // Before the promise is awaited: the collector may ask at any moment.
    expect(engine.metadata.openBodies()).toHaveLength(1);
    const first = await reading;
    const second = await engine.metadata.currentVersion(bucket.bucketUid, key);
    first?.release();
    first?.release();
    expect(engine.metadata.openBodies()).toEqual([first?.version.bodyId]);
    second?.release();
    expect(engine.metadata.openBodies()).toEqual([]);
  });
});
