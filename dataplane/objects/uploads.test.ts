import { describe, expect, it } from 'vitest';
import { newDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { newId } from '../crypto/ids.ts';
import type { UploadRow } from '../metadata/metadata.ts';
import { openUpload, sealUpload, type UploadContent } from './uploads.ts';
import type { SealingKeys } from './version.ts';

const keys: SealingKeys = { dataKey: newDataKey(), bucketKey: newDataKey(), n: 3 };
const content: UploadContent = {
  bucketUid: newId(),
  key: Buffer.from('key'),
  checksumAlgorithm: 'CRC32',
  checksumType: 'COMPOSITE',
  ownerId: 'o'.repeat(64),
  createdMs: 1,
  meta: {
    contentHeaders: new Map([['content-type', 'text/x-secret']]),
    userMetadata: new Map([['note', 'secret note']]),
  },
};

const open = (row: UploadRow) =>
  openUpload(row, (n) => Promise.resolve(n === 3 ? keys.bucketKey : newDataKey()));

describe('an upload', () => {
  it('that is encrypted keeps its attributes and its data key sealed', async () => {
    const row = sealUpload(content, keys);
    expect(row).toMatchObject({ encrypted: true, clearMeta: null, revision: 0 });
    expect(Buffer.from(row.sealed?.sealedMeta ?? []).includes('secret')).toBe(false);
    const { meta, dataKey } = await open(row);
    expect(meta).toEqual(content.meta);
    expect(dataKey?.equals(keys.dataKey)).toBe(true);
  });

  it('that is plain keeps them in clear and asks for no key', async () => {
    const row = sealUpload(content, null);
    expect(row).toMatchObject({ encrypted: false, sealed: null });
    const opened = await openUpload(row, () => Promise.reject(new Error('asked for a key')));
    expect(opened).toMatchObject({ meta: content.meta, dataKey: null });
  });

  it.each<[string, (row: UploadRow) => Partial<UploadRow>]>([
    ['another id', () => ({ uploadId: newId() })],
    ['another key', () => ({ key: Buffer.from('other') })],
    ['another bucket', () => ({ bucketUid: newId() })],
    ['another body', () => ({ bodyId: newId() })],
    ['another checksum type', () => ({ checksumType: 'FULL_OBJECT' })],
    ['no sealed key', () => ({ sealed: null })],
    ['the sealed fields of another upload', () => ({ sealed: sealUpload(content, keys).sealed })],
    ['a claim to be plain', () => ({ encrypted: false })],
    ['another key version', (row) => ({ sealed: row.sealed === null ? null : { ...row.sealed, n: 4 } })],
  ])('with %s is an integrity failure', async (_, change) => {
    const row = sealUpload(content, keys);
    await expect(open({ ...row, ...change(row) })).rejects.toThrow(FormatError);
  });
});
