import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openFilesystemBlobsReadOnly } from '../blobs/filesystem.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { newId } from '../crypto/ids.ts';
import { encodePrivate } from '../crypto/record.ts';
import { KmsError } from '../keys/keys.ts';
import type { BucketDocument, NewBody } from '../metadata/metadata.ts';
import {
  accessKeyOf,
  bucketNamed,
  type Engine,
  keyVersionOf,
  openEngine,
  testControlKey,
  versionIn,
} from '../metadata/sqlite/engine.testkit.ts';
import { openSqliteMetadataReadOnly } from '../metadata/sqlite/sqliteMetadata.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { sealVersion } from '../objects/version.ts';
import { describeAccessKeys } from './accessKeys.ts';
import { Verdicts } from './explanation.ts';
import type { Finding, Unchecked } from './findings.ts';
import { Progress } from './progress.ts';
import type { Stores } from './stores.ts';
import { type VerifyScope, verify } from './verify.ts';

interface Result {
  readonly findings: readonly Finding[];
  readonly unchecked: readonly Unchecked[];
  readonly objects: number;
  readonly buckets: number;
  readonly unnamedFiles: unknown;
}

/** Verifies what the engine holds; `change` wraps what verify is given. */
async function verifyEngine(
  engine: Engine,
  scope: Partial<VerifyScope> = {},
  change: (stores: Stores) => Stores = (stores) => stores,
): Promise<Result> {
  const blobsPath = join(engine.folder, 'blobs');
  mkdirSync(blobsPath, { recursive: true });
  const metadata = openSqliteMetadataReadOnly({ path: engine.path, controlKey: testControlKey });
  const away = { bucketKey: () => Promise.reject(new KmsError('Unavailable', 'the KMS is away')) };
  const findings: Finding[] = [];
  const unchecked: Unchecked[] = [];
  try {
    const summary = await verify({
      stores: change({ metadata, blobs: openFilesystemBlobsReadOnly(blobsPath), keys: away, blobsPath }),
      scope: { bucket: null, keyPrefix: Buffer.alloc(0), ...scope },
      progress: new Progress(
        () => 0,
        () => {},
      ),
      found: (finding) => findings.push(finding),
      unchecked: (one) => unchecked.push(one),
    });
    expect(summary).toMatchObject({ findings: findings.length, unchecked: unchecked.length });
    return { ...summary, findings, unchecked };
  } finally {
    await metadata.close();
  }
}

const stored = Buffer.from('abc');
const md5 = createHash('md5').update(stored).digest();
const clearRecord = encodePrivate({
  md5,
  checksums: [],
  contentHeaders: new Map(),
  userMetadata: new Map(),
});
const inline: NewBody & { readonly kind: 'inline' } = { kind: 'inline', stored, salt: null };

async function put(engine: Engine, bucket: BucketDocument, key: string): Promise<void> {
  const version = versionIn(bucket, key, { clearRecord, listEtag: md5 });
  await engine.metadata.commitVersion(version, inline, undefined);
}

/** Sealed under a key that the KMS of the tests never gives. */
async function putSealed(engine: Engine, bucket: BucketDocument, key: string): Promise<void> {
  const record = { md5, checksums: [], contentHeaders: new Map(), userMetadata: new Map() };
  const version = sealVersion(
    {
      bucket,
      key: Buffer.from(key),
      versionId: newId(),
      lastModifiedMs: 1,
      bodyId: newId(),
      size: 3,
      partCount: 0,
      blob: { blobId: 'inline', salt: Buffer.alloc(32) },
      record,
    },
    { dataKey: newDataKey(), bucketKey: newDataKey(), n: 1 },
    { random: randomBytes, listKeys: new ListKeys() },
  );
  await engine.metadata.commitVersion(version, { ...inline, salt: Buffer.alloc(32) }, undefined);
}

async function sealedBucket(engine: Engine, objects: number): Promise<BucketDocument> {
  const bucket = bucketNamed('sealed', { encryption: 'AES256', keyVersion: 1, everPlain: false });
  const kmsKey = { kmsId: '7', keyCheckValue: 'ab'.repeat(8), state: 'Current' } as const;
  await engine.metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid, kmsKey));
  for (let i = 0; i < objects; i += 1) await putSealed(engine, bucket, `object-${i}`);
  return bucket;
}

test('walks through pages of versions, and stops behind the prefix', async () => {
  await using engine = await openEngine();
  const bucket = bucketNamed('many');
  await engine.metadata.createBucket(bucket, null);
  await engine.metadata.createBucket(bucketNamed('other'), null);
  for (let i = 0; i < 150; i += 1) await put(engine, bucket, `${i < 70 ? 'a' : 'b'}-${i}`);
  expect(await verifyEngine(engine)).toMatchObject({ objects: 150, buckets: 2, findings: [], unchecked: [] });
  const part = await verifyEngine(engine, { bucket: 'many', keyPrefix: Buffer.from('b-') });
  expect(part).toMatchObject({ objects: 80, buckets: 1, findings: [], unnamedFiles: null });
  await expect(verifyEngine(engine, { bucket: 'none' })).rejects.toThrow('there is no bucket none');
});

