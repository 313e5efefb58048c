import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockDataFolder, refuseNetworkFilesystem } from './dataFolder.ts';
import { temporaryFolder } from './engine.testkit.ts';

let folder: string;

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Another process tries to lock the folder; what it printed. */
function lockFromAnotherProcess(): string {
  const module = fileURLToPath(new URL('./dataFolder.ts', import.meta.url));
  const script = `import { lockDataFolder } from ${JSON.stringify(module)};
    try { lockDataFolder(${JSON.stringify(folder)}); console.log('locked'); } catch (error) { console.log(error.message); }`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  }).stdout.trim();
}

describe('the lock of a data folder', () => {
  test('keeps every other process out until it is released', () => {
    const lock = lockDataFolder(folder);
    expect(lockFromAnotherProcess()).toMatch(/another process serves/);
    lock.release();
    expect(lockFromAnotherProcess()).toBe('locked');
  });

  test('is not inherited by a process that comes after one that died', () => {
    expect(lockFromAnotherProcess()).toBe('locked');
    const lock = lockDataFolder(folder);
    expect(() => lockDataFolder(folder)).toThrow(/another process serves/);
    lock.release();
  });

  test('makes the folder', () => {
    lockDataFolder(join(folder, 'a', 'b')).release();
  });
});

describe('filesystems', () => {
  test.each([
    ['NFS', 0x6969],
    ['CIFS', 0xff534d42],
    ['CIFS', 0xff534d42 | 0],
    ['9p', 0x01021997],
    ['FUSE', 0x65735546],
  ])('%s (%i) is refused', (name, type) => {
    expect(() => refuseNetworkFilesystem('/somewhere', () => type)).toThrow(`is on a ${name} filesystem`);
  });

  test.each([
    ['ext4', 0xef53],
    ['tmpfs', 0x01021994],
    ['xfs', 0x58465342],
    ['overlay', 0x794c7630],
  ])('%s is accepted', (_name, type) => {
    expect(() => refuseNetworkFilesystem('/somewhere', () => type)).not.toThrow();
  });
});
