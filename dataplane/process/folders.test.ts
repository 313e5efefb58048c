import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { foldersOf, watchFolders } from './folders.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-folders-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('a volume that kubelet writes anew is noticed once, and a folder that appears too', () => {
  const connectionsDir = join(folder, 'connections');
  for (const generation of ['..1', '..2']) mkdirSync(join(folder, generation));
  symlinkSync('..1', join(folder, '..data'));
  const watch = watchFolders(() => foldersOf({ file: join(folder, 'sealgate.json'), connectionsDir }));
  expect(watch.changed()).toBe(false);
  symlinkSync('..2', join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  expect(watch.changed()).toBe(true);
  expect(watch.changed()).toBe(false);
  mkdirSync(connectionsDir);
  expect(watch.changed()).toBe(true);
  writeFileSync(join(connectionsDir, 'a.json'), '{}');
  expect(watch.changed()).toBe(true);
  expect(watch.changed()).toBe(false);
});
