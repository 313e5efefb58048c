import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import type { BucketDocument, PartPage, UploadPart, UploadRow } from '../metadata.ts';
import {
  blobBody,
  bucketNamed,
  codeOf,
  type Engine,
  filled,
  inlineBody,
  keyVersionOf,
  openEngine,
  partOf,
  someDescriptor,
  uploadIn,
  versionIn,
  withHex,
} from './engine.testkit.ts';

let engine: Engine;
let bucket: BucketDocument;
let upload: UploadRow;
let buckets = 0;
const key = Buffer.from('big');
const noCrcs = new Uint8Array(0);

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
beforeEach(async () => {
  buckets += 1;
  bucket = bucketNamed(`uploads-${buckets}`);
  await engine.metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid, { state: 'Current' }));
  upload = uploadIn(bucket, key);
  await engine.metadata.createUpload(bucket.name, upload);
});

async function addPart(partNumber: number, size = 10): Promise<UploadPart> {
  const part = partOf(engine.incarnation, partNumber, size);
  await engine.metadata.commitPart(upload, part, noCrcs);
  return part;
}

function pagesOf(parts: readonly UploadPart[], perPage = 256): PartPage[] {
  let offset = 0;
  const entries = parts.map(({ partNumber, size, location, salt, digestSalt, digests }) => {
    const entry = { partNumber, offset, size, location, salt, digestSalt, digests };
    offset += size;
    return entry;
  });
  const pages: PartPage[] = [];
  for (let page = 0; page * perPage < entries.length; page += 1) {
    pages.push({
      page,
      parts: entries.slice(page * perPage, (page + 1) * perPage),
      pageMac: filled(32, page),
    });
  }
  return pages;
}

const garbage = (id: string) => engine.rows(`SELECT kind FROM garbage WHERE id = '${id}'`).length;
const state = async () =>
  (await engine.metadata.upload(bucket.bucketUid, key, upload.uploadId))?.revision ?? null;

describe('an open upload', () => {
  test('comes back with every field, plain and encrypted', async () => {
    const plain = await engine.metadata.upload(bucket.bucketUid, key, upload.uploadId);
    expect(withHex(plain)).toEqual(withHex(upload));
    const sealed = uploadIn(bucket, 'sealed', {
      encrypted: true,
      clearMeta: null,
      sealed: {
        n: 1,
        wrapSalt: filled(32, 1),
        sealedKey: filled(48, 2),
        uploadSalt: filled(32, 3),
        sealedMeta: filled(60, 4),
      },
    });
    await engine.metadata.createUpload(bucket.name, sealed);
    const read = await engine.metadata.upload(bucket.bucketUid, sealed.key, sealed.uploadId);
    expect(withHex(read)).toEqual(withHex(sealed));
  });

  test('is found only under its own bucket and key', async () => {
    const { metadata } = engine;
    expect(await metadata.upload(newId(), key, upload.uploadId)).toBeNull();
    expect(await metadata.upload(bucket.bucketUid, Buffer.from('other'), upload.uploadId)).toBeNull();
    expect(await metadata.upload(bucket.bucketUid, key, newId())).toBeNull();
  });

  test('needs its bucket, and a bucket that was never plain takes no plain upload', async () => {
    const { metadata } = engine;
    expect(await codeOf(metadata.createUpload('nowhere', uploadIn(bucket, key)))).toBe('NoSuchBucket');
    const strict = bucketNamed(`strict-${buckets}`, { everPlain: false, encryption: 'AES256' });
    await metadata.createBucket(strict, null);
    expect(await codeOf(metadata.createUpload(strict.name, uploadIn(strict, key)))).toBe('Integrity');
  });

  test.each([
    [
      'an encrypted one without its sealed key',
      true,
      'UPDATE upload SET sealed_key = NULL WHERE upload_id = ?',
    ],
    ['a plain one with a key version', false, 'UPDATE upload SET n = 1 WHERE upload_id = ?'],
  ])('%s is Integrity', async (_name, encrypted, sql) => {
    const sealed = { n: 1, wrapSalt: noCrcs, sealedKey: noCrcs, uploadSalt: noCrcs, sealedMeta: noCrcs };
    const row = uploadIn(bucket, key, encrypted ? { encrypted, sealed, clearMeta: null } : {});
    await engine.metadata.createUpload(bucket.name, row);
    engine.edit(sql, row.uploadId);
    expect(await codeOf(engine.metadata.upload(bucket.bucketUid, key, row.uploadId))).toBe('Integrity');
  });
});

