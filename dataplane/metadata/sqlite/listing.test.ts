import type { SQLInputValue } from 'node:sqlite';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListObjectsQuery } from '../metadata.ts';
import { BucketReads } from './bucketReads.ts';
import { openReaderConnection } from './connection.ts';
import { ControlRows } from './controlRows.ts';
import {
  bucketNamed,
  type Engine,
  inlineBody,
  openEngine,
  testControlKey,
  uploadIn,
  versionIn,
} from './engine.testkit.ts';
import { type Source, walkGroups } from './groupedListing.ts';
import { afterKey, afterPrefix, commonPrefix } from './keyRanges.ts';
import { ObjectReads } from './objectReads.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await openEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

/** Bytes that collide often, with delimiters, control characters and the ends of the range. */
const keyByte = fc.constantFrom(0x00, 0x01, 0x2f, 0x61, 0x62, 0xfe, 0xff);
const key = fc
  .uint8Array({ minLength: 1, maxLength: 5 })
  .chain(({ length }) =>
    fc.array(keyByte, { minLength: length, maxLength: length }).map((bytes) => Uint8Array.from(bytes)),
  );
const prefix = fc.array(keyByte, { maxLength: 2 }).map((bytes) => Uint8Array.from(bytes));
const delimiter = fc.constantFrom(null, Uint8Array.of(0x2f), Uint8Array.of(0xff), Uint8Array.of(0x61, 0x62));

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** What a listing is, said without ranges: every key with the prefix, groups folded, in bytewise order. */
function model(keys: readonly Uint8Array[], query: ListObjectsQuery): string[] {
  const names = new Set<string>();
  for (const each of keys) {
    if (!hex(each).startsWith(hex(query.prefix))) continue;
    const group = commonPrefix(each, query.prefix, query.delimiter);
    const name = group ?? each;
    if (Buffer.compare(name, query.after) > 0) names.add(`${group === null ? 'key' : 'group'} ${hex(name)}`);
  }
  return [...names].sort((a, b) => (a.split(' ')[1] ?? '').localeCompare(b.split(' ')[1] ?? ''));
}

async function listing(query: ListObjectsQuery): Promise<{ names: string[]; next: Uint8Array | null }> {
  const page = await engine.metadata.listObjects(query);
  const names = [
    ...page.objects.map((object) => `key ${hex(object.key)}`),
    ...page.commonPrefixes.map((group) => `group ${hex(group)}`),
  ].sort((a, b) => (a.split(' ')[1] ?? '').localeCompare(b.split(' ')[1] ?? ''));
  return { names, next: page.next };
}

let buckets = 0;

async function bucketWith(keys: readonly Uint8Array[]) {
  buckets += 1;
  const bucket = bucketNamed(`listing-${buckets}`);
  await engine.metadata.createBucket(bucket, null);
  await Promise.all(
    keys.map((each) => engine.metadata.commitVersion(versionIn(bucket, each), inlineBody, undefined)),
  );
  return bucket;
}

