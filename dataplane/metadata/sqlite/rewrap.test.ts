import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BucketDocument, KeyPosition, SealedVersion } from '../metadata.ts';
import { codeOf, type Engine, openEngine, withHex } from './engine.testkit.ts';
import {
  commitSealed,
  countedIn,
  encryptedBucket,
  newSeal,
  rotated,
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
  bucket = await encryptedBucket(engine, `rewrap-${buckets}`);
});

const uses = () => usesOf(engine, bucket);

const sealed = (key: string) =>
  engine.rows(
    `SELECT version.n, hex(version.sealed_key) AS sealed_key, hex(version.wrap_salt) AS wrap_salt, hex(etag) AS etag,
       current.n AS listed_n, hex(current.wrap_salt) AS listed_salt
     FROM object_version AS version LEFT JOIN object_current AS current USING (bucket_uid, key, seq)
     WHERE version.bucket_uid = '${bucket.bucketUid}' AND version.key = CAST('${key}' AS BLOB)`,
  );

async function firstSealed(below: number): Promise<SealedVersion> {
  const page = await engine.metadata.sealedVersions({
    bucketUid: bucket.bucketUid,
    below,
    after: null,
    limit: 100,
  });
  const [first] = page.items;
  if (first === undefined) throw new Error('no sealed version');
  return first;
}

describe('sealed versions', () => {
  test('come in pages that are bounded by what was looked at, and only those under an older key', async () => {
    for (const key of ['a', 'b', 'c', 'd', 'e']) await commitSealed(engine, bucket, key, 1);
    bucket = await rotated(engine, bucket);
    for (const key of ['a', 'b', 'e']) await commitSealed(engine, bucket, key, 2);
    const pages: string[][] = [];
    let after: KeyPosition | null = null;
    for (;;) {
      const page: Awaited<ReturnType<typeof engine.metadata.sealedVersions>> =
        await engine.metadata.sealedVersions({ bucketUid: bucket.bucketUid, below: 2, after, limit: 2 });
      pages.push(page.items.map(({ key }) => Buffer.from(key).toString()));
      after = page.next;
      if (after === null) break;
    }
    expect(pages).toEqual([[], ['c', 'd'], [], []]);
  });

  test('come with all that a new seal needs, and the ETag only if listings show the version', async () => {
    const version = await commitSealed(engine, bucket, 'a', 1);
    const found = await firstSealed(2);
    expect(withHex(found)).toEqual(
      withHex({
        key: version.key,
        seq: 1,
        versionId: version.versionId,
        n: 1,
        wrapSalt: version.descriptor?.wrapSalt,
        sealedKey: version.descriptor?.sealedKey,
        listEtag: version.listEtag,
      }),
    );
    engine.edit('DELETE FROM object_current WHERE bucket_uid = ?', bucket.bucketUid);
    expect((await firstSealed(2)).listEtag).toBeNull();
  });

  test('of open uploads come the same way', async () => {
    const { metadata } = engine;
    const uploads = ['a', 'a', 'b', 'c'].map((key) => sealedUploadIn(bucket, key, 1));
    for (const upload of uploads) await metadata.createUpload(bucket.name, upload);
    const query = { bucketUid: bucket.bucketUid, below: 2, limit: 3 };
    const first = await metadata.sealedUploads({ ...query, after: null });
    const second = await metadata.sealedUploads({ ...query, after: first.next });
    const end = await metadata.sealedUploads({ ...query, after: second.next });
    expect(first.items).toHaveLength(3);
    expect([...first.items, ...second.items].map(({ uploadId }) => uploadId).sort()).toEqual(
      uploads.map(({ uploadId }) => uploadId).sort(),
    );
    expect(end).toEqual({ items: [], next: null });
    const [a] = first.items;
    const stored = uploads.find(({ uploadId }) => uploadId === a?.uploadId)?.sealed;
    expect(withHex(a)).toMatchObject(
      withHex({ n: 1, wrapSalt: stored?.wrapSalt, sealedKey: stored?.sealedKey }) as object,
    );
    expect((await metadata.sealedUploads({ ...query, below: 1, after: null })).items).toEqual([]);
  });
});

