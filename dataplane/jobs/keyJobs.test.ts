import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../keys/fakeClock.testkit.ts';
import { FakeKms } from '../keys/fakeKms.testkit.ts';
import { STATE } from '../keys/kmip/tags.ts';
import type { BucketDocument } from '../metadata/metadata.ts';
import { type Engine, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import { type Life, startLife } from './life.testkit.ts';
import { bucketOf, openSealedUpload, putSealed, readSealed, readUpload } from './sealed.testkit.ts';

const DAY_MS = 86_400_000;
let engine: Engine;
let kms: FakeKms;
let life: Life;
let bucket: BucketDocument;

beforeEach(async () => {
  engine = await openEngine();
  kms = new FakeKms(new FakeClock());
  life = await startLife(engine, kms);
  await life.create('docs');
  bucket = await bucketOf(life, 'docs');
});
afterEach(async () => {
  await life[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const rotate = (requestId: string, toConnection: string | null = null) =>
  life.rotations.rotate('docs', { requestId, toConnection });
const states = async () =>
  (await life.metadata.keyVersions(bucket.bucketUid)).map(({ n, state }) => `${n} ${state}`);
const keysInKms = () => [...kms.keys.values()].map(({ state }) => state);

describe('a rotation', () => {
  test('is in force for the next write, and what was written before stays readable', async () => {
    await putSealed(life, bucket, 'old', 'before');
    const made = await rotate('r1');
    expect(made).toMatchObject({ n: 2, state: 'Current', kmsConnection: 'kms' });
    bucket = await bucketOf(life, 'docs');
    expect(bucket.keyVersion).toBe(2);
    expect(await states()).toEqual(['1 Readable', '2 Current']);
    await putSealed(life, bucket, 'new', 'after');
    expect([await readSealed(life, bucket, 'old'), await readSealed(life, bucket, 'new')]).toEqual([
      'before',
      'after',
    ]);
    const uses = await life.metadata.keyUses(bucket.bucketUid);
    expect([uses.get(1)?.versions, uses.get(2)?.versions]).toEqual([1, 1]);
  });

  test('asked for twice under one id happens once', async () => {
    const [first, second] = await Promise.all([rotate('r1'), rotate('r1')]);
    expect(second).toEqual(first);
    expect(await rotate('r1')).toEqual(first);
    expect(kms.count('Create')).toBe(2);
    expect(life.log.filter((line) => line.includes('bucket key rotated'))).toHaveLength(1);
  });

  test('of a bucket without a key, or of none, is refused', async () => {
    const wish = { name: 'plain', ownerId: 'owner', region: 'us-east-1' };
    await life.metadata.createBucket(
      { ...bucket, ...wish, bucketUid: '0'.repeat(32), keyVersion: null, encryption: null, revision: 0 },
      null,
    );
    const request = { requestId: 'r', toConnection: null };
    await expect(life.rotations.rotate('plain', request)).rejects.toMatchObject({ code: 'NotEncrypted' });
    await expect(life.rotations.rotate('none', request)).rejects.toMatchObject({ code: 'NoSuchBucket' });
  });

  test('that the KMS refuses leaves the bucket as it is, and can be asked for again', async () => {
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError', maybeDone: false });
    expect(await states()).toEqual(['1 Current', '2 Destroyed']);
    kms.refuse = () => null;
    expect(await rotate('r1')).toMatchObject({ n: 2, state: 'Current' });
    expect(keysInKms()).toHaveLength(2);
  });

  test('that is refused again and again leaves one row, under another unique name each time', async () => {
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    const names = new Set<string>();
    for (let i = 0; i < 20; i += 1) {
      await expect(rotate('r1', i % 2 === 0 ? 'kms' : 'other')).rejects.toMatchObject({ name: 'KmsError' });
      expect(await states()).toEqual(['1 Current', '2 Destroyed']);
      names.add((await life.metadata.keyVersion(bucket.bucketUid, 2))?.kmsName ?? '');
    }
    expect(names.size).toBe(20);
    kms.refuse = () => null;
    expect(await rotate('r2')).toMatchObject({ n: 2, kmsConnection: 'kms', rotation: { requestId: 'r2' } });
    expect(await life.metadata.connectionUse('kms')).toMatchObject({ keyVersions: 2 });
    expect(await life.metadata.connectionUse('other')).toMatchObject({ keyVersions: 0 });
  });

  test('that was given up keeps its number, whatever becomes of the one that it gave way to', async () => {
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError' });
    kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
    await expect(rotate('r2', 'other')).rejects.toMatchObject({ name: 'KmsError' });
    expect(await states()).toEqual(['1 Current', '2 Retiring', '3 Destroyed']);
    kms.refuse = () => null;
    expect(await rotate('r3')).toMatchObject({ n: 3 });
    await expect(rotate('r1')).rejects.toMatchObject({ code: 'Superseded' });
  });

  test('left unfinished is finished by the jobs; until then others over the same KMS are told so', async () => {
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError' });
    expect(await states()).toEqual(['1 Current', '2 Creating']);
    await expect(rotate('r2')).rejects.toMatchObject({ code: 'Unfinished' });
    kms.refuse = () => null;
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Current']);
    expect(await rotate('r1')).toMatchObject({ n: 2 });
    expect(kms.count('Create')).toBe(2);
  });

  test('left unfinished gives way to one onto another KMS, and its key is revoked', async () => {
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError' });
    kms.refuse = () => null;
    expect(await rotate('r2', 'other')).toMatchObject({ n: 3, kmsConnection: 'other', state: 'Current' });
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Revoked', '3 Current']);
    await expect(rotate('r1')).rejects.toMatchObject({ code: 'Superseded' });
    expect(keysInKms()).toEqual([STATE.deactivated, STATE.deactivated, STATE.active]);
  });

  test('onto a connection that does not exist is refused before anything is reserved', async () => {
    await expect(rotate('r1', 'nowhere')).rejects.toMatchObject({ code: 'UnknownConnection' });
    expect(await states()).toEqual(['1 Current']);
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError' });
    kms.refuse = () => null;
    // Nor is anything given up for it.
    await expect(rotate('r2', 'nowhere')).rejects.toMatchObject({ code: 'UnknownConnection' });
    expect(await states()).toEqual(['1 Current', '2 Creating']);
    expect(await rotate('r1')).toMatchObject({ n: 2, state: 'Current' });
  });
});

describe('rewrap', () => {
  test('moves every version and open upload to the new key, then the old one is retired and revoked', async () => {
    for (let i = 0; i < 250; i += 1) await putSealed(life, bucket, `o${i}`, `content ${i}`);
    const uploadId = await openSealedUpload(life, bucket, 'upload', 'to come');
    await rotate('r1', 'other');
    await life.settle();
    bucket = await bucketOf(life, 'docs');
    expect(await states()).toEqual(['1 Revoked', '2 Current']);
    const uses = await life.metadata.keyUses(bucket.bucketUid);
    expect(uses.get(1) ?? { versions: 0, uploads: 0 }).toEqual({ versions: 0, uploads: 0 });
    expect(uses.get(2)).toEqual({ versions: 250, uploads: 1 });
    expect(keysInKms()).toEqual([STATE.deactivated, STATE.active]);
    // Nothing needs the old key any more, not even to read.
    kms.keys.delete('key-1');
    for (let i = 0; i < 250; i += 50) expect(await readSealed(life, bucket, `o${i}`)).toBe(`content ${i}`);
    expect(await readUpload(life, bucket, 'upload', uploadId)).toBe('to come');
    expect(await life.metadata.jobState('rewrap', bucket.bucketUid)).toBeNull();
  });

  test('leaves what does not open, says so, and keeps its key', async () => {
    await putSealed(life, bucket, 'good', 'good');
    await putSealed(life, bucket, 'bad', 'bad');
    engine.edit("UPDATE object_version SET sealed_key = zeroblob(48) WHERE key = CAST('bad' AS BLOB)");
    await rotate('r1');
    for (let round = 0; round < 5; round += 1) await life.jobs.round();
    expect(await states()).toEqual(['1 Readable', '2 Current']);
    expect(await readSealed(life, bucket, 'good')).toBe('good');
    expect(life.jobs.waiting(bucket.bucketUid)?.message).toContain('do not open');
    const told = life.log.filter((line) => line.startsWith('error:'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('"bucket":"docs","kind":"version"');
  });

  test('waits while the KMS is away and goes on when it is back', async () => {
    await putSealed(life, bucket, 'o', 'content');
    await rotate('r1');
    kms.mode = 'refuse';
    await using again = await startLife(engine, kms, undefined, { incarnation: life.incarnation });
    await again.jobs.round();
    expect(again.jobs.waiting(bucket.bucketUid)).not.toBeNull();
    expect(await states()).toEqual(['1 Readable', '2 Current']);
    kms.mode = 'up';
    await using back = await startLife(engine, kms);
    await back.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Current']);
  });

  test.each(['no JSON', '{"target":"x"}', '""'])(
    'begins anew where %s stands in place of its progress',
    async (text) => {
      await putSealed(life, bucket, 'o', 'content');
      await rotate('r1');
      engine.edit("INSERT OR REPLACE INTO job_state VALUES ('rewrap', ?, ?)", bucket.bucketUid, text);
      await life.settle();
      expect(await states()).toEqual(['1 Revoked', '2 Current']);
      expect(await readSealed(life, bucket, 'o')).toBe('content');
    },
  );

  test('goes on where it was when the bucket is rotated again meanwhile', async () => {
    await putSealed(life, bucket, 'o', 'content');
    await rotate('r1');
    await rotate('r2');
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Revoked', '3 Current']);
    expect(await readSealed(life, await bucketOf(life, 'docs'), 'o')).toBe('content');
  });
});

describe('a schedule', () => {
  test('rotates when the current version is old enough, and not again before it is due again', async () => {
    const { metadata } = life;
    await metadata.updateBucket({ ...bucket, revision: bucket.revision + 1, rotateEveryMs: 90 * DAY_MS });
    life.clock.nowMs += 90 * DAY_MS - 1;
    await life.settle();
    expect(await states()).toEqual(['1 Current']);
    life.clock.nowMs += 1;
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Current']);
    life.clock.nowMs += 89 * DAY_MS;
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Current']);
    life.clock.nowMs += DAY_MS;
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Revoked', '3 Current']);
  });
});

describe('a deleted bucket', () => {
  test('has its keys revoked, and not destroyed', async () => {
    await rotate('r1');
    await life.metadata.deleteBucket('docs', bucket.bucketUid);
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Revoked']);
    expect(keysInKms()).toEqual([STATE.deactivated, STATE.deactivated]);
  });

  test('in the middle of a rotation has that key revoked too', async () => {
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    await expect(rotate('r1')).rejects.toMatchObject({ name: 'KmsError' });
    kms.refuse = () => null;
    await life.metadata.deleteBucket('docs', bucket.bucketUid);
    await life.settle();
    expect(await states()).toEqual(['1 Revoked', '2 Revoked']);
  });
});

test('a row that fails its authentication is told once, and its key is left alone', async () => {
  await rotate('r1');
  engine.edit('UPDATE key_version SET control_mac = zeroblob(32) WHERE n = 1');
  await life.jobs.round();
  await life.jobs.round();
  const told = life.log.filter((line) => line.includes('failed its authentication'));
  expect(told).toHaveLength(1);
  expect(keysInKms()).toEqual([STATE.active, STATE.active]);
});

describe('the jobs of a process', () => {
  test('work until they are told to end, and look again when they are woken', async () => {
    const rounds: number[] = [];
    const stop = new AbortController();
    const woken = Promise.withResolvers<void>();
    await using worker = await startLife(engine, kms, undefined, {
      wait: async (waitMs, signal) => {
        rounds.push(waitMs);
        if (rounds.length === 2) stop.abort();
        if (signal.aborted) return;
        woken.resolve();
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      },
      signal: stop.signal,
    });
    const running = worker.jobs.run();
    await woken.promise;
    worker.jobs.wake();
    await running;
    expect(rounds).toEqual([60_000, 60_000]);
  });

  test('outlive a look that fails, and try again', async () => {
    const stop = new AbortController();
    let looks = 0;
    await using worker = await startLife(engine, kms, undefined, {
      wait: () => {
        looks += 1;
        if (looks === 2) stop.abort();
        else engine.edit('ALTER TABLE key_version_away RENAME TO key_version');
        return Promise.resolve();
      },
      signal: stop.signal,
    });
    engine.edit('ALTER TABLE key_version RENAME TO key_version_away');
    await worker.jobs.run();
    expect(looks).toBe(2);
    expect(worker.log.filter((line) => line.startsWith('error:'))).toHaveLength(1);
  });
});
