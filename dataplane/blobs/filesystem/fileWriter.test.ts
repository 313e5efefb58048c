import { describe, expect, test } from 'vitest';
import type { BlobLocation } from '../../metadata/metadata.ts';
import { DirectorySync, type SyncFile } from './directorySync.ts';
import { FileBlobWriter, type FileCalls } from './fileWriter.ts';
import { FreeSpace } from './freeSpace.ts';

const location: BlobLocation = { incarnation: '1'.repeat(32), blobId: '2'.repeat(32) };
const mebibyte = 1024 * 1024;

type Callback = (error: NodeJS.ErrnoException | null) => void;

function errorOf(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

/** System calls that are noted, answered by the test, or fail as told. */
function recorder(failures: { readonly [call: string]: string } = {}, shortWrites = false) {
  const calls: string[] = [];
  const fatal: Error[] = [];
  let heldSync: Callback | null = null;
  let hold = false;
  const answer = (name: string, done: Callback): void => {
    calls.push(name);
    const failure = failures[name];
    queueMicrotask(() => done(failure === undefined ? null : errorOf(failure)));
  };
  const system: FileCalls = {
    writev: (_fd, buffers, done) => {
      const total = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
      const written = shortWrites ? Math.min(3, total) : total;
      answer('writev', (error) => done(error, written));
    },
    fdatasync: (_fd, done) => {
      if (!hold) {
        answer('fdatasync', done);
        return;
      }
      calls.push('fdatasync');
      heldSync = done;
    },
    close: (_fd, done) => answer('close', done),
    unlink: (_path, done) => answer('unlink', done),
  };
  const directory = new DirectorySync(
    1,
    (error) => fatal.push(error),
    (_fd, done) => answer('fsync folder', done),
  );
  const onFatal = (error: Error): void => void fatal.push(error);
  const writer = new FileBlobWriter({ location, path: 'blob', fd: 3, directory, onFatal, calls: system });
  return {
    calls,
    fatal,
    writer,
    holdSyncs: () => {
      hold = true;
    },
    answerSync: (error: NodeJS.ErrnoException | null = null) => {
      hold = false;
      heldSync?.(error);
    },
  };
}

async function codeOf(operation: Promise<unknown>): Promise<unknown> {
  try {
    await operation;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'resolved';
}

describe('a file being written', () => {
  test('is durable with its name before finish resolves', async () => {
    const { calls, writer } = recorder();
    await writer.write([Buffer.from('abc')]);
    await writer.finish();
    expect(calls).toEqual(['writev', 'fdatasync', 'fsync folder', 'close']);
  });

  test('goes on after short writes until every byte is written', async () => {
    const { calls, writer } = recorder({}, true);
    await writer.write([Buffer.from('abcd'), Buffer.from('e'), Buffer.from('fgh')]);
    expect(writer.storedBytes).toBe(8);
    expect(calls).toEqual(['writev', 'writev', 'writev']);
  });

  test('is synced in the background every 32 MiB, one sync at a time, and once more at the end', async () => {
    const { calls, writer, holdSyncs, answerSync } = recorder();
    holdSyncs();
    const piece = Buffer.alloc(16 * mebibyte);
    for (let written = 0; written < 6; written += 1) await writer.write([piece]);
    expect(calls.filter((call) => call === 'fdatasync')).toHaveLength(1);
    const finishing = writer.finish();
    answerSync();
    await finishing;
    expect(calls.filter((call) => call === 'fdatasync')).toHaveLength(2);
    expect(calls.slice(-3)).toEqual(['fdatasync', 'fsync folder', 'close']);
  });
});

describe('failures', () => {
  test.each([
    ['ENOSPC', 'NoSpace'],
    ['EDQUOT', 'NoSpace'],
    ['EIO', 'Unavailable'],
  ])('a write that fails with %s is %s, and so is everything after it', async (errno, code) => {
    const { calls, fatal, writer } = recorder({ writev: errno });
    expect(await codeOf(writer.write([Buffer.from('a')]))).toBe(code);
    expect(await codeOf(writer.write([Buffer.from('a')]))).toBe(code);
    expect(await codeOf(writer.finish())).toBe(code);
    expect(calls).toEqual(['writev', 'close', 'unlink']);
    expect(fatal).toEqual([]);
  });

  test('a sync that fails is fatal, is never repeated, and the file goes', async () => {
    const { calls, fatal, writer } = recorder({ fdatasync: 'EIO' });
    await writer.write([Buffer.from('a')]);
    expect(await codeOf(writer.finish())).toBe('Unavailable');
    expect(calls).toEqual(['writev', 'fdatasync', 'fsync folder', 'close', 'unlink']);
    expect(fatal).toHaveLength(1);
  });

  test('a sync that fails in the background is fatal, and finish does not sync again', async () => {
    const { calls, fatal, writer, holdSyncs, answerSync } = recorder();
    holdSyncs();
    await writer.write([Buffer.alloc(32 * mebibyte)]);
    answerSync(errorOf('EIO'));
    expect(await codeOf(writer.finish())).toBe('Unavailable');
    expect(calls.filter((call) => call === 'fdatasync')).toHaveLength(1);
    expect(fatal).toHaveLength(1);
  });

  test('a sync that finds the disk full costs this file only', async () => {
    const { fatal, writer } = recorder({ fdatasync: 'ENOSPC' });
    await writer.write([Buffer.from('a')]);
    expect(await codeOf(writer.finish())).toBe('NoSpace');
    expect(fatal).toEqual([]);
  });

  test('a folder that cannot be synced is fatal and fails the blob', async () => {
    const { calls, fatal, writer } = recorder({ 'fsync folder': 'EIO' });
    await writer.write([Buffer.from('a')]);
    expect(await codeOf(writer.finish())).toBe('Unavailable');
    expect(calls.slice(-2)).toEqual(['close', 'unlink']);
    expect(fatal).toHaveLength(1);
  });

  test('a close that fails fails the blob', async () => {
    const { writer } = recorder({ close: 'EIO' });
    await writer.write([Buffer.from('a')]);
    expect(await codeOf(writer.finish())).toBe('Unavailable');
  });

  test('aborting never rejects, whatever fails', async () => {
    const { calls, writer } = recorder({ writev: 'EIO', close: 'EIO', unlink: 'EACCES' });
    const pending = codeOf(writer.write([Buffer.from('a')]));
    await writer.abort();
    expect(await pending).toBe('Unavailable');
    expect(calls).toEqual(['writev', 'close', 'unlink']);
  });
});

describe('the sync of a folder', () => {
  function held() {
    const syncs: Callback[] = [];
    const fatal: Error[] = [];
    const sync: SyncFile = (_fd, done) => void syncs.push(done);
    const directory = new DirectorySync(1, (error) => fatal.push(error), sync);
    return { directory, syncs, fatal };
  }

  test('is one for all that wait, and never one that began before they asked', async () => {
    const { directory, syncs } = held();
    const first = directory.sync();
    const late = [directory.sync(), directory.sync(), directory.sync()];
    expect(syncs).toHaveLength(1);
    let lateDone = false;
    const allLate = Promise.all(late).then(() => {
      lateDone = true;
    });
    syncs[0]?.(null);
    await first;
    await Promise.resolve();
    expect(syncs).toHaveLength(2);
    expect(lateDone).toBe(false);
    syncs[1]?.(null);
    await allLate;
    const again = directory.sync();
    expect(syncs).toHaveLength(3);
    syncs[2]?.(null);
    await again;
  });

  test('that failed is never tried again', async () => {
    const { directory, syncs, fatal } = held();
    const outcomes = [codeOf(directory.sync()), codeOf(directory.sync())];
    syncs[0]?.(errorOf('EIO'));
    expect(await Promise.all(outcomes)).toEqual(['Unavailable', 'Unavailable']);
    expect(await codeOf(directory.sync())).toBe('Unavailable');
    expect(syncs).toHaveLength(1);
    expect(fatal).toHaveLength(1);
  });
});

describe('free space', () => {
  test('is asked at most once a second', () => {
    let nowMs = 0;
    let free = 50;
    let asked = 0;
    const space = new FreeSpace({
      reserveBytes: 100,
      freeBytes: () => {
        asked += 1;
        return free;
      },
      now: () => nowMs,
    });
    expect([space.mayGrow(), space.mayGrow()]).toEqual([false, false]);
    expect(asked).toBe(1);
    free = 100;
    nowMs = 1_000;
    expect(space.mayGrow()).toBe(true);
    expect(asked).toBe(2);
  });
});
