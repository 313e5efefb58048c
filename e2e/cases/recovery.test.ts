import { copyFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BUCKET_BYTES,
  PRIVATE_VALUE,
  type RecoveryStand,
  startRecoveryStand,
} from '../harness/recoveryStand.ts';

/** Parts of the open upload of a bucket. */
const OPEN_BYTES = 5 * 1024 * 1024 + 1_000;

let stand: RecoveryStand;
beforeAll(async () => {
  stand = await startRecoveryStand();
});
afterAll(() => stand.close());

function first(files: readonly string[]): string {
  const [file] = files;
  if (file === undefined) throw new Error('there is no file');
  return file;
}

describe('inspect', () => {
  it('lists buckets, and explains one with its key and its usage', async () => {
    const all = await stand.run('inspect');
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(all.stdout).toContain('bucket: sealed');
    const one = await stand.run('inspect', '--bucket', 'sealed');
    expect(one).toMatchObject({ code: 0, stderr: '' });
    expect(one.stdout).toContain('control mac: authentic');
    expect(one.stdout).toMatch(/kms connection: kms\n\s+kms name: .*\n\s+kms id: \d+\n/);
    expect(one.stdout).toContain('key: the KMS gave it, and it is the one that was made');
    expect(one.stdout).toContain('objects: 5');
    const unasked = await stand.run('inspect', '--bucket', 'sealed', '--no-kms');
    expect(unasked.code).toBe(0);
    expect(unasked.stdout).toContain('key: not asked for');
  });

  it.each([
    [
      'sealed',
      'inline',
      ['protection: sealed', 'record: verifies', 'place: in the metadata', 'size: 1000 bytes'],
    ],
    ['sealed', 'blob-1', ['protection: sealed', 'chunk: 131072 bytes', 'kms id: ', 'file state: there']],
    ['sealed', 'parts', ['part count: 2', 'part number: 2', 'record: verifies']],
    ['clear', 'blob-1', ['protection: plain', 'record: readable, in clear', 'stored: 400000 bytes']],
    ['sealed', 'open', ['open uploads:', 'part commits: 2']],
  ])('explains %s/%s, private things only when asked to', async (bucket, key, expected) => {
    const shown = await stand.run('inspect', '--bucket', bucket, '--key', key);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    for (const text of expected) expect(shown.stdout).toContain(text);
    expect(shown.stdout).not.toContain(PRIVATE_VALUE);
    expect(shown.stdout).not.toContain('etag');
    const json = await stand.run('inspect', '--bucket', bucket, '--key', key, '--json', '--show-private');
    expect(JSON.parse(json.stdout)).toMatchObject({ bucket, object: key, wrong: [] });
    expect(json.stdout.includes(PRIVATE_VALUE)).toBe(['inline', 'blob-1'].includes(key));
  });

  it('does not need the KMS with --no-kms, and says what it did not check', async () => {
    const { code, stdout } = await stand.run('inspect', '--bucket', 'sealed', '--key', 'inline', '--no-kms');
    expect(code).toBe(0);
    expect(stdout).toContain('record: not checked: the KMS was not asked for the key');
  });

  it('explains the file of a blob, of a part, and a copy elsewhere', async () => {
    const file = first(stand.filesOf('sealed', 'blob-1'));
    const found = await stand.run('inspect', '--blob', file);
    expect(found).toMatchObject({ code: 0, stderr: '' });
    for (const text of ['format: 1', 'suite: 1', 'implied plaintext: 400000 bytes', 'implied chunks: 4'])
      expect(found.stdout).toContain(text);
    expect(found.stdout).toContain('place: this is the file that is read');
    expect(found.stdout).toContain('object: blob-1');
    expect(found.stdout).toContain(readFileSync(file).subarray(40, 72).toString('hex'));

    const copy = join(stand.folder, 'found-in-a-backup');
    copyFileSync(file, copy);
    const elsewhere = await stand.run('inspect', '--blob', copy);
    expect(elsewhere.code).toBe(0);
    expect(elsewhere.stdout).toContain(`place: a copy: what is read is ${file}`);

    const part = await stand.run('inspect', '--blob', stand.filesOf('sealed', 'parts')[1] ?? '');
    expect(part.code).toBe(0);
    expect(part.stdout).toContain('part number: 2');
    expect(part.stdout).toContain('object: parts');
    const ofUpload = await stand.run('inspect', '--blob', stand.fileOfUpload(1));
    expect(ofUpload.stdout).toContain(`open upload: ${stand.uploadId}`);
  });

  it('explains a file that is none of ours, and one whose content is that of another', async () => {
    const stray = join(stand.folder, 'stray');
    writeFileSync(stray, 'hello');
    const unknown = await stand.run('inspect', '--blob', stray);
    expect(unknown.code).toBe(0);
    expect(unknown.stdout).toContain('header: none: a plain blob, or not a blob at all');
    expect(unknown.stdout).toContain('named by: nothing');
    const renamed = join(stand.folder, first(stand.filesOf('sealed', 'blob-1')).slice(-32));
    copyFileSync(first(stand.filesOf('sealed', 'blob-2')), renamed);
    truncateSync(renamed, 400_000);
    const swapped = await stand.run('inspect', '--blob', renamed);
    expect(swapped.code).toBe(1);
    expect(swapped.stdout).toContain('WRONG: salt: the content is that of another blob');
    expect(swapped.stdout).toContain('WRONG: length: its row says 400136 bytes');
  });

  it.each([
    ['no such bucket', ['--bucket', 'nowhere'], 'there is no bucket nowhere'],
    ['no such key', ['--bucket', 'clear', '--key', 'nothing'], 'no object and no upload of this key'],
    ['no such file', ['--blob', '/nowhere/at/all'], 'cannot be read'],
  ])('says so: %s', async (_name, args, message) => {
    const result = await stand.run('inspect', ...args);
    expect(result).toMatchObject({ code: 3, stdout: '' });
    expect(result.stderr).toContain(message);
  });
});