describe('parts', () => {
  test('come in pages by number, and every commit counts the revision', async () => {
    const third = await addPart(3);
    const first = await addPart(1);
    expect(await state()).toBe(2);
    expect(await engine.metadata.uploadParts(upload.uploadId, 0, 10)).toEqual([first, third]);
    expect(await engine.metadata.uploadParts(upload.uploadId, 1, 10)).toEqual([third]);
    expect(await engine.metadata.uploadParts(upload.uploadId, 0, 1)).toEqual([first]);
  });

  test('a replaced part goes to the garbage', async () => {
    const before = await addPart(1);
    const after = await addPart(1);
    expect(garbage(before.location.blobId)).toBe(1);
    expect(garbage(after.location.blobId)).toBe(0);
    expect(await engine.metadata.uploadParts(upload.uploadId, 0, 10)).toEqual([after]);
  });

  test('of an upload that ended are NoSuchUpload', async () => {
    const { metadata } = engine;
    await metadata.abortUpload(bucket.bucketUid, key, upload.uploadId);
    expect(await codeOf(addPart(1))).toBe('NoSuchUpload');
    const stranger = { bucketUid: newId(), uploadId: upload.uploadId };
    expect(await codeOf(metadata.commitPart(stranger, partOf(engine.incarnation, 1), noCrcs))).toBe(
      'NoSuchUpload',
    );
  });
});

