import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import { Checkpointer } from './checkpointer.ts';
import { openReaderConnection, openWriterConnection } from './connection.ts';
import {
  blobBody,
  bucketNamed,
  codeOf,
  filled,
  inlineBody,
  keyVersionOf,
  openEngine,
  partOf,
  temporaryFolder,
  testControlKey,
  uploadIn,
  versionIn,
  withHex,
} from './engine.testkit.ts';
import { packCommand } from './messages.ts';
import { schemaVersion } from './migrations.ts';
import { openSqliteMetadata, openSqliteMetadataReadOnly } from './sqliteMetadata.ts';
import { startWriter } from './writer.ts';

describe('the writer', () => {
  test('keeps what it acknowledged over a restart, and counts what it did', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'metadata.db');
    const bucket = bucketNamed('kept');
    for (const round of [0, 1]) {
      const writer = await startWriter({
        path,
        controlKey: testControlKey,
        incarnation: newId(),
        freeSpaceReserveBytes: 0,
        onDeath: (error) => expect.fail(error.message),
      });
      const metadata = openSqliteMetadata({ path, controlKey: testControlKey, writer: writer.connect() });
      if (round === 0) await metadata.createBucket(bucket, null);
      else expect(await metadata.bucket('kept')).toEqual(bucket);
      await codeOf(metadata.deleteBucket('nowhere', newId()));
      expect(writer.stats()).toMatchObject({
        queuedCommands: 0,
        queuedBytes: 0,
        refused: 1,
        committed: 1 - round,
      });
      expect(await metadata.incarnations()).toHaveLength(round + 1);
      await metadata.close();
      await writer.close();
      await writer.close();
      expect(await codeOf(metadata.createBucket(bucket, null))).toBe('Unavailable');
    }
    rmSync(folder, { recursive: true });
  });

  test('refuses beyond its bound by count, at once, and recovers', async () => {
    await using engine = await openEngine({ maxQueuedCommands: 4 });
    const buckets = Array.from({ length: 12 }, (_, index) => bucketNamed(`bucket-${index}`));
    const held = engine.holdWrites();
    const answers = buckets.map((bucket) => codeOf(engine.metadata.createBucket(bucket, null)));
    held[Symbol.dispose]();
    const outcomes = await Promise.all(answers);
    expect(outcomes).toEqual([
      ...Array.from({ length: 4 }, () => 'resolved'),
      ...Array.from({ length: 8 }, () => 'Busy'),
    ]);
    expect(await engine.metadata.createBucket(bucketNamed('later'), null)).toBeNull();
  });

  test('refuses beyond its bound by bytes, over all clients; a single larger command passes', async () => {
    await using engine = await openEngine({ maxQueuedBytes: 10_000 });
    const bucket = bucketNamed('bytes');
    await engine.metadata.createBucket(bucket, null);
    const put = (client: typeof engine.metadata, key: string) =>
      codeOf(
        client.commitVersion(
          versionIn(bucket, key),
          { kind: 'inline', stored: filled(60_000, 1), salt: null },
          undefined,
        ),
      );
    const other = engine.connect();
    const held = engine.holdWrites();
    const answers = [put(engine.metadata, 'a'), put(other, 'b')];
    held[Symbol.dispose]();
    expect(await Promise.all(answers)).toEqual(['resolved', 'Busy']);
  });

  test('below the reserve of free space takes deletes only', async () => {
    await using engine = await openEngine({ freeSpaceReserveBytes: Number.MAX_SAFE_INTEGER });
    expect(await codeOf(engine.metadata.createBucket(bucketNamed('full'), null))).toBe('NoSpace');
    expect(await codeOf(engine.metadata.deleteBucket('full', newId()))).toBe('NoSuchBucket');
    expect(await engine.metadata.putKeyVersion(keyVersionOf(newId()))).toBeUndefined();
  });

  test('does not start on a file that is not a database, nor on a newer schema', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'metadata.db');
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA user_version = ${schemaVersion + 1}`);
    db.close();
    const options = {
      controlKey: testControlKey,
      incarnation: newId(),
      freeSpaceReserveBytes: 0,
      onDeath: () => expect.fail('it never lived'),
    };
    expect(await codeOf(startWriter({ ...options, path }))).toBe('Unavailable');
    expect(await codeOf(startWriter({ ...options, path: join(folder, 'missing', 'metadata.db') }))).toBe(
      'Unavailable',
    );
    expect(() => openReaderConnection(path)).toThrow(/schema/);
    expect(() => openReaderConnection(join(folder, 'missing.db'))).toThrow(/failed/);
    rmSync(folder, { recursive: true });
  });

  test('reports its death once, and what waits for it is never answered', async () => {
    await using engine = await openEngine({});
    const died = Promise.withResolvers<Error>();
    const writer = await startWriter({
      path: join(engine.folder, 'second.db'),
      controlKey: testControlKey,
      incarnation: newId(),
      freeSpaceReserveBytes: 0,
      onDeath: died.resolve,
    });
    // Not a command: the thread breaks on it.
    writer.connect().postMessage(null);
    expect(await died.promise).toBeInstanceOf(Error);
    await writer.close();
  });
});

describe('the service of the thread', () => {
  test('takes groups larger than one, and answers what waits before it closes', async () => {
    const engine = await openEngine();
    const { metadata } = engine;
    const bucket = bucketNamed('served');
    await metadata.createBucket(bucket, null);
    const keys = Array.from({ length: 600 }, (_, index) => `k${index}`);
    await Promise.all(
      keys.map((key) => metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined)),
    );
    expect((await metadata.usage(bucket.bucketUid)).objects).toBe(600);
    expect(engine.writer.stats().groups).toBeLessThan(20);
    const unanswered = metadata.createBucket(bucketNamed('last'), null);
    await engine[Symbol.asyncDispose]();
    expect(await unanswered).toBeNull();
  });

  test("a port that is not the writer's is refused", async () => {
    await using engine = await openEngine();
    const { port1, port2 } = new MessageChannel();
    port1.postMessage({ kind: 'something' });
    expect(() =>
      openSqliteMetadata({ path: engine.path, controlKey: testControlKey, writer: port2 }),
    ).toThrow(/port/);
    port1.close();
  });
});

describe('commands', () => {
  test('carry only their own bytes of a pooled buffer', () => {
    const pool = Buffer.alloc(8_192, 0x73);
    const key = pool.subarray(10, 14);
    const { command, bytes } = packCommand({ name: 'deleteObject', args: ['b', 'u', key, undefined, 1] });
    expect(withHex(command.args[2])).toBe('73737373');
    expect((command.args[2] as Uint8Array).buffer.byteLength).toBe(4);
    expect(bytes).toBeGreaterThan(4);
    expect(bytes).toBeLessThan(1_024);
  });
});

describe('checkpoints', () => {
  test('come above the bound and not below it', () => {
    const folder = temporaryFolder();
    const db = openWriterConnection(join(folder, 'metadata.db'));
    expect(new Checkpointer(db, 1_000_000).run().checkpointed).toBe(false);
    const eager = new Checkpointer(db, 4_096);
    expect(eager.run()).toMatchObject({ checkpointed: true });
    expect(eager.run()).toMatchObject({ checkpointed: false });
    db.close();
    rmSync(folder, { recursive: true });
  });
});

describe('settings of the file', () => {
  test('every commit is synced, and no commit pays for a checkpoint', () => {
    const folder = temporaryFolder();
    const db = openWriterConnection(join(folder, 'metadata.db'));
    const pragma = (name: string) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    expect(pragma('journal_mode')).toBe('wal');
    expect(pragma('synchronous')).toBe(2);
    expect(pragma('wal_autocheckpoint')).toBe(0);
    expect(pragma('busy_timeout') ?? pragma('timeout')).toBe(5_000);
    db.close();
    rmSync(folder, { recursive: true });
  });
});

describe('the read-only view', () => {
  test('works beside the writer and without it, and cannot write', async () => {
    await using engine = await openEngine();
    const bucket = bucketNamed('viewed');
    await engine.metadata.createBucket(bucket, null);
    const keys = ['a', 'b', 'c'];
    for (const key of keys)
      await engine.metadata.commitVersion(versionIn(bucket, key), inlineBody, undefined);
    const view = openSqliteMetadataReadOnly({ path: engine.path, controlKey: testControlKey });
    expect(await view.listEveryBucket({ after: '', limit: 10 })).toEqual([
      { name: 'viewed', bucketUid: bucket.bucketUid, bucket },
    ]);
    expect(await view.listEveryBucket({ after: 'viewed', limit: 10 })).toEqual([]);
    const first = await view.versions({ bucketUid: bucket.bucketUid, after: null, limit: 2 });
    const second = await view.versions({
      bucketUid: bucket.bucketUid,
      after: first.at(-1) ?? null,
      limit: 2,
    });
    expect([...first, ...second].map((entry) => Buffer.from(entry.key).toString())).toEqual(keys);
    engine.edit(`UPDATE object_version SET body_no = 99 WHERE CAST(key AS TEXT) = 'b'`);
    const all = await view.versions({ bucketUid: bucket.bucketUid, after: null, limit: 9 });
    expect(all.map(({ version }) => (version instanceof Error ? version.code : 'fine'))).toEqual([
      'fine',
      'Integrity',
      'fine',
    ]);
    await view.close();
    const db = openReaderConnection(engine.path);
    expect(() => db.exec('DELETE FROM bucket')).toThrow(/read/i);
    db.close();
  });

  test('says what names a blob', async () => {
    await using engine = await openEngine();
    const { metadata, incarnation } = engine;
    const bucket = bucketNamed('used');
    await metadata.createBucket(bucket, null);
    const whole = blobBody(incarnation);
    const version = versionIn(bucket, 'whole');
    await metadata.commitVersion(version, whole, undefined);
    const upload = uploadIn(bucket, 'parts');
    await metadata.createUpload(bucket.name, upload);
    const [kept, open] = [partOf(incarnation, 1), partOf(incarnation, 2)];
    await metadata.commitPart(upload, kept, new Uint8Array(0));
    const view = openSqliteMetadataReadOnly({ path: engine.path, controlKey: testControlKey });
    const use = async (blobId: string) => withHex(await view.blobUse(blobId));
    expect(await use(whole.location.blobId)).toEqual({
      location: whole.location,
      storedBytes: 3,
      body: { bodyId: version.bodyId, partNumber: null },
      versions: [
        {
          bucketUid: bucket.bucketUid,
          key: Buffer.from('whole').toString('hex'),
          versionId: version.versionId,
        },
      ],
      upload: null,
      garbageSinceMs: null,
    });
    expect(await use(kept.location.blobId)).toMatchObject({
      upload: { uploadId: upload.uploadId, partNumber: 1 },
      body: null,
    });
    const { partNumber, size, location, salt, digestSalt, digests } = kept;
    const made = versionIn(bucket, 'parts', { bodyId: upload.bodyId, partCount: 1 });
    const page = {
      page: 0,
      pageMac: null,
      parts: [{ partNumber, size, location, salt, digestSalt, digests, offset: 0 }],
    };
    await metadata.completeUpload({ uploadId: upload.uploadId, revision: 1 }, made, [page], undefined);
    expect(await use(kept.location.blobId)).toMatchObject({
      body: { bodyId: upload.bodyId, partNumber: 1 },
      upload: null,
    });
    await metadata.deleteObject(bucket.name, bucket.bucketUid, Buffer.from('whole'), undefined);
    expect(await use(whole.location.blobId)).toMatchObject({
      versions: [],
      garbageSinceMs: engine.clock.nowMs,
    });
    expect(await use(open.location.blobId)).toBeNull();
    await view.close();
  });
});

test('the entry serves nothing outside of a thread', async () => {
  expect(Object.keys(await import('./writerThread.ts'))).toEqual([]);
});
