/** Objects under a new data key look to clients as before; what opened them before opens nothing any more. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDataKey } from '../crypto/dataKey.ts';
import { type BucketDocument, type Metadata, MetadataError } from '../metadata/metadata.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { createEncryptedBucket, rotate, rotateAndRetire, TestKeys } from '../s3/rotation.testkit.ts';
import {
  head,
  openTestStore,
  startTestServer,
  type TestServer,
  type TestStore,
  unavailableKeys,
  Wire,
} from '../s3/server.testkit.ts';
import { type ReencryptOptions, reencryptSlice, type SliceOutcome } from './reencrypt.ts';
import { loadReencryptState, saveReencryptState } from './reencryptState.ts';

const LARGE = 'x'.repeat(2_500_000);
const SMALL = 'small';
const PART = 'p'.repeat(5 * 1024 * 1024);
const REST = 'end';
const md5 = (text: string) => createHash('md5').update(text);

const keys = new TestKeys();
let store: TestStore;
let server: TestServer;
let name = '';
let buckets = 0;

beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(async () => {
  buckets += 1;
  name = `sealed-${buckets}`;
  await createEncryptedBucket(store.engine.metadata, keys, name);
  server = await startTestServer(store, {}, (services) => ({
    ...services,
    keys: keys.provider(services.keys),
  }));
});
afterEach(() => server[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

async function ask(
  method: string,
  key: string,
  request: {
    readonly headers?: readonly (readonly [string, string])[];
    readonly query?: string;
    readonly body?: string;
  } = {},
): Promise<Answer> {
  const { headers = [], query = '', body = '' } = request;
  const wire = new Wire(server.port);
  const all = [...headers, ['content-length', String(body.length)], ['connection', 'close']] as const;
  wire.send(head(method, `/${name}/${key}`, all, query) + body);
  const text = await wire.end();
  const end = text.indexOf('\r\n\r\n');
  const lines = text.slice(0, end).split('\r\n');
  const varying = /^(date|x-amz-request-id|x-amz-id-2):/i;
  return {
    status: Number(text.slice(9, 12)),
    headers: lines.filter((line) => !varying.test(line)),
    body: text.slice(end + 4).replace(/<(RequestId|HostId)>.*?<\/\1>/g, ''),
  };
}

async function upload(key: string, complete: boolean): Promise<() => Promise<Answer>> {
  const { body } = await ask('POST', key, {
    query: 'uploads=',
    headers: [['x-amz-meta-kind', 'parts']],
  });
  const uploadId = /<UploadId>(.*?)<\/UploadId>/.exec(body)?.[1] ?? '';
  const etags = [PART, PART, REST].map((text) => md5(text).digest('hex'));
  for (const [index, text] of [PART, PART, REST].entries()) {
    const query = `partNumber=${index + 1}&uploadId=${uploadId}`;
    expect(await ask('PUT', key, { query, body: text })).toMatchObject({ status: 200 });
  }
  const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  const document = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
  const finish = () => ask('POST', key, { query: `uploadId=${uploadId}`, body: document });
  if (complete) expect(await finish()).toMatchObject({ status: 200 });
  return finish;
}

async function bucketNow(): Promise<BucketDocument> {
  const bucket = await store.engine.metadata.bucket(name);
  if (bucket === null) throw new Error('no bucket');
  return bucket;
}

/** What the job needs; time stands still unless a test moves it. */
function options(changes: Partial<ReencryptOptions> = {}): ReencryptOptions {
  return {
    metadata: store.engine.metadata,
    blobs: store.blobs,
    keys: keys.provider(unavailableKeys),
    tools: { random: randomBytes, listKeys: new ListKeys() },
    clock: { wallMs: () => 77, steadyMs: () => 0, wait: () => Promise.resolve() },
    damaged: () => undefined,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** Asks for what is older than the bucket's current key version. */
async function request(): Promise<void> {
  const { bucketUid, keyVersion } = await bucketNow();
  await saveReencryptState(store.engine.metadata, bucketUid, {
    target: keyVersion ?? 0,
    requestedMs: 1,
    finishedMs: null,
    after: null,
    damaged: 0,
    damagedBefore: 0,
    versions: 0,
    bytes: 0,
  });
}

const run = async (changes: Partial<ReencryptOptions> = {}): Promise<SliceOutcome> =>
  await reencryptSlice(options(changes), await bucketNow(), 10_000);

const stateNow = async () => loadReencryptState(store.engine.metadata, (await bucketNow()).bucketUid);

/** Data keys of all objects, in hex, and the blobs and body of each. */
async function secrets(names: readonly string[]) {
  const { bucketUid } = await bucketNow();
  const found = [];
  for (const key of names) {
    const pinned = await store.engine.metadata.currentVersion(bucketUid, Buffer.from(key));
    pinned?.release();
    const descriptor = pinned?.version.descriptor;
    if (pinned === null || !descriptor) throw new Error(`no sealed object ${key}`);
    const { versionId: id, bodyId, lastModifiedMs, seq } = pinned.version;
    const { n } = descriptor;
    const row = await store.engine.metadata.keyVersion(bucketUid, n);
    const binding = { purpose: 'object', bucketUid, objectKey: Buffer.from(key), id, n } as const;
    const dataKey = openDataKey(keys.of(row?.kmsId ?? null), binding, descriptor)
      .export()
      .toString('hex');
    found.push({ key, n, dataKey, bodyId, id, lastModifiedMs, seq });
  }
  return found;
}

/** What clients can see of all objects. */
async function views(names: readonly string[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const key of names) {
    answers.push(await ask('HEAD', key, { headers: [['x-amz-checksum-mode', 'ENABLED']] }));
    answers.push(await ask('GET', key));
    answers.push(await ask('GET', key, { headers: [['range', 'bytes=1-3']] }));
  }
  answers.push(await ask('GET', 'parts', { query: 'partNumber=2' }));
  answers.push(await ask('GET', '', { query: 'list-type=2' }));
  return answers;
}

describe('every version of a bucket', () => {
  const names = ['copy', 'empty', 'large', 'parts', 'small'];

  it('gets a new data key and new blobs, and clients see the same as before', async () => {
    const meta = ['x-amz-meta-colour', 'blue'] as const;
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32(LARGE));
    const checksum = ['x-amz-checksum-crc32', crc.toString('base64')] as const;
    expect(await ask('PUT', 'large', { body: LARGE, headers: [meta, checksum] })).toMatchObject({
      status: 200,
    });
    await ask('PUT', 'small', { body: SMALL, headers: [meta, ['content-type', 'text/x-small']] });
    await ask('PUT', 'empty');
    await ask('PUT', 'copy', { headers: [['x-amz-copy-source', `${name}/large`]] });
    await upload('parts', true);
    await rotateAndRetire(store.engine.metadata, keys, name);
    const before = await secrets(names);
    const seen = await views(names);
    const range = [200, 200, 206];
    // The empty object has no range; last come the part and the listing.
    expect(seen.map(({ status }) => status)).toEqual([
      ...range,
      200,
      200,
      416,
      ...range,
      ...range,
      ...range,
      206,
      200,
    ]);
    const { blobFiles } = store.contents();
    expect(before.map(({ n }) => n)).toEqual([2, 2, 2, 2, 2]);

    await request();
    expect(await run()).toBe('finished');
    const after = await secrets(names);
    for (const [index, old] of before.entries()) {
      const { dataKey, bodyId, ...same } = after[index] ?? {};
      expect(same).toEqual({
        key: old.key,
        n: old.n,
        id: old.id,
        lastModifiedMs: old.lastModifiedMs,
        seq: old.seq,
      });
      expect(dataKey).not.toBe(old.dataKey);
      expect(bodyId).not.toBe(old.bodyId);
    }
    expect(new Set(after.map(({ dataKey }) => dataKey)).size).toBe(5);
    expect(await views(names)).toEqual(seen);
    const { bucketUid } = await bucketNow();
    expect(await store.engine.metadata.olderDataKeys(bucketUid, 2)).toEqual({ versions: 0, uploads: 0 });
    expect(Object.fromEntries(await store.engine.metadata.keyUses(bucketUid))).toMatchObject({
      2: { versions: 5, uploads: 0 },
    });
    // Old files wait for the collector: one of large and its copy, three parts. New ones: two, three.
    expect(store.contents().blobFiles.length - blobFiles.length).toBe(5);
    expect(await stateNow()).toMatchObject({ finishedMs: 77, versions: 5, damagedBefore: 0 });
    const garbage = new Set(store.engine.rows(`SELECT id FROM garbage`).map(({ id }) => id));
    for (const old of before.filter(({ key }) => key === 'large' || key === 'parts'))
      expect(garbage).toContain(old.bodyId);
  });

  it('also where nothing was re-sealed since the rotation', async () => {
    await ask('PUT', 'old', { body: LARGE });
    await rotate(store.engine.metadata, keys, name);
    await ask('PUT', 'new', { body: SMALL });
    const before = await secrets(['old', 'new']);
    expect(before.map(({ n }) => n)).toEqual([1, 2]);
    await request();
    expect(await run()).toBe('finished');
    const after = await secrets(['old', 'new']);
    expect(after.map(({ n }) => n)).toEqual([2, 2]);
    expect(after[0]?.dataKey).not.toBe(before[0]?.dataKey);
    // Its data key was never sealed under the old version.
    expect(after[1]).toEqual(before[1]);
    expect(await ask('GET', 'old')).toMatchObject({ status: 200, body: LARGE });
  });
});

it('an upload that is open keeps its data key; its object is written anew once it is complete', async () => {
  const finish = await upload('parts', false);
  await rotateAndRetire(store.engine.metadata, keys, name);
  await request();
  expect(await run()).toBe('left');
  expect(await stateNow()).toMatchObject({ finishedMs: null });
  expect(await finish()).toMatchObject({ status: 200 });
  const [before] = await secrets(['parts']);
  expect(before?.n).toBe(2);
  expect(await run()).toBe('finished');
  const [after] = await secrets(['parts']);
  expect(after?.dataKey).not.toBe(before?.dataKey);
  expect(await ask('GET', 'parts')).toMatchObject({ status: 200, body: PART + PART + REST });
});

it('a copy by reference that is made meanwhile is as old as its source, and is found', async () => {
  await ask('PUT', 'm', { body: LARGE });
  await rotateAndRetire(store.engine.metadata, keys, name);
  await request();
  let copied = false;
  const { metadata } = store.engine;
  const copying: Metadata = {
    ...metadata,
    replaceBody: async (...replacement) => {
      // Behind the place where the job is.
      if (!copied) await ask('PUT', 'a', { headers: [['x-amz-copy-source', `${name}/m`]] });
      copied = true;
      return await metadata.replaceBody(...replacement);
    },
  };
  expect(await run({ metadata: copying })).toBe('left');
  const [old] = await secrets(['a']);
  expect(await run()).toBe('finished');
  const [again] = await secrets(['a']);
  expect(again?.dataKey).not.toBe(old?.dataKey);
  expect(await ask('GET', 'a')).toMatchObject({ status: 200, body: LARGE });
});

it.each([
  ['overwritten', () => ask('PUT', 'raced', { body: SMALL }), SMALL],
  ['deleted', () => ask('DELETE', 'raced'), null],
] as const)(
  'an object that is %s while it is written anew stays so, and nothing is left of the other',
  async (_, race, body) => {
    await ask('PUT', 'raced', { body: LARGE });
    await rotateAndRetire(store.engine.metadata, keys, name);
    await request();
    const { metadata } = store.engine;
    const racing: Metadata = {
      ...metadata,
      replaceBody: async (...replacement) => {
        await race();
        return await metadata.replaceBody(...replacement);
      },
    };
    const files = store.contents().blobFiles.length;
    expect(await run({ metadata: racing })).toBe('finished');
    expect(store.contents().blobFiles).toHaveLength(files);
    expect(await stateNow()).toMatchObject({ versions: 0 });
    const answer = await ask('GET', 'raced');
    if (body === null) expect(answer.status).toBe(404);
    else expect(answer).toMatchObject({ status: 200, body });
  },
);

it('an object whose bytes do not verify is told and stays; all others are written anew', async () => {
  const files = new Set(store.contents().blobFiles);
  await ask('PUT', 'bad', { body: LARGE });
  const [blobId = ''] = store.contents().blobFiles.filter((file) => !files.has(file));
  await ask('PUT', 'good', { body: LARGE });
  await rotateAndRetire(store.engine.metadata, keys, name);
  const path = join(store.engine.folder, 'blobs', store.engine.incarnation, blobId);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(1_500_000) ^ 1, 1_500_000);
  writeFileSync(path, bytes);
  await request();
  const before = store.contents().blobFiles.length;
  const told: string[] = [];
  const damaged: ReencryptOptions['damaged'] = ({ versionId }) => told.push(versionId);
  const [bad] = await secrets(['bad']);
  expect(await run({ damaged })).toBe('left');
  expect(told).toEqual([bad?.id]);
  expect(await stateNow()).toMatchObject({ finishedMs: null, versions: 1, damagedBefore: 1 });
  expect(store.contents().blobFiles).toHaveLength(before + 1);
  expect(await secrets(['bad'])).toEqual([bad]);
  await ask('DELETE', 'bad');
  expect(await run()).toBe('finished');
});

