import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Entry, file, inOrder } from './entries.ts';
import { tarOf } from './tar.ts';

const LONG = `${'folder/'.repeat(20)}file`;

describe('a tar', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sealgate-tar-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read by tar with its modes, its links and its long names, and nothing of this machine', () => {
    const entries: Entry[] = [
      { kind: 'folder', path: 'tmp', mode: 0o1777 },
      file('bin/run', Buffer.from('x'.repeat(513)), 0o711),
      { kind: 'link', path: 'bin/walk', target: 'run' },
      file(LONG, Buffer.from('deep')),
      file('empty', Buffer.alloc(0)),
    ];
    const tar = tarOf(inOrder(entries));
    const list = execFileSync('tar', ['--numeric-owner', '--utc', '-tvf', '-'], {
      input: tar,
      encoding: 'utf8',
    });
    const lines = list
      .trimEnd()
      .split('\n')
      .map((line) => line.replaceAll(/ +/g, ' '));
    expect(lines).toEqual(
      expect.arrayContaining([
        'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
        'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
        '-rwx--x--x 0/0 513 1970-01-01 00:00 bin/run',
        'lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/walk -> run',
        '-rw-r--r-- 0/0 0 1970-01-01 00:00 empty',
        `-rw-r--r-- 0/0 4 1970-01-01 00:00 ${LONG}`,
      ]),
    );
    execFileSync('tar', ['-xf', '-', '-C', folder], { input: tar });
    expect(readFileSync(join(folder, LONG), 'utf8')).toBe('deep');
    expect(readFileSync(join(folder, 'bin/walk'), 'utf8')).toBe('x'.repeat(513));
  });

  it('is the same in whatever order its entries are named', () => {
    const entries = [
      file('b', Buffer.from('1')),
      file('a/c', Buffer.from('2')),
      file('a-b', Buffer.from('3')),
    ];
    expect(tarOf(inOrder(entries.toReversed())).equals(tarOf(inOrder(entries)))).toBe(true);
  });

  it.each([
    ['a path of 101 bytes without a folder', file('x'.repeat(101), Buffer.alloc(0))],
    ['a path of 300 bytes', file(`${'x'.repeat(99)}/`.repeat(2) + 'x'.repeat(100), Buffer.alloc(0))],
    ['a link of 101 bytes', { kind: 'link', path: 'a', target: 'x'.repeat(101) }],
  ] satisfies [string, Entry][])('does not cut off %s', (_, entry) => {
    expect(() => tarOf([entry])).toThrow('too long for a tar header');
  });

  it.each(['', '/etc/passwd', '../x', 'a/../../x', 'a//b', 'a/'])('cannot have the path %j', (path) => {
    expect(() => inOrder([file(path, Buffer.alloc(0))])).toThrow('an image cannot have the path');
  });

  it('cannot have a path twice', () => {
    expect(() => inOrder([file('a', Buffer.alloc(0)), file('a', Buffer.alloc(1))])).toThrow('has a twice');
  });
});
