import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../crypto/ids.ts';
import type { AccessKeyDocument, BucketDocument } from '../metadata.ts';
import { MetadataError } from '../metadata.ts';
import {
  accessKeyOf,
  bucketNamed,
  codeOf,
  type Engine,
  inlineBody,
  openEngine,
  versionIn,
} from './engine.testkit.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
beforeEach(() => {
  engine.edit('DELETE FROM access_key');
});

const ID = 'SGTEAMAREPORTS01';
const put = async (id: string, changes: Partial<AccessKeyDocument> = {}) => {
  await engine.metadata.putAccessKey(accessKeyOf(id, changes));
};
/** Like codeOf, for the read that answers at once. */
const codeOfRead = (): unknown => {
  try {
    return engine.metadata.accessKey(ID);
  } catch (error) {
    return error instanceof MetadataError ? error.code : error;
  }
};

describe('an access key', () => {
  test('is read at once by every client after its write was answered, and is gone for all of them after its deletion', async () => {
    const other = engine.connect();
    expect([engine.metadata.accessKey(ID), other.accessKey(ID)]).toEqual([null, null]);
    await put(ID);
    expect(other.accessKey(ID)).toEqual(accessKeyOf(ID));
    expect(await engine.metadata.deleteAccessKey(ID, 0)).toBe(true);
    expect([engine.metadata.accessKey(ID), other.accessKey(ID)]).toEqual([null, null]);
    expect(await engine.metadata.deleteAccessKey(ID, 0)).toBe(false);
    expect(await engine.metadata.deleteAccessKey(ID, null)).toBe(false);
  });

  test('is the same object as long as its row is what it was, and another one after any change', async () => {
    await put(ID);
    const read = engine.metadata.accessKey(ID);
    expect(engine.metadata.accessKey(ID)).toBe(read);
    await put(ID, { revision: 1, expiresMs: 5 });
    expect(engine.metadata.accessKey(ID)).toEqual(accessKeyOf(ID, { revision: 1, expiresMs: 5 }));
    await engine.metadata.deleteAccessKey(ID, 1);
    await put(ID);
    expect(engine.metadata.accessKey(ID)).toEqual(read);
    expect(engine.metadata.accessKey(ID)).not.toBe(read);
  });

  test('is replaced and deleted by its revision only', async () => {
    await put(ID);
    expect(await codeOf(put(ID))).toBe('Conflict');
    expect(await codeOf(put(ID, { revision: 2 }))).toBe('Conflict');
    expect(await codeOf(put('SGTEAMAREPORTS02', { revision: 1 }))).toBe('Conflict');
    expect(await codeOf(engine.metadata.deleteAccessKey(ID, 1))).toBe('Conflict');
    expect(engine.metadata.accessKey(ID)).toEqual(accessKeyOf(ID));
  });

  test('keeps fields that this build does not know', async () => {
    await engine.metadata.putAccessKey({ ...accessKeyOf(ID), quota: 3 } as AccessKeyDocument);
    await put(ID, { revision: 1 });
    const [row] = engine.rows('SELECT document FROM access_key');
    expect(JSON.parse(Buffer.from(row?.['document'] as Uint8Array).toString())).toMatchObject({
      revision: 1,
      quota: 3,
    });
  });

  test.each([
    [
      'an edited document',
      `UPDATE access_key SET document = CAST(replace(CAST(document AS TEXT), 'read', 'list') AS BLOB)`,
    ],
    ['an edited MAC', 'UPDATE access_key SET control_mac = zeroblob(32)'],
    ["another access key's row", `UPDATE access_key SET access_key_id = '${ID}'`],
  ])(
    'with %s is Integrity for readers and writers, and goes only when nobody claims to own it',
    async (what, sql) => {
      await put(what.startsWith('another') ? 'SGTEAMAREPORTS02' : ID);
      expect(engine.edit(sql)).toBe(1);
      expect(codeOfRead()).toBe('Integrity');
      expect(await codeOf(put(ID, { revision: 1 }))).toBe('Integrity');
      expect(await codeOf(engine.metadata.deleteAccessKey(ID, 0))).toBe('Integrity');
      expect(await engine.metadata.deleteAccessKey(ID, null)).toBe(true);
    },
  );
});