describe('a key that cannot be had', () => {
  test('is told once and asked for once, however many objects hang on it', async () => {
    await using engine = await openEngine();
    await sealedBucket(engine, 5);
    let asked = 0;
    const counting = (stores: Stores): Stores => ({
      ...stores,
      keys: {
        bucketKey: (...args) => {
          asked += 1;
          return stores.keys.bucketKey(...args);
        },
      },
    });
    const { findings, unchecked, objects } = await verifyEngine(engine, {}, counting);
    expect(unchecked).toEqual([{ bucket: 'sealed', keyVersion: 1, reason: 'the KMS is away' }]);
    expect({ findings, objects, asked }).toEqual({ findings: [], objects: 5, asked: 1 });
  });

  test('is a finding when the KMS says that there is none, or that has no row', async () => {
    await using engine = await openEngine();
    const bucket = await sealedBucket(engine, 2);
    const gone = (stores: Stores): Stores => ({
      ...stores,
      keys: { bucketKey: () => Promise.reject(new KmsError('NotFound', 'no such key')) },
    });
    const place = { bucket: 'sealed', keyVersion: 1 };
    expect((await verifyEngine(engine, {}, gone)).findings).toEqual([{ ...place, what: 'no such key' }]);
    engine.edit('DELETE FROM key_version');
    const { findings } = await verifyEngine(engine, {}, gone);
    expect(findings[0]).toEqual({ ...place, what: 'the key version of the bucket has no row' });
    expect(bucket.keyVersion).toBe(1);
  });
});

test('objects under a key version that is out of use are told, and a count that is wrong', async () => {
  await using engine = await openEngine();
  const { bucketUid } = await sealedBucket(engine, 3);
  const away = (stores: Stores): Stores => ({
    ...stores,
    keys: { bucketKey: () => Promise.reject(new KmsError('Unavailable', 'away')) },
  });
  expect((await verifyEngine(engine, {}, away)).findings).toEqual([]);
  engine.edit('UPDATE key_usage SET versions = versions - 1, uploads = 1');
  const row = await engine.metadata.keyVersion(bucketUid, 1);
  if (row === null) throw new Error('no key version');
  await engine.metadata.putKeyVersion({ ...row, revision: row.revision + 1, state: 'Revoked' });
  const place = { bucket: 'sealed', keyVersion: 1 };
  const retired = '3 objects and 0 uploads are under a key version that is Revoked';
  const miscounted = '2 objects and 1 uploads are said to be under the key version, there are 3 and 0';
  expect((await verifyEngine(engine, {}, away)).findings).toEqual([
    { ...place, what: `${retired}; ${miscounted}` },
  ]);
});

describe('beside a data plane that writes', () => {
  test('an object that was replaced or deleted between two looks is no finding', async () => {
    await using engine = await openEngine();
    const bucket = bucketNamed('busy');
    await engine.metadata.createBucket(bucket, null);
    for (const key of ['gone', 'replaced', 'damaged']) await put(engine, bucket, key);
    engine.edit('UPDATE inline_body SET stored = zeroblob(3)');
    let looked = false;
    const racing = (stores: Stores): Stores => ({
      ...stores,
      metadata: {
        ...stores.metadata,
        versions: async (query) => {
          const page = await stores.metadata.versions(query);
          if (!looked) {
            looked = true;
            await engine.metadata.deleteObject(bucket.name, bucket.bucketUid, Buffer.from('gone'), undefined);
            await put(engine, bucket, 'replaced');
          }
          return page;
        },
      },
    });
    const { findings } = await verifyEngine(engine, { bucket: 'busy' }, racing);
    expect(findings.map(({ key, what }) => [Buffer.from(key ?? '').toString(), what])).toEqual([
      ['damaged', 'the body does not match its MD5'],
    ]);
  });

  test('a bucket that was deleted meanwhile is no finding', async () => {
    await using engine = await openEngine();
    const bucket = bucketNamed('brief');
    await engine.metadata.createBucket(bucket, null);
    const racing = (stores: Stores): Stores => ({
      ...stores,
      metadata: {
        ...stores.metadata,
        usageEntry: async (bucketUid) => {
          await engine.metadata.deleteBucket(bucket.name, bucketUid);
          return stores.metadata.usageEntry(bucketUid);
        },
      },
    });
    expect((await verifyEngine(engine, {}, racing)).findings).toEqual([]);
  });
});

