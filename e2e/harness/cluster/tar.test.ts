import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { tarOf } from './tar.ts';

const ENTRIES = [
  { path: 'bin', mode: 0o755 },
  { path: 'bin/tool', content: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
  { path: 'bin/link', target: 'tool' },
  { path: 'empty', content: Buffer.alloc(0), mode: 0o644 },
  { path: 'block', content: Buffer.alloc(512, 'x'), mode: 0o600 },
];

const tar = (args: readonly string[], input: Buffer): string => {
  const { status, stdout, stderr } = spawnSync('tar', args, { input, env: { TZ: 'UTC', LC_ALL: 'C' } });
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  return stdout.toString();
};

describe('a tar archive', () => {
  it('is read by tar: folders, files with their modes, links', () => {
    const lines = tar(['-tvf', '-'], tarOf(ENTRIES))
      .trim()
      .split('\n')
      .map((line) => line.replaceAll(/ +/g, ' '));
    expect(lines).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwxr-xr-x 0/0 10 1970-01-01 00:00 bin/tool',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/link -> tool',
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 empty',
      '-rw------- 0/0 512 1970-01-01 00:00 block',
    ]);
  });

  it('holds the files as they are', () => {
    expect(tar(['-xOf', '-', 'bin/tool'], tarOf(ENTRIES))).toBe('#!/bin/sh\n');
    expect(tar(['-xOf', '-', 'block'], tarOf(ENTRIES))).toBe('x'.repeat(512));
  });

  it('has the same bytes each time', () => {
    expect(tarOf(ENTRIES).equals(tarOf(ENTRIES))).toBe(true);
  });

  it.each([
    { path: 'a'.repeat(101), content: Buffer.alloc(0), mode: 0o644 },
    { path: 'link', target: 'a'.repeat(101) },
  ])('refuses a path that does not fit', (entry) => {
    expect(() => tarOf([entry])).toThrow(RangeError);
  });
});
