import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '../blobs/blobs.ts';
import { openFilesystemBlobs, prepareFilesystemBlobs } from '../blobs/filesystem.ts';
import { newId } from '../crypto/ids.ts';
import type { BlobLocation, BucketDocument, Id, Metadata, NewBody } from '../metadata/metadata.ts';
import {
  bucketNamed,
  type Engine,
  openEngine,
  partOf,
  uploadIn,
  versionIn,
} from '../metadata/sqlite/engine.testkit.ts';
import { type Collector, type CollectorOptions, startCollector } from './collector.ts';

let engine: Engine;
let path: string;
let blobs: BlobStore;
let bucket: BucketDocument;
let stop: AbortController;
let logged: string[];
const graceMs = 1_000;
const key = Buffer.from('k');

beforeEach(async () => {
  engine = await openEngine();
  path = join(engine.folder, 'blobs');
  blobs = storeOf(engine.incarnation);
  bucket = bucketNamed('collected');
  await engine.metadata.createBucket(bucket, null);
  stop = new AbortController();
  logged = [];
});
afterEach(async () => {
  stop.abort();
  await engine[Symbol.asyncDispose]();
});

function storeOf(incarnation: Id): BlobStore {
  prepareFilesystemBlobs({ path, incarnation });
  return openFilesystemBlobs({
    path,
    incarnation,
    freeSpaceReserveBytes: 0,
    onFatal: (error) => expect.fail(error.message),
  });
}

/** Started, and its first run over. */
async function collectorOf(changes: Partial<CollectorOptions> = {}): Promise<Collector> {
  const note = (_fields: object, message: string): void => void logged.push(message);
  const collector = startCollector({
    metadata: engine.metadata,
    blobs,
    incarnation: engine.incarnation,
    openBodies: () => Promise.resolve(new Set(engine.metadata.openBodies())),
    graceMs,
    intervalMs: 1_000_000,
    now: () => engine.clock.nowMs,
    log: { info: note, warn: note, error: note },
    signal: stop.signal,
    ...changes,
  });
  await collector.runOnce().catch(() => null);
  return collector;
}

async function blobIn(store: BlobStore = blobs): Promise<NewBody & { kind: 'blob' }> {
  const writer = await store.create();
  await writer.write([Buffer.from('abc')]);
  await writer.finish();
  return { kind: 'blob', location: writer.location, storedBytes: 3, salt: null, crcs: new Uint8Array(4) };
}

/** An object whose body is a blob, replaced by another one: the first blob is garbage. */
async function replacedObject(
  name: string | Uint8Array = key,
): Promise<{ garbage: BlobLocation; kept: BlobLocation; bodyId: Id }> {
  const first = await blobIn();
  const version = versionIn(bucket, name);
  await engine.metadata.commitVersion(version, first, undefined);
  const second = await blobIn();
  await engine.metadata.commitVersion(versionIn(bucket, name), second, undefined);
  return { garbage: first.location, kept: second.location, bodyId: version.bodyId };
}

async function exists(location: BlobLocation): Promise<boolean> {
  const names: Id[] = [];
  for await (const name of blobs.list(location.incarnation)) names.push(name);
  return names.includes(location.blobId);
}

const count = (table: string): number => engine.rows(`SELECT 1 FROM ${table}`).length;

