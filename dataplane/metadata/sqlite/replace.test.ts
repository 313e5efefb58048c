import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import type { BucketDocument, NewVersion, ReplacementBody } from '../metadata.ts';
import { blobBody, codeOf, type Engine, filled, inlineBody, openEngine, partOf } from './engine.testkit.ts';
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

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
beforeEach(async () => {
  buckets += 1;
  bucket = await encryptedBucket(engine, `replace-${buckets}`);
});

const older = async (below: number) => engine.metadata.olderDataKeys(bucket.bucketUid, below);

async function current(key: string) {
  const pinned = await engine.metadata.currentVersion(bucket.bucketUid, Buffer.from(key));
  pinned?.release();
  return pinned?.version;
}

/** The same version under another data key, sealed under n. */
const anew = (version: NewVersion, n: number): NewVersion => ({
  ...sealedIn(bucket, Buffer.from(version.key).toString(), n),
  versionId: version.versionId,
  listEtag: filled(16, 99),
});

describe('replacing a body', () => {
  test('keeps the version and its place, and sends the old body to the garbage', async () => {
    const version = sealedIn(bucket, 'a', 1);
    await engine.metadata.commitVersion(version, blobBody(engine.incarnation), undefined);
    bucket = await rotated(engine, bucket);
    const next = anew(version, 2);
    const body = blobBody(engine.incarnation);
    const replaces = { seq: 1, bodyId: version.bodyId };
    expect(await engine.metadata.replaceBody(next, replaces, body)).toBe(true);
    expect(await current('a')).toMatchObject({
      seq: 1,
      versionId: version.versionId,
      bodyId: next.bodyId,
      descriptor: { n: 2 },
      body: { kind: 'blob', location: body.location },
    });
    const sealedKey = (await current('a'))?.descriptor?.sealedKey ?? new Uint8Array(0);
    expect(Buffer.from(sealedKey).equals(next.descriptor?.sealedKey ?? sealedKey)).toBe(true);
    const { bucketUid } = bucket;
    const nothing = new Uint8Array(0);
    const query = { bucketUid, prefix: nothing, delimiter: null, after: nothing, limit: 9 };
    const { objects } = await engine.metadata.listObjects(query);
    expect(objects).toMatchObject([{ n: 2, etag: filled(16, 99), versionId: version.versionId }]);
    expect(engine.rows(`SELECT id FROM garbage WHERE id = '${version.bodyId}'`)).toHaveLength(1);
    expect(await usesOf(engine, bucket)).toMatchObject(countedIn(engine, bucket));
    expect(await engine.metadata.usage(bucketUid)).toEqual({ objects: 1, bytes: 3 });
    // Twice: the second finds another body than the one that it read.
    expect(await engine.metadata.replaceBody(anew(version, 2), replaces, inlineBody as ReplacementBody)).toBe(
      false,
    );
  });

  test('is refused under a key version that is not the current one', async () => {
    const version = await commitSealed(engine, bucket, 'a', 1);
    bucket = await rotated(engine, bucket);
    const replaces = { seq: 1, bodyId: version.bodyId };
    const replacing = engine.metadata.replaceBody(anew(version, 1), replaces, inlineBody as ReplacementBody);
    expect(await codeOf(replacing)).toBe('Conflict');
  });

  test('finds neither another version nor one in another place', async () => {
    const version = await commitSealed(engine, bucket, 'a', 1);
    const { bodyId } = version;
    const replace = (next: NewVersion, seq: number) =>
      engine.metadata.replaceBody(next, { seq, bodyId }, inlineBody as ReplacementBody);
    expect(await replace({ ...anew(version, 1), versionId: newId() }, 1)).toBe(false);
    expect(await replace(anew(version, 1), 2)).toBe(false);
    expect((await current('a'))?.bodyId).toBe(bodyId);
  });
});

describe('the age of a data key', () => {
  test('is that of its body: copies by reference share it, a rewrap does not change it', async () => {
    const version = await commitSealed(engine, bucket, 'a', 1);
    bucket = await rotated(engine, bucket);
    const copy = sealedIn(bucket, 'b', 2, { bodyId: version.bodyId });
    const shared = { kind: 'shared', sourceKey: version.key, sourceVersionId: version.versionId } as const;
    await engine.metadata.commitVersion(copy, shared, undefined);
    await commitSealed(engine, bucket, 'c', 2);
    expect(await older(2)).toEqual({ versions: 2, uploads: 0 });
    expect(await older(3)).toEqual({ versions: 3, uploads: 0 });
    const { items } = await engine.metadata.olderVersions({
      bucketUid: bucket.bucketUid,
      below: 2,
      after: null,
      limit: 9,
    });
    expect(items.map(({ key }) => Buffer.from(key).toString())).toEqual(['a', 'b']);
  });

  test('is handed on from an upload to its object', async () => {
    const { metadata } = engine;
    const upload = sealedUploadIn(bucket, 'parts', 1);
    await metadata.createUpload(bucket.name, upload);
    const part = partOf(engine.incarnation, 1);
    await metadata.commitPart(upload, part, new Uint8Array(0));
    bucket = await rotated(engine, bucket);
    expect(await older(2)).toEqual({ versions: 0, uploads: 1 });
    const version = sealedIn(bucket, 'parts', 2, { bodyId: upload.bodyId, partCount: 1 });
    const entry = { partNumber: 1, offset: 0, size: 10, location: part.location };
    const page = {
      page: 0,
      parts: [{ ...entry, salt: null, digestSalt: null, digests: part.digests }],
      pageMac: filled(32, 1),
    };
    const target = { uploadId: upload.uploadId, revision: 1 };
    await metadata.completeUpload(target, version, [page], undefined);
    expect(await older(2)).toEqual({ versions: 1, uploads: 0 });
  });
});