describe('verify of what is whole', () => {
  it('is 0 while the server runs, for all and for a part', async () => {
    const all = await stand.verify();
    expect(all.lines).toEqual([
      {
        type: 'summary',
        buckets: 2,
        objects: 10,
        bytes: 2 * (BUCKET_BYTES + OPEN_BYTES),
        findings: 0,
        unchecked: 0,
        unnamedFiles: { collectable: 0, inFlight: 0, foreign: 0 },
      },
    ]);
    expect(all.code).toBe(0);
    const part = await stand.verify('--bucket', 'sealed', '--key-prefix', 'blob');
    expect(part.lines[0]).toMatchObject({ buckets: 1, objects: 2, bytes: 800_000, unnamedFiles: null });
    const text = await stand.run('verify');
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(
      /^verified 2 buckets, 10 objects, \d+ bytes in [\d.]+ s: nothing is wrong\n$/,
    );
  });

  it('is 3 for a bucket that is not there', async () => {
    expect(await stand.run('verify', '--bucket', 'nowhere')).toMatchObject({ code: 3, stdout: '' });
  });

  it('is 3 without the KMS, and what needs no key is checked', async () => {
    await stand.deployment.kms.kill();
    const away = await stand.verify();
    expect(away.code).toBe(3);
    expect(away.lines.map(({ type, bucket, keyVersion }) => ({ type, bucket, keyVersion }))).toEqual([
      { type: 'unchecked', bucket: 'sealed', keyVersion: 1 },
      { type: 'summary' },
    ]);
    const shown = await stand.run('inspect', '--bucket', 'sealed', '--key', 'inline');
    expect(shown.code).toBe(3);
    expect(shown.stdout).toContain('NOT CHECKED: record of version');
    await stand.deployment.kms.restart();
  });

  it('is 0 after the server ended, with what a killed one left over told as collectable', async () => {
    await stand.deployment.server.stop();
    const incarnation = String(stand.rows('SELECT incarnation FROM incarnation')[0]?.['incarnation']);
    const blobs = join(stand.deployment.server.dataFolder, 'blobs');
    stand.edit('INSERT INTO incarnation VALUES (?, ?)', 'f'.repeat(32), Date.now());
    mkdirSync(join(blobs, 'e'.repeat(32)));
    const strays = [join(blobs, incarnation, 'a'.repeat(32)), join(blobs, 'e'.repeat(32), 'b'.repeat(32))];
    for (const stray of strays) writeFileSync(stray, 'left over');
    const { code, lines } = await stand.verify();
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatchObject({ unnamedFiles: { collectable: 1, inFlight: 0, foreign: 1 } });
    for (const stray of strays) rmSync(stray);
    rmSync(join(blobs, 'e'.repeat(32)), { recursive: true });
  });
});