describe('garbage', () => {
  test('stays for the grace, then goes with all its rows; what is referenced stays', async () => {
    const { garbage, kept } = await replacedObject();
    const collector = await collectorOf();
    engine.clock.nowMs += graceMs - 1;
    expect(await collector.runOnce()).toMatchObject({ items: 0 });
    expect(await exists(garbage)).toBe(true);
    engine.clock.nowMs += 1;
    expect(await collector.runOnce()).toMatchObject({ items: 1, blobs: 1, open: 0, failed: 0 });
    expect([await exists(garbage), await exists(kept)]).toEqual([false, true]);
    expect(['garbage', 'blob', 'blob_crc', 'body'].map(count)).toEqual([0, 1, 1, 1]);
    expect(await collector.runOnce()).toMatchObject({ items: 0, blobs: 0 });
  });

  test('that somebody reads is left until they are done', async () => {
    const blob = await blobIn();
    await engine.metadata.commitVersion(versionIn(bucket, key), blob, undefined);
    const reader = await engine.metadata.currentVersion(bucket.bucketUid, key);
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
    engine.clock.nowMs += graceMs;
    const collector = await collectorOf();
    expect(await collector.runOnce()).toMatchObject({ items: 0, open: 1 });
    expect(await exists(blob.location)).toBe(true);
    reader?.release();
    expect(await collector.runOnce()).toMatchObject({ items: 1, open: 0 });
    expect(await exists(blob.location)).toBe(false);
  });

  test('that appears, with a reader, after the question was asked is safe', async () => {
    const blob = await blobIn();
    await engine.metadata.commitVersion(versionIn(bucket, key), blob, undefined);
    // Opened and made garbage while the answer to the collector's first question is on its way.
    let questions = 0;
    const openBodies = async (): Promise<ReadonlySet<Id>> => {
      const open = new Set(engine.metadata.openBodies());
      questions += 1;
      if (questions > 1) return open;
      await engine.metadata.currentVersion(bucket.bucketUid, key);
      await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
      return open;
    };
    await replacedObject('other');
    engine.clock.nowMs += graceMs;
    await collectorOf({ openBodies, graceMs: 0 });
    expect(count('garbage')).toBe(1);
    expect(await exists(blob.location)).toBe(true);
  });

  test('of more than one page goes in one run', async () => {
    const upload = uploadIn(bucket, key);
    await engine.metadata.createUpload(bucket.name, upload);
    await Promise.all(
      Array.from({ length: 70 }, async (_, index) => {
        const { location } = await blobIn();
        const part = { ...partOf(engine.incarnation, index + 1), location };
        await engine.metadata.commitPart(upload, part, new Uint8Array(0));
      }),
    );
    await engine.metadata.deleteBucket(bucket.name, bucket.bucketUid);
    engine.clock.nowMs += graceMs;
    const reports: unknown[] = [];
    await collectorOf({ onRun: (report) => reports.push(report) });
    expect(reports).toEqual([{ items: 70, blobs: 70, open: 0, failed: 0, orphans: 0 }]);
    expect(count('blob')).toBe(0);
  });

  test('a body of parts goes with every part', async () => {
    const upload = uploadIn(bucket, key);
    await engine.metadata.createUpload(bucket.name, upload);
    const locations: BlobLocation[] = [];
    for (const partNumber of [1, 2, 3]) {
      const { location } = await blobIn();
      locations.push(location);
      await engine.metadata.commitPart(
        upload,
        { ...partOf(engine.incarnation, partNumber), location },
        new Uint8Array(4),
      );
    }
    const parts = (await engine.metadata.uploadParts(upload.uploadId, 0, 10)).map((part, index) => ({
      ...part,
      offset: index * 10,
    }));
    const version = versionIn(bucket, key, { bodyId: upload.bodyId, partCount: 3 });
    const pages = [{ page: 0, parts, pageMac: null }];
    await engine.metadata.completeUpload(
      { uploadId: upload.uploadId, revision: 3 },
      version,
      pages,
      undefined,
    );
    await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, key, undefined);
    engine.clock.nowMs += graceMs;
    await collectorOf();
    expect(await Promise.all(locations.map(exists))).toEqual([false, false, false]);
    expect(['garbage', 'blob', 'blob_crc', 'body', 'body_parts'].map(count)).toEqual([0, 0, 0, 0, 0]);
  });

  test('whose row names a body that is referenced is never touched', async () => {
    const { kept } = await replacedObject();
    engine.edit(`INSERT OR REPLACE INTO garbage (kind, id, body_no, since_ms, claimed)
      SELECT 'body', body_id, body_no, 0, 0 FROM body WHERE refs > 0`);
    engine.clock.nowMs += graceMs;
    const collector = await collectorOf();
    expect(await collector.runOnce()).toMatchObject({ failed: 1 });
    expect(await exists(kept)).toBe(true);
    expect(logged).toContain('garbage could not be collected');
  });
});

