import { describe, expect, it } from 'vitest';
import { FormatError } from '../crypto/errors.ts';
import { newId } from '../crypto/ids.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { readingRows, verifying } from './damage.ts';

const versionId = newId();
const blobId = newId();
const fails = (error: Error) => () => Promise.reject(error);

describe('what does not verify', () => {
  it('is told with its place, the inner one first', async () => {
    const inner = () =>
      verifying({ subject: 'blob', blobId }, fails(new FormatError('Integrity', 'a chunk')));
    await expect(verifying({ subject: 'record', versionId }, inner)).rejects.toMatchObject({
      code: 'Integrity',
      message: 'a chunk',
      place: { subject: 'blob', blobId, versionId },
    });
  });

  it('in a row is damage there; a control row stays one where only bytes are verified', async () => {
    const row = new MetadataError('Integrity', 'a row');
    await expect(readingRows({ subject: 'record' }, fails(row))).rejects.toMatchObject({
      name: 'DamageError',
      place: { subject: 'record' },
    });
    await expect(verifying({ subject: 'record' }, fails(row))).rejects.toBe(row);
  });

  it('is not what another failure is', async () => {
    const busy = new MetadataError('Busy', 'later');
    await expect(readingRows({ subject: 'record' }, fails(busy))).rejects.toBe(busy);
    await expect(verifying({ subject: 'blob' }, fails(busy))).rejects.toBe(busy);
  });
});