describe('completing', () => {
  const version = (changes = {}) =>
    versionIn(bucket, key, { bodyId: upload.bodyId, partCount: 2, ...changes });
  const complete = (revision: number, pages: readonly PartPage[], made = version(), expectCurrent?: string) =>
    engine.metadata.completeUpload({ uploadId: upload.uploadId, revision }, made, pages, expectCurrent);

  test('makes the version with its pages, discards unlisted parts, and remembers the upload', async () => {
    const parts = [await addPart(1, 100), await addPart(2, 100), await addPart(5, 50), await addPart(9, 7)];
    const [one, two, unlisted, last] = parts;
    if (one === undefined || two === undefined || unlisted === undefined || last === undefined) return;
    const pages = pagesOf([one, two, last], 2);
    const made = version({ size: 207, partCount: 3 });
    await complete(4, pages, made);
    const { metadata } = engine;
    expect(withHex(await metadata.partPages(upload.bodyId, 0, 9))).toEqual(withHex(pages));
    expect(withHex(await metadata.partPages(upload.bodyId, 1, 1))).toEqual(withHex(pages.slice(1)));
    expect(await metadata.upload(bucket.bucketUid, key, upload.uploadId)).toBeNull();
    expect(await metadata.uploadParts(upload.uploadId, 0, 10)).toEqual([]);
    expect(await metadata.completedUpload(bucket.bucketUid, key, upload.uploadId)).toBe(made.versionId);
    expect(await metadata.completedUpload(bucket.bucketUid, Buffer.from('x'), upload.uploadId)).toBeNull();
    expect(garbage(unlisted.location.blobId)).toBe(1);
    expect(garbage(one.location.blobId)).toBe(0);
    const current = await metadata.currentVersion(bucket.bucketUid, key);
    expect(current?.version).toMatchObject({
      versionId: made.versionId,
      partCount: 3,
      body: { kind: 'parts' },
    });
    current?.release();

    const at = (offset: number) => metadata.findPage(upload.bodyId, { offset });
    expect([await at(0), await at(199), await at(200), await at(206), await at(207)]).toEqual([
      0,
      0,
      1,
      1,
      null,
    ]);
    const part = (partNumber: number) => metadata.findPage(upload.bodyId, { partNumber });
    expect([await part(1), await part(2), await part(9), await part(10)]).toEqual([0, 0, 1, null]);
  });

  test('is refused when a part was added meanwhile, and the upload stays', async () => {
    const one = await addPart(1);
    expect(await codeOf(complete(0, pagesOf([one])))).toBe('UploadChanged');
    expect(await codeOf(complete(1, pagesOf([partOf(engine.incarnation, 1)])))).toBe('UploadChanged');
    expect(await state()).toBe(1);
    expect(garbage(one.location.blobId)).toBe(0);
  });

  test('checks its preconditions', async () => {
    const one = await addPart(1);
    await engine.metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined);
    expect(await codeOf(complete(1, pagesOf([one]), version(), 'absent'))).toBe('PreconditionFailed');
    expect(await codeOf(complete(1, pagesOf([one]), version({ bodyId: newId() })))).toBe('Integrity');
    expect(await codeOf(complete(1, pagesOf([one]), version({ descriptor: someDescriptor })))).toBe(
      'Integrity',
    );
    expect(await codeOf(complete(1, pagesOf([one]), version({ key: Buffer.from('else') })))).toBe(
      'NoSuchUpload',
    );
    expect(await codeOf(complete(1, pagesOf([one]), version({ bucketName: 'gone' })))).toBe('NoSuchBucket');
    expect(await state()).toBe(1);
    await complete(1, pagesOf([one]));
    expect(await codeOf(complete(1, pagesOf([one])))).toBe('NoSuchUpload');
  });

  test('and aborting at once: one of them wins', async () => {
    const one = await addPart(1);
    const [completed, aborted] = await Promise.all([
      codeOf(complete(1, pagesOf([one]))),
      engine.metadata.abortUpload(bucket.bucketUid, key, upload.uploadId),
    ]);
    expect(completed === 'resolved').toBe(!aborted);
    expect(garbage(one.location.blobId)).toBe(aborted ? 1 : 0);
  });

  test('a page that somebody edited is Integrity', async () => {
    await complete(1, pagesOf([await addPart(1)]));
    for (const parts of ['not json', '[[1]]', '{}']) {
      engine.edit('UPDATE body_parts SET parts = ? WHERE body_id = ?', parts, upload.bodyId);
      expect(await codeOf(engine.metadata.partPages(upload.bodyId, 0, 0))).toBe('Integrity');
    }
  });

  test('is forgotten after its time', async () => {
    await complete(1, pagesOf([await addPart(1)]));
    await engine.metadata.forgetCompletedUploads(engine.clock.nowMs);
    expect(await engine.metadata.completedUpload(bucket.bucketUid, key, upload.uploadId)).not.toBeNull();
    await engine.metadata.forgetCompletedUploads(engine.clock.nowMs + 1);
    expect(await engine.metadata.completedUpload(bucket.bucketUid, key, upload.uploadId)).toBeNull();
  });
});

describe('aborting', () => {
  test('sends every part to the garbage, once', async () => {
    const one = await addPart(1);
    const { metadata } = engine;
    expect(await metadata.abortUpload(bucket.bucketUid, Buffer.from('other'), upload.uploadId)).toBe(false);
    expect(await metadata.abortUpload(bucket.bucketUid, key, upload.uploadId)).toBe(true);
    expect(await metadata.abortUpload(bucket.bucketUid, key, upload.uploadId)).toBe(false);
    expect(garbage(one.location.blobId)).toBe(1);
    expect(await metadata.uploadParts(upload.uploadId, 0, 10)).toEqual([]);
  });
});

test('a blob id is never taken twice', async () => {
  const body = blobBody(engine.incarnation);
  await engine.metadata.commitVersion(versionIn(bucket, 'one'), body, undefined);
  expect(await codeOf(engine.metadata.commitVersion(versionIn(bucket, 'two'), body, undefined))).toBe(
    'Unavailable',
  );
  expect(await engine.metadata.currentVersion(bucket.bucketUid, Buffer.from('two'))).toBeNull();
});
