import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDurableFolder } from './durableFolder.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sealgate-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

test('every name that is new is synced, up to the folder that was there before', () => {
  const synced: string[] = [];
  makeDurableFolder(join(root, 'a', 'b', 'c'), (folder) => synced.push(folder));
  expect(synced).toEqual([join(root, 'a', 'b', 'c'), join(root, 'a', 'b'), join(root, 'a'), root]);
  expect(statSync(join(root, 'a', 'b', 'c')).mode & 0o777).toBe(0o700);
});

test('a folder that was there is synced with its name again', () => {
  makeDurableFolder(join(root, 'a'));
  const synced: string[] = [];
  makeDurableFolder(join(root, 'a'), (folder) => synced.push(folder));
  expect(synced).toEqual([join(root, 'a'), root]);
});