it('ends inside of an object when it is told to, leaves nothing half, and goes on later', async () => {
  await ask('PUT', 'a', { body: SMALL });
  await ask('PUT', 'b', { body: LARGE });
  await rotateAndRetire(store.engine.metadata, keys, name);
  await request();
  const [, old] = await secrets(['a', 'b']);
  const before = store.contents().blobFiles.length;
  const ending = new AbortController();
  let waits = 0;
  const clock = {
    ...options().clock,
    // The first rests are of the small object; then in the middle of the large one.
    wait: () => {
      waits += 1;
      if (waits === 4) ending.abort();
      return Promise.resolve();
    },
  };
  expect(await run({ clock, signal: ending.signal })).toBe('more');
  expect(store.contents().blobFiles).toHaveLength(before);
  expect(await secrets(['b'])).toEqual([old]);
  expect((await stateNow())?.versions).toBe(1);
  expect(await run()).toBe('finished');
  expect((await stateNow())?.versions).toBe(2);
});

it('goes on from where a slice ended, and rests as long as it works', async () => {
  for (const key of ['a', 'b', 'c', 'd']) await ask('PUT', key, { body: SMALL });
  await rotateAndRetire(store.engine.metadata, keys, name);
  await request();
  let nowMs = 0;
  const rests: number[] = [];
  const clock = {
    wallMs: () => 77,
    // Each look at the clock is 5 ms later: the work of a step.
    steadyMs: () => (nowMs += 5),
    wait: (waitMs: number) => {
      rests.push(waitMs);
      nowMs += waitMs;
      return Promise.resolve();
    },
  };
  const outcomes: SliceOutcome[] = [];
  while (outcomes.at(-1) !== 'finished' && outcomes.length < 20)
    outcomes.push(await reencryptSlice(options({ clock }), await bucketNow(), 20));
  expect(outcomes.length).toBeGreaterThan(2);
  expect(outcomes.at(-1)).toBe('finished');
  expect((await stateNow())?.versions).toBe(4);
  expect(Math.min(...rests)).toBeGreaterThanOrEqual(5);
});

it('that nobody asked for, and one that is finished, do nothing', async () => {
  await ask('PUT', 'a', { body: SMALL });
  await rotateAndRetire(store.engine.metadata, keys, name);
  const before = await secrets(['a']);
  expect(await run()).toBe('finished');
  expect(await secrets(['a'])).toEqual(before);
});

it.each([
  ['NoSpace', 0],
  ['Unavailable', 1],
] as const)(
  'a commit that fails as %s leaves %i files that only the collector may judge',
  async (code, left) => {
    await ask('PUT', 'a', { body: LARGE });
    await rotateAndRetire(store.engine.metadata, keys, name);
    await request();
    const before = store.contents().blobFiles.length;
    const failing: Metadata = {
      ...store.engine.metadata,
      replaceBody: () => Promise.reject(new MetadataError(code, 'failed')),
    };
    await expect(run({ metadata: failing })).rejects.toThrow('failed');
    expect(store.contents().blobFiles).toHaveLength(before + left);
    expect(await run()).toBe('finished');
  },
);