describe('rewrapping', () => {
  test('replaces seal and masked ETag together, and moves the counts', async () => {
    await commitSealed(engine, bucket, 'a', 1);
    const upload = sealedUploadIn(bucket, 'open', 1);
    await engine.metadata.createUpload(bucket.name, upload);
    bucket = await rotated(engine, bucket);
    const found = await firstSealed(2);
    const seal = newSeal(2, 77);
    const replaced = await engine.metadata.rewrap(bucket.bucketUid, [
      { kind: 'version', ...found, expectSealedKey: found.sealedKey, ...seal },
      {
        kind: 'upload',
        uploadId: upload.uploadId,
        expectSealedKey: upload.sealed?.sealedKey ?? noCrcs,
        ...seal,
      },
    ]);
    expect(replaced).toBe(2);
    const hex = (of: Uint8Array) => Buffer.from(of).toString('hex').toUpperCase();
    expect(sealed('a')).toEqual([
      {
        n: 2,
        sealed_key: hex(seal.sealedKey),
        wrap_salt: hex(seal.wrapSalt),
        etag: hex(seal.listEtag),
        listed_n: 2,
        listed_salt: hex(seal.wrapSalt),
      },
    ]);
    const read = await engine.metadata.upload(bucket.bucketUid, upload.key, upload.uploadId);
    expect(withHex(read?.sealed)).toMatchObject(
      withHex({
        n: 2,
        sealedKey: seal.sealedKey,
        uploadSalt: upload.sealed?.uploadSalt,
      }) as object,
    );
    expect(await uses()).toEqual({ 1: { versions: 0, uploads: 0 }, 2: { versions: 1, uploads: 1 } });
    expect(await uses()).toMatchObject(countedIn(engine, bucket));
  });

  test('skips what was overwritten, deleted, completed or sealed again after it was read', async () => {
    for (const key of ['overwritten', 'deleted', 'twice']) await commitSealed(engine, bucket, key, 1);
    const upload = sealedUploadIn(bucket, 'open', 1);
    await engine.metadata.createUpload(bucket.name, upload);
    bucket = await rotated(engine, bucket);
    const { bucketUid } = bucket;
    const { items } = await engine.metadata.sealedVersions({ bucketUid, below: 2, after: null, limit: 9 });
    await commitSealed(engine, bucket, 'overwritten', 1);
    await engine.metadata.deleteObject(bucket.name, bucketUid, Buffer.from('deleted'), undefined);
    await engine.metadata.abortUpload(bucketUid, upload.key, upload.uploadId);
    const seals = items.map((item, index) => ({
      kind: 'version' as const,
      ...item,
      expectSealedKey: item.sealedKey,
      ...newSeal(2, index),
    }));
    const gone = {
      kind: 'upload' as const,
      uploadId: upload.uploadId,
      expectSealedKey: upload.sealed?.sealedKey ?? noCrcs,
      ...newSeal(2, 9),
    };
    expect(await engine.metadata.rewrap(bucketUid, [...seals, gone])).toBe(1);
    expect(await engine.metadata.rewrap(bucketUid, seals)).toBe(0);
    expect(sealed('overwritten')).toMatchObject([{ n: 1 }]);
    expect(sealed('twice')).toMatchObject([{ n: 2 }]);
    expect(await uses()).toEqual({ 1: { versions: 1, uploads: 0 }, 2: { versions: 1, uploads: 0 } });
  });

  test('leaves a version alone that listings began or ended to show meanwhile', async () => {
    await commitSealed(engine, bucket, 'a', 1);
    bucket = await rotated(engine, bucket);
    const found = await firstSealed(2);
    const item = { kind: 'version' as const, ...found, expectSealedKey: found.sealedKey, ...newSeal(2, 5) };
    expect(await engine.metadata.rewrap(bucket.bucketUid, [{ ...item, listEtag: null }])).toBe(0);
    engine.edit('DELETE FROM object_current WHERE bucket_uid = ?', bucket.bucketUid);
    expect(await engine.metadata.rewrap(bucket.bucketUid, [item])).toBe(0);
    expect(await engine.metadata.rewrap(bucket.bucketUid, [{ ...item, listEtag: null }])).toBe(1);
  });

  test('under a key that is not the current one is a Conflict, and nothing is replaced', async () => {
    for (const key of ['a', 'b']) await commitSealed(engine, bucket, key, 1);
    const { bucketUid } = bucket;
    bucket = await rotated(engine, bucket);
    const { items } = await engine.metadata.sealedVersions({ bucketUid, below: 2, after: null, limit: 9 });
    const seals = items.map((item, index) => ({
      kind: 'version' as const,
      ...item,
      expectSealedKey: item.sealedKey,
      ...newSeal(2, index),
    }));
    bucket = await rotated(engine, bucket);
    expect(await codeOf(engine.metadata.rewrap(bucketUid, seals))).toBe('Conflict');
    expect(await uses()).toEqual({ 1: { versions: 2, uploads: 0 } });
  });

  test('of another bucket finds nothing', async () => {
    await commitSealed(engine, bucket, 'a', 1);
    bucket = await rotated(engine, bucket);
    const found = await firstSealed(2);
    const other = await rotated(engine, await encryptedBucket(engine, `other-${buckets}`));
    const item = { kind: 'version' as const, ...found, expectSealedKey: found.sealedKey, ...newSeal(2, 5) };
    expect(await engine.metadata.rewrap(other.bucketUid, [item])).toBe(0);
    expect(sealed('a')).toMatchObject([{ n: 1 }]);
  });
});