describe('when a bucket leaves its owner', () => {
  const OWNER = 'team-a/reports';
  const grant = (bucket: string, prefix = '') => ({ bucket, prefix, permissions: ['read' as const] });
  let bucket: BucketDocument;
  beforeEach(async () => {
    bucket = bucketNamed(`reports-${newId()}`, { owner: OWNER });
    await engine.metadata.createBucket(bucket, null);
  });
  const next = (changes: Partial<BucketDocument>) => ({
    ...bucket,
    ...changes,
    revision: bucket.revision + 1,
  });
  const grantsOf = (id: string) => engine.metadata.accessKey(id)?.grants;
  const removable = { state: 'Ready', owner: OWNER } as const;

  test.each([
    ['to another', () => engine.metadata.updateBucket(next({ owner: 'team-b/reports' }))],
    ['to nobody', () => engine.metadata.updateBucket(next({ owner: null }))],
    ['because it is removed', () => engine.metadata.deleteBucket(bucket.name, bucket.bucketUid, removable)],
  ])(
    '%s, the keys of that owner lose their grants on it, and those without another end',
    async (_, leave) => {
      const other = grant('elsewhere', 'a/');
      await put('SGTEAMAREPORTS01', { grants: [grant(bucket.name)] });
      await put('SGTEAMAREPORTS02', { grants: [grant(bucket.name), other, grant(bucket.name, 'b/')] });
      await put('SGTEAMAREPORTS03', { grants: [other] });
      await put('SGTEAMBREPORTS01', { owner: 'team-b/reports', grants: [grant(bucket.name)] });
      const client = engine.connect();
      expect(client.accessKey('SGTEAMAREPORTS02')?.grants).toHaveLength(3);
      await leave();
      expect(client.accessKey('SGTEAMAREPORTS01')).toBeNull();
      expect(client.accessKey('SGTEAMAREPORTS02')).toMatchObject({ revision: 1, grants: [other] });
      expect(client.accessKey('SGTEAMAREPORTS03')).toMatchObject({ revision: 0, grants: [other] });
      expect(client.accessKey('SGTEAMBREPORTS01')).toMatchObject({ revision: 0 });
    },
  );

  test('none comes after, where only keys for own buckets are wished for', async () => {
    const ofBucket = (names: readonly string[], owner = OWNER) =>
      accessKeyOf(ID, { owner, grants: names.map((name) => grant(name)) });
    const refused = async (key: AccessKeyDocument) => await codeOf(engine.metadata.putAccessKey(key, true));
    expect(await refused(ofBucket([bucket.name], 'team-b/reports'))).toBe('Conflict');
    expect(await refused(ofBucket([bucket.name, 'nowhere']))).toBe('Conflict');
    await engine.metadata.putAccessKey(ofBucket([bucket.name]), true);
    await engine.metadata.updateBucket(next({ owner: 'team-b/reports' }));
    expect(await refused(ofBucket([bucket.name]))).toBe('Conflict');
    expect(grantsOf(ID)).toBeUndefined();
    await engine.metadata.putAccessKey(ofBucket([bucket.name]));
    expect(grantsOf(ID)).toEqual([grant(bucket.name)]);
  });

  test('they stay while it only changes, and when the change is refused', async () => {
    await put(ID, { grants: [grant(bucket.name)] });
    await engine.metadata.updateBucket(next({ rotateEveryMs: 5 }));
    expect(await codeOf(engine.metadata.updateBucket(next({ owner: 'team-b/reports' })))).toBe('Conflict');
    await engine.metadata.commitVersion(versionIn(bucket, 'a'), inlineBody, undefined);
    const removal = engine.metadata.deleteBucket(bucket.name, bucket.bucketUid, removable);
    expect(await codeOf(removal)).toBe('NotEmpty');
    expect(grantsOf(ID)).toEqual([grant(bucket.name)]);
  });

  test('a key whose row was edited keeps nobody from it, and is not used', async () => {
    await put(ID, { grants: [grant(bucket.name)] });
    engine.edit('UPDATE access_key SET control_mac = zeroblob(32)');
    await engine.metadata.updateBucket(next({ owner: 'team-b/reports' }));
    expect(codeOfRead()).toBe('Integrity');
  });
});

describe('a list of access keys', () => {
  test('goes by id in pages, of one owner or of all', async () => {
    for (const n of [3, 1, 2]) await put(`SGTEAMAREPORTS0${n}`);
    await put('SGTEAMBREPORTS01', { owner: 'team-b/reports' });
    const ids = async (owner: string | null, after: string, limit: number) =>
      (await engine.metadata.listAccessKeys({ owner, after, limit })).map(({ accessKeyId }) => accessKeyId);
    expect(await ids('team-a/reports', '', 2)).toEqual(['SGTEAMAREPORTS01', 'SGTEAMAREPORTS02']);
    expect(await ids('team-a/reports', 'SGTEAMAREPORTS02', 2)).toEqual(['SGTEAMAREPORTS03']);
    expect(await ids(null, 'SGTEAMAREPORTS03', 9)).toEqual(['SGTEAMBREPORTS01']);
    expect(await ids('team-c/reports', '', 9)).toEqual([]);
  });

  test('tells a row that was edited, or moved to another owner, beside the others', async () => {
    await put(ID);
    await put('SGTEAMAREPORTS02');
    await put('SGTEAMAREPORTS03', { owner: 'team-b/reports' });
    engine.edit(`UPDATE access_key SET control_mac = zeroblob(32) WHERE access_key_id = '${ID}'`);
    engine.edit("UPDATE access_key SET owner = 'team-a/reports'");
    const found = await engine.metadata.listAccessKeys({ owner: 'team-a/reports', after: '', limit: 9 });
    expect(found.map(({ accessKey }) => accessKey instanceof MetadataError && accessKey.code)).toEqual([
      'Integrity',
      false,
      'Integrity',
    ]);
  });
});