describe('access keys', () => {
  test('are told whose rows were edited, when everything is looked at, with the place of each', async () => {
    await using engine = await openEngine();
    const bucket = bucketNamed('bucket');
    await engine.metadata.createBucket(bucket, null);
    const ids = Array.from({ length: 70 }, (_, n) => `SGTEAMAREPORTS${String(n).padStart(2, '0')}`);
    for (const id of ids) await engine.metadata.putAccessKey(accessKeyOf(id));
    expect((await verifyEngine(engine)).findings).toEqual([]);
    engine.edit("UPDATE access_key SET owner = 'team-b/x' WHERE access_key_id = 'SGTEAMAREPORTS03'");
    engine.edit("UPDATE access_key SET control_mac = zeroblob(32) WHERE access_key_id = 'SGTEAMAREPORTS69'");
    expect((await verifyEngine(engine)).findings).toEqual([
      { accessKeyId: 'SGTEAMAREPORTS03', what: 'an access_key row stands under another owner' },
      { accessKeyId: 'SGTEAMAREPORTS69', what: 'a access_key row is not authentic' },
    ]);
    expect((await verifyEngine(engine, { bucket: 'bucket' })).findings).toEqual([]);
  });

  test('are shown by inspect with their grants, and a row that was edited as such', async () => {
    await using engine = await openEngine();
    await engine.metadata.putAccessKey(accessKeyOf('SGTEAMAREPORTS01'));
    await engine.metadata.putAccessKey(accessKeyOf('SGTEAMAREPORTS02'));
    engine.edit("UPDATE access_key SET control_mac = zeroblob(32) WHERE access_key_id = 'SGTEAMAREPORTS02'");
    const verdicts = new Verdicts();
    expect(await describeAccessKeys(engine, verdicts)).toEqual([
      {
        accessKeyId: 'SGTEAMAREPORTS01',
        owner: 'team-a/reports',
        expiresMs: null,
        grants: [{ bucket: 'reports', prefix: '', permissions: 'read' }],
      },
      { accessKeyId: 'SGTEAMAREPORTS02', controlMac: expect.stringContaining('not authentic') },
    ]);
    expect(verdicts.wrong).toHaveLength(1);
  });
});

describe('rows that do not fit together', () => {
  test.each([
    ["UPDATE bucket SET owner_id = 'somebody'", 'a bucket row stands under another owner'],
    ['DELETE FROM bucket_usage', 'the bucket has no usage row'],
    ['DELETE FROM bucket', 'which no bucket has'],
    ['UPDATE object_version SET body_no = 99', 'a version has no body'],
    ['UPDATE body SET refs = 2', 'counts 2 references, 1 versions name it'],
  ])('%s', async (sql, what) => {
    await using engine = await openEngine();
    const bucket = bucketNamed('bucket');
    await engine.metadata.createBucket(bucket, null);
    await put(engine, bucket, 'key');
    engine.edit(sql);
    const { findings } = await verifyEngine(engine);
    expect(findings).toEqual([expect.objectContaining({ what: expect.stringContaining(what) })]);
  });

  test('rows that cannot be read end the bucket, not the run', async () => {
    await using engine = await openEngine();
    for (const name of ['a', 'b']) {
      const bucket = bucketNamed(name);
      await engine.metadata.createBucket(bucket, null);
      await put(engine, bucket, 'key');
    }
    engine.edit(
      "UPDATE object_version SET last_modified_ms = 9223372036854775807 WHERE bucket_uid = (SELECT bucket_uid FROM bucket WHERE name = 'a')",
    );
    const { findings, buckets } = await verifyEngine(engine);
    expect(findings).toEqual([{ bucket: 'a', what: 'a metadata row is out of range' }]);
    expect(buckets).toBe(2);
  });
});

test('files without a row are counted by whose they are', async () => {
  await using engine = await openEngine();
  const blobs = join(engine.folder, 'blobs');
  const [dead, newest, foreign] = [newId(), newId(), newId()];
  engine.edit('INSERT INTO incarnation VALUES (?, 1)', dead);
  engine.edit('INSERT INTO incarnation VALUES (?, ?)', newest, Date.now() + 1_000_000);
  for (const [incarnation, files] of [
    [dead, 300],
    [newest, 2],
    [foreign, 1],
  ] as const) {
    mkdirSync(join(blobs, incarnation), { recursive: true });
    for (let i = 0; i < files; i += 1) writeFileSync(join(blobs, incarnation, newId()), '');
  }
  expect(await verifyEngine(engine)).toMatchObject({
    findings: [],
    unnamedFiles: { collectable: 300, inFlight: 2, foreign: 1 },
  });
  rmSync(blobs, { recursive: true });
});