describe('listing objects', () => {
  test('agrees with its model for any keys, prefix, delimiter, start and limit, page by page', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 40, selector: hex }),
        fc.array(
          fc.record({
            prefix,
            delimiter,
            after: fc.oneof(prefix, key),
            limit: fc.integer({ min: 1, max: 7 }),
          }),
          {
            minLength: 10,
            maxLength: 10,
          },
        ),
        async (keys, queries) => {
          const { bucketUid } = await bucketWith(keys);
          for (const fields of queries) {
            const query = { ...fields, bucketUid };
            const expected = model(keys, query);
            const first = await listing(query);
            expect(first.names).toEqual(expected.slice(0, query.limit));
            expect(first.next === null).toBe(expected.length <= query.limit);
            const all: string[] = [...first.names];
            for (let { next } = first; next !== null; ) {
              const page = await listing({ ...query, after: next });
              all.push(...page.names);
              next = page.next;
            }
            expect(all).toEqual(expected);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test('returns what a listing shows', async () => {
    const bucket = bucketNamed('shown');
    await engine.metadata.createBucket(bucket, null);
    const version = versionIn(bucket, 'a\u0001/ü', { etagParts: 3, size: 99, lastModifiedMs: 1234 });
    await engine.metadata.commitVersion(version, inlineBody, undefined);
    const nothing = new Uint8Array(0);
    const query = { bucketUid: bucket.bucketUid, prefix: nothing, delimiter: null, after: nothing, limit: 5 };
    expect((await engine.metadata.listObjects(query)).objects).toEqual([
      {
        key: new Uint8Array(version.key),
        versionId: version.versionId,
        size: 99,
        lastModifiedMs: 1234,
        etag: version.listEtag,
        etagParts: 3,
        n: null,
        wrapSalt: null,
      },
    ]);
  });

  test('shows one snapshot, whatever is committed between its steps', async () => {
    const bucket = await bucketWith(
      ['a/1', 'b', 'c', 'd/1', 'e', 'f', 'g', 'h'].map((name) => Buffer.from(name)),
    );
    const db = openReaderConnection(engine.path);
    const prepare = db.prepare.bind(db);
    let steps = 0;
    // After every step of the walk a row behind it goes away.
    db.prepare = (sql) => {
      const statement = prepare(sql);
      const all = statement.all.bind(statement);
      return Object.assign(statement, {
        all: (...values: SQLInputValue[]) => {
          const rows = all(...values);
          steps += 1;
          engine.edit(
            'DELETE FROM object_current WHERE bucket_uid = ? AND CAST(key AS TEXT) > ?',
            bucket.bucketUid,
            'd',
          );
          return rows;
        },
      });
    };
    const objects = new ObjectReads(db, new BucketReads(db, new ControlRows(testControlKey)));
    const nothing = new Uint8Array(0);
    const query = {
      bucketUid: bucket.bucketUid,
      prefix: nothing,
      delimiter: Buffer.from('/'),
      after: nothing,
      limit: 9,
    };
    const page = objects.list(query);
    expect(steps).toBeGreaterThan(1);
    expect([...page.objects.map((object) => object.key), ...page.commonPrefixes]).toHaveLength(8);
    expect(objects.list(query).objects).toHaveLength(2);
    db.close();
  });

  test('leaves the bytes of the caller as they are', async () => {
    const bucket = await bucketWith([Buffer.from('ab'), Buffer.from('b')]);
    const asked = Buffer.from('a');
    const query = {
      bucketUid: bucket.bucketUid,
      prefix: asked,
      delimiter: null,
      after: Buffer.alloc(0),
      limit: 5,
    };
    expect((await engine.metadata.listObjects(query)).objects).toHaveLength(1);
    expect(asked.toString()).toBe('a');
  });
});

describe('listing uploads', () => {
  test('goes by key and upload, groups, and continues inside of a key', async () => {
    const bucket = bucketNamed('uploads-listed');
    await engine.metadata.createBucket(bucket, null);
    const uploads = ['a', 'b/1', 'b/2', 'c', 'c', 'c', 'd'].map((name) => uploadIn(bucket, name));
    await Promise.all(uploads.map((upload) => engine.metadata.createUpload(bucket.name, upload)));
    const ordered = uploads.toSorted(
      (x, y) => Buffer.compare(x.key, y.key) || (x.uploadId < y.uploadId ? -1 : 1),
    );
    for (const limit of [1, 2, 3, 10]) {
      for (const delimiter of [null, Buffer.from('/')]) {
        const found: string[] = [];
        let after: { key: Uint8Array; uploadId: string | null } | null = {
          key: new Uint8Array(0),
          uploadId: null,
        };
        while (after !== null) {
          const page = await engine.metadata.listUploads({
            bucketUid: bucket.bucketUid,
            prefix: new Uint8Array(0),
            delimiter,
            afterKey: after.key,
            afterUploadId: after.uploadId,
            limit,
          });
          expect(page.uploads.length + page.commonPrefixes.length).toBeLessThanOrEqual(limit);
          found.push(...page.uploads.map((upload) => upload.uploadId));
          found.push(...page.commonPrefixes.map((group) => Buffer.from(group).toString()));
          after = page.next;
        }
        const expected = ordered.map((upload) => upload.uploadId);
        if (delimiter !== null) expected.splice(1, 2, 'b/');
        expect(found.toSorted()).toEqual(expected.toSorted());
      }
    }
  });

  test('of a prefix, or behind a key, shows only those', async () => {
    const bucket = bucketNamed('uploads-prefix');
    await engine.metadata.createBucket(bucket, null);
    for (const name of ['a/1', 'a/2', 'b'])
      await engine.metadata.createUpload(bucket.name, uploadIn(bucket, name));
    const keys = async (prefixText: string, afterText: string, delimiterText: string | null) => {
      const page = await engine.metadata.listUploads({
        bucketUid: bucket.bucketUid,
        prefix: Buffer.from(prefixText),
        delimiter: delimiterText === null ? null : Buffer.from(delimiterText),
        afterKey: Buffer.from(afterText),
        afterUploadId: null,
        limit: 10,
      });
      return page.uploads.map((upload) => Buffer.from(upload.key).toString());
    };
    expect(await keys('a/', '', null)).toEqual(['a/1', 'a/2']);
    expect(await keys('', 'a/1', null)).toEqual(['a/2', 'b']);
    expect(await keys('', 'a/1', '/')).toEqual(['b']);
    expect(await keys('', '', '/')).toEqual(['b']);
  });
});

describe('walking groups', () => {
  /** Rows in memory that count how many of them were read. */
  function countedRows(names: readonly string[]): { source: Source<Buffer, Uint8Array>; read: () => number } {
    const rows = names.map((name) => Buffer.from(name)).sort((a, b) => Buffer.compare(a, b));
    let read = 0;
    return {
      source: {
        fetch: (from, end, limit) => {
          const found = rows
            .filter((row) => Buffer.compare(row, from) >= 0 && (end === null || Buffer.compare(row, end) < 0))
            .slice(0, limit);
          read += found.length;
          return found;
        },
        keyOf: (row) => row,
        after: (row) => afterKey(row),
        at: (from) => from,
      },
      read: () => read,
    };
  }

  test('steps over a group instead of reading it', () => {
    const names = ['a', 'b', 'c'].flatMap((group) =>
      Array.from({ length: 2_000 }, (_, index) => `${group}/${index}`),
    );
    const { source, read } = countedRows(names);
    const query = { prefix: new Uint8Array(0), delimiter: Buffer.from('/'), limit: 1_000 };
    const page = walkGroups(source, query, new Uint8Array(0));
    expect(page.entries).toHaveLength(3);
    expect(read()).toBeLessThan(20);
  });

  test('reads each row of a page without groups about once', () => {
    const names = Array.from({ length: 3_000 }, (_, index) => `key-${String(index).padStart(5, '0')}`);
    const { source, read } = countedRows(names);
    const query = { prefix: new Uint8Array(0), delimiter: Buffer.from('/'), limit: 1_000 };
    expect(walkGroups(source, query, new Uint8Array(0)).entries).toHaveLength(1_000);
    expect(read()).toBe(1_001);
  });

  test('a limit of nothing lists nothing', () => {
    const { source } = countedRows(['a']);
    const query = { prefix: new Uint8Array(0), delimiter: null, limit: 0 };
    expect(walkGroups(source, query, new Uint8Array(0))).toEqual({ entries: [], more: false });
  });

  test('a group of 0xff alone ends the listing', () => {
    const rows = [Buffer.from([0xff, 0xff, 1]), Buffer.from([0xff, 0xff, 2])];
    const source: Source<Buffer, Uint8Array> = {
      fetch: () => rows,
      keyOf: (row) => row,
      after: (row) => row,
      at: (from) => from,
    };
    const query = { prefix: Uint8Array.of(0xff), delimiter: Uint8Array.of(0xff), limit: 2 };
    expect(walkGroups(source, query, new Uint8Array(0)).entries).toHaveLength(1);
  });
});

describe('ranges of keys', () => {
  test.each([
    ['61', '62'],
    ['61ff', '62'],
    ['00', '01'],
    ['ffff', null],
    ['', null],
    ['fe', 'ff'],
  ])('behind everything with the prefix %s comes %s', (before, after) => {
    const next = afterPrefix(Buffer.from(before, 'hex'));
    expect(next === null ? null : hex(next)).toBe(after);
  });

  test('every key with a prefix lies below its end, and every key behind it does not', () => {
    fc.assert(
      fc.property(prefix, key, (start, other) => {
        const end = afterPrefix(start);
        const inside = hex(other).startsWith(hex(start));
        const below = Buffer.compare(other, start) >= 0 && (end === null || Buffer.compare(other, end) < 0);
        return inside === below;
      }),
    );
  });
});
