import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccessKeyDocument } from '../metadata.ts';
import { MetadataError } from '../metadata.ts';
import { accessKeyOf, codeOf, type Engine, openEngine } from './engine.testkit.ts';

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