describe('a crash', () => {
  type Step = 'claimGarbage' | 'delete' | 'finishGarbage';

  /** The engine and the store, failing at one step: before it, or after it was done. */
  function broken(step: Step, after: boolean): Pick<CollectorOptions, 'metadata' | 'blobs'> {
    const crash = async <T>(name: Step, run: () => Promise<T>): Promise<T> => {
      if (name !== step) return run();
      if (after) await run();
      throw new Error('crashed');
    };
    const metadata: Metadata = {
      ...engine.metadata,
      claimGarbage: (items) => crash('claimGarbage', () => engine.metadata.claimGarbage(items)),
      finishGarbage: (items) => crash('finishGarbage', () => engine.metadata.finishGarbage(items)),
    };
    const store: BlobStore = {
      ...blobs,
      delete: (location) => crash('delete', () => blobs.delete(location)),
    };
    return { metadata, blobs: store };
  }

  test.each([
    ['claimGarbage', false],
    ['claimGarbage', true],
    ['delete', false],
    ['delete', true],
    ['finishGarbage', false],
    ['finishGarbage', true],
  ] as const)(
    'at %s (done: %s) loses nothing that is referenced, and the next life takes it up',
    async (step, after) => {
      const { garbage, kept } = await replacedObject();
      engine.clock.nowMs += graceMs;
      const first = await collectorOf(broken(step, after));
      expect(await exists(kept)).toBe(true);
      stop.abort();
      await first.stopped();
      stop = new AbortController();
      const next = await collectorOf();
      await next.runOnce();
      expect([await exists(garbage), await exists(kept)]).toEqual([false, true]);
      expect(['garbage', 'blob', 'body'].map(count)).toEqual([0, 1, 1]);
    },
  );

  test('a claimed body takes no new references', async () => {
    const blob = await blobIn();
    const version = versionIn(bucket, 'source');
    await engine.metadata.commitVersion(version, blob, undefined);
    // A row that says garbage of a body which a version still names: neither side may win more than it has.
    engine.edit(
      `INSERT INTO garbage (kind, id, body_no, since_ms, claimed) SELECT 'body', body_id, body_no, 0, 1 FROM body`,
    );
    await expect(
      engine.metadata.commitVersion(
        versionIn(bucket, 'copy', { bodyId: version.bodyId }),
        { kind: 'shared', sourceKey: version.key, sourceVersionId: version.versionId },
        undefined,
      ),
    ).rejects.toMatchObject({ code: 'SourceChanged' });
  });

  test('of the metadata ends the run and not the collector', async () => {
    const metadata: Metadata = { ...engine.metadata, garbage: () => Promise.reject(new Error('down')) };
    const collector = await collectorOf({ metadata });
    await expect(collector.runOnce()).rejects.toThrow('down');
    await collector.stopped();
    expect(logged).toContain('the collector failed; it will run again');
  });
});

describe('orphans', () => {
  /** An incarnation that lived before, known to the metadata. */
  function earlier(): Id {
    const incarnation = newId();
    engine.edit('INSERT INTO incarnation (incarnation, started_ms) VALUES (?, 0)', incarnation);
    return incarnation;
  }

  test('of a dead incarnation go, its committed blobs stay, and the live one is not looked at', async () => {
    const dead = earlier();
    const store = storeOf(dead);
    const [orphan, committed] = [await blobIn(store), await blobIn(store)];
    await engine.metadata.commitVersion(versionIn(bucket, key), committed, undefined);
    const underWay = await blobIn();
    const collector = await collectorOf();
    expect([
      await exists(orphan.location),
      await exists(committed.location),
      await exists(underWay.location),
    ]).toEqual([false, true, true]);
    expect(logged).toContain('orphan blobs were removed');
    expect(await collector.runOnce()).toMatchObject({ orphans: 0 });
  });

  test('more than fit into one question all go, and their folder with them', async () => {
    const dead = earlier();
    const store = storeOf(dead);
    await Promise.all(Array.from({ length: 300 }, () => blobIn(store)));
    let orphans = 0;
    await collectorOf({ onRun: (report) => void (orphans += report.orphans) });
    expect(orphans).toBe(300);
    expect(await blobs.incarnations()).toEqual([engine.incarnation]);
  });

  test('are looked for again after a day', async () => {
    const dead = earlier();
    const collector = await collectorOf();
    const { location } = await blobIn(storeOf(dead));
    engine.clock.nowMs += 24 * 60 * 60 * 1_000 - 1;
    expect(await collector.runOnce()).toMatchObject({ orphans: 0 });
    engine.clock.nowMs += 1;
    expect(await collector.runOnce()).toMatchObject({ orphans: 1 });
    expect(await exists(location)).toBe(false);
  });

  test('of an incarnation that this metadata never knew are left alone: they may be what a lost database named', async () => {
    const stranger = newId();
    const { location } = await blobIn(storeOf(stranger));
    await collectorOf();
    expect(await exists(location)).toBe(true);
    expect(logged.join()).toMatch(/left alone/);
  });
});

test('after the signal nothing is taken up any more', async () => {
  const { garbage } = await replacedObject();
  engine.clock.nowMs += graceMs;
  stop.abort();
  await collectorOf();
  expect(await exists(garbage)).toBe(true);
});

test('completed uploads are forgotten after a day', async () => {
  const forgotten: number[] = [];
  const metadata: Metadata = {
    ...engine.metadata,
    forgetCompletedUploads: (beforeMs) => Promise.resolve(void forgotten.push(beforeMs)),
  };
  await collectorOf({ metadata });
  expect(forgotten[0]).toBe(engine.clock.nowMs - 24 * 60 * 60 * 1_000);
});
