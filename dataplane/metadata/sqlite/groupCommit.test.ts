import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BucketDocument } from '../metadata.ts';
import { openWriterConnection } from './connection.ts';
import { ControlRows } from './controlRows.ts';
import {
  bucketNamed,
  filled,
  inlineBody,
  keyVersionOf,
  temporaryFolder,
  testControlKey,
  versionIn,
} from './engine.testkit.ts';
import { GroupCommit, type TransactionControl, type WriteOutcome } from './groupCommit.ts';
import { createWriteOperations, type WriteCommand } from './writeOperations.ts';

let folder: string;
let db: DatabaseSync;
let bucket: BucketDocument;
let fatal: Error[];
let apply: (command: WriteCommand) => unknown;

beforeEach(() => {
  folder = temporaryFolder();
  db = openWriterConnection(join(folder, 'metadata.db'));
  apply = createWriteOperations(db, new ControlRows(testControlKey));
  bucket = bucketNamed('group');
  apply({ name: 'createBucket', args: [bucket, null] });
  fatal = [];
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

function groupOver(control: TransactionControl = db, mayGrow = true): GroupCommit {
  return new GroupCommit({
    db: control,
    apply,
    mayGrow: () => mayGrow,
    afterGroup: () => {},
    onFatal: (error) => fatal.push(error),
  });
}

function put(key: string, sizeBytes = 3, expectCurrent?: string): WriteCommand {
  const stored = filled(sizeBytes, 1);
  return {
    name: 'commitVersion',
    args: [versionIn(bucket, key), { ...inlineBody, kind: 'inline', stored, salt: null }, expectCurrent, 1],
  };
}

/** Runs one group; 'ok' or the code of each member, null for members that got no answer. */
function runGroup(group: GroupCommit, commands: readonly WriteCommand[]): (string | null)[] {
  const outcomes: (string | null)[] = commands.map(() => null);
  commands.forEach((command, index) => {
    group.add(command, (outcome: WriteOutcome) => {
      outcomes[index] = outcome.ok ? 'ok' : outcome.error.code;
    });
  });
  group.run();
  return outcomes;
}

const keys = (): string[] =>
  db
    .prepare('SELECT CAST(key AS TEXT) AS key FROM object_current ORDER BY key')
    .all()
    .map((row) => String(row['key']));

/** The real connection, whose statement `sql` fails like the system would. */
function failingOn(sql: string, error: () => Error): TransactionControl {
  return {
    exec: (statement) => db.exec(statement),
    get isTransaction() {
      return db.isTransaction;
    },
    prepare: (statement) => {
      const prepared = db.prepare(statement);
      if (statement === sql) {
        prepared.run = () => {
          throw error();
        };
      }
      return prepared;
    },
  };
}

function sqliteError(errcode: number): Error {
  return Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode });
}

describe('a group', () => {
  test('commits its members together; one that fails harms no other', () => {
    const outcomes = runGroup(groupOver(), [
      put('a'),
      put('a', 3, 'absent'),
      put('b'),
      put('c', 3, 'absent'),
    ]);
    expect(outcomes).toEqual(['ok', 'PreconditionFailed', 'ok', 'ok']);
    expect(keys()).toEqual(['a', 'b', 'c']);
    expect(db.isTransaction).toBe(false);
  });

  test('undoes everything that a failing member did', () => {
    const keyVersion = keyVersionOf(bucket.bucketUid);
    const taken: WriteCommand = { name: 'putKeyVersion', args: [keyVersion] };
    // The bucket's row goes in before its key version collides.
    const failing: WriteCommand = { name: 'createBucket', args: [bucketNamed('half'), keyVersion] };
    expect(runGroup(groupOver(), [taken, failing, put('a')])).toEqual(['ok', 'Conflict', 'ok']);
    expect(db.prepare(`SELECT name FROM bucket`).all()).toEqual([{ name: 'group' }]);
  });

  test('sees what the members before it did', () => {
    expect(runGroup(groupOver(), [put('a', 3, 'absent'), put('a', 3, 'absent')])).toEqual([
      'ok',
      'PreconditionFailed',
    ]);
  });

  test('is lost as a whole when the disk is full, and the next one is not', () => {
    const pages = Number(db.prepare('PRAGMA page_count').get()?.['page_count']);
    db.exec(`PRAGMA max_page_count = ${pages + 20}`);
    const group = groupOver();
    expect(runGroup(group, [put('a'), put('b', 400_000), put('c')])).toEqual([
      'NoSpace',
      'NoSpace',
      'NoSpace',
    ]);
    expect(keys()).toEqual([]);
    expect(runGroup(group, [put('d')])).toEqual(['ok']);
    expect(keys()).toEqual(['d']);
    expect(fatal).toEqual([]);
  });

  test('below the reserve stores nothing new and still deletes', () => {
    expect(runGroup(groupOver(), [put('a')])).toEqual(['ok']);
    const remove: WriteCommand = {
      name: 'deleteObject',
      args: ['group', bucket.bucketUid, Buffer.from('a'), undefined, 1],
    };
    expect(runGroup(groupOver(db, false), [put('b'), remove])).toEqual(['NoSpace', 'ok']);
    expect(keys()).toEqual([]);
  });

  test('that cannot begin is Unavailable to all', () => {
    const group = groupOver(failingOn('BEGIN IMMEDIATE', () => sqliteError(5)));
    expect(runGroup(group, [put('a'), put('b')])).toEqual(['Unavailable', 'Unavailable']);
    expect(fatal).toEqual([]);
  });

  test('that cannot commit for a passing reason is rolled back', () => {
    const group = groupOver(failingOn('COMMIT', () => sqliteError(5)));
    expect(runGroup(group, [put('a')])).toEqual(['Unavailable']);
    expect(db.isTransaction).toBe(false);
    expect(keys()).toEqual([]);
  });

  test('larger than the limit is cut, in order', () => {
    const group = groupOver();
    const answered: number[] = [];
    for (let index = 0; index < 600; index += 1) group.add(put(`k${index}`), () => answered.push(index));
    expect(group.run()).toBe(true);
    expect(answered).toHaveLength(512);
    expect(group.run()).toBe(false);
    expect(answered).toEqual(Array.from({ length: 600 }, (_, index) => index));
  });
});

describe('a disk that failed', () => {
  test.each([
    ['the sync of a commit', 'COMMIT', 1034],
    ['the write of a commit', 'COMMIT', 778],
    ['a read inside of the group', 'SAVEPOINT member', 266],
  ])('in %s ends the writer: nobody is answered, nothing is repeated', (_name, sql, errcode) => {
    let attempts = 0;
    const group = groupOver(
      failingOn(sql, () => {
        attempts += 1;
        return sqliteError(errcode);
      }),
    );
    expect(runGroup(group, [put('a'), put('b')])).toEqual([null, null]);
    expect(fatal).toHaveLength(1);
    expect(runGroup(group, [put('c')])).toEqual([null]);
    expect(attempts).toBe(1);
  });

  test('in a checkpoint ends the writer too', () => {
    const group = new GroupCommit({
      db,
      apply,
      mayGrow: () => true,
      afterGroup: () => {
        throw sqliteError(1034);
      },
      onFatal: (error) => fatal.push(error),
    });
    expect(runGroup(group, [put('a')])).toEqual(['ok']);
    expect(fatal).toHaveLength(1);
  });
});
