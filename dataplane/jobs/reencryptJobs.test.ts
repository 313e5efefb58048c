/** What is asked for, what is told of it, and what a failure does; the work itself: reencrypt.test.ts. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KmsError } from '../keys/keys.ts';
import { type Metadata, MetadataError } from '../metadata/metadata.ts';
import { bucketNamed } from '../metadata/sqlite/engine.testkit.ts';
import { encryptedBucket, rotated, sealedUploadIn } from '../metadata/sqlite/rotation.testkit.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { openTestStore, type TestStore, unavailableKeys } from '../s3/server.testkit.ts';
import { ReencryptJobs } from './reencryptJobs.ts';

let store: TestStore;
let name = '';
let buckets = 0;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => {
  buckets += 1;
  name = `bucket-${buckets}`;
});

function start(change: Partial<Metadata> = {}) {
  const log: string[] = [];
  const ending = new AbortController();
  const waits: number[] = [];
  const note = (_fields: object, message: string) => void log.push(message);
  const jobs = new ReencryptJobs({
    metadata: { ...store.engine.metadata, ...change },
    blobs: store.blobs,
    keys: unavailableKeys,
    tools: { random: randomBytes, listKeys: new ListKeys() },
    clock: {
      wallMs: () => 0,
      steadyMs: () => 0,
      wait: (waitMs, signal) => {
        if (!signal.aborted) waits.push(waitMs);
        if (waits.length > 0) ending.abort();
        return Promise.resolve();
      },
    },
    log: { info: note, warn: note, error: note },
    signal: ending.signal,
  });
  return { jobs, log, waits };
}

describe('asking', () => {
  test.each([
    ['a bucket that is not there', () => Promise.resolve(), 'NoSuchBucket'],
    ['a plain bucket', () => store.engine.metadata.createBucket(bucketNamed(name), null), 'NotEncrypted'],
    ['a bucket whose key was never rotated', () => encryptedBucket(store.engine, name), 'NothingOlder'],
  ])('for %s is refused', async (_, make, code) => {
    await make();
    const { jobs } = start();
    await expect(jobs.request(name)).rejects.toMatchObject({ code });
  });

  test('twice goes on with the first; after another rotation or when it is finished, it begins anew', async () => {
    let bucket = await rotated(store.engine, await encryptedBucket(store.engine, name));
    const { jobs } = start();
    const upload = sealedUploadIn(bucket, 'open', 1);
    await store.engine.metadata.createUpload(name, upload);
    await expect(jobs.report(name)).rejects.toMatchObject({ code: 'NoReencryption' });
    expect(await jobs.request(name)).toMatchObject({ state: 'Running', olderThan: 2 });
    await jobs.round();
    const waiting = { state: 'Waiting', remaining: { versions: 0, uploads: 1 } };
    expect(await jobs.report(name)).toMatchObject(waiting);
    expect(await jobs.request(name)).toMatchObject({ olderThan: 2 });
    bucket = await rotated(store.engine, bucket);
    expect(await jobs.request(name)).toMatchObject({ olderThan: 3 });
    await store.engine.metadata.abortUpload(bucket.bucketUid, upload.key, upload.uploadId);
    await jobs.round();
    expect(await jobs.report(name)).toMatchObject({ state: 'Finished', message: null });
    expect(await jobs.request(name)).toMatchObject({ state: 'Running', finishedAt: null });
  });
});

describe('a failure', () => {
  test('is told and tried again a minute later, and other buckets have their turn', async () => {
    const failing = await rotated(store.engine, await encryptedBucket(store.engine, `a-${name}`));
    await rotated(store.engine, await encryptedBucket(store.engine, `b-${name}`));
    const { metadata } = store.engine;
    const { jobs, log, waits } = start({
      olderVersions: (query) =>
        query.bucketUid === failing.bucketUid
          ? Promise.reject(new KmsError('Unavailable', 'the KMS is away'))
          : metadata.olderVersions(query),
    });
    await jobs.request(`a-${name}`);
    await jobs.request(`b-${name}`);
    await jobs.run();
    expect(waits).toEqual([60_000]);
    expect(log).toContain('a re-encryption failed; it will be tried again');
    expect(await jobs.report(`a-${name}`)).toMatchObject({ state: 'Waiting', message: 'the KMS is away' });
    expect(await jobs.report(`b-${name}`)).toMatchObject({ state: 'Finished' });
  });

  test('of the look at all buckets does not end the jobs', async () => {
    const unavailable = new MetadataError('Unavailable', 'the disk is slow');
    const { jobs, log, waits } = start({ listEveryBucket: () => Promise.reject(unavailable) });
    await jobs.run();
    expect(waits).toEqual([60_000]);
    expect(log).toEqual(['the buckets to re-encrypt could not be read; they are read again later']);
  });

  test.each(['not json', '{}', '[]'])(
    'to read what was written down (%s) is as if nobody had asked',
    async (text) => {
      const bucket = await rotated(store.engine, await encryptedBucket(store.engine, name));
      await store.engine.metadata.putJobState('reencrypt', bucket.bucketUid, text);
      const { jobs } = start();
      await jobs.round();
      await expect(jobs.report(name)).rejects.toMatchObject({ code: 'NoReencryption' });
      expect(await jobs.request(name)).toMatchObject({ olderThan: 2 });
    },
  );

  test('that is a defect ends the run', async () => {
    await rotated(store.engine, await encryptedBucket(store.engine, name));
    const { jobs } = start({ olderVersions: () => Promise.reject(new TypeError('a defect')) });
    await jobs.request(name);
    await expect(jobs.run()).rejects.toThrow('a defect');
  });
});
