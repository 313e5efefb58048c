import { expect, test } from 'vitest';
import { BlobError } from '../blobs/blobs.ts';
import { FormatError } from '../crypto/errors.ts';
import { KmsError } from '../keys/keys.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { judge, placeJson, placeText } from './findings.ts';

test.each([
  ['wrong', new FormatError('Integrity', 'why')],
  ['wrong', new FormatError('Malformed', 'why')],
  ['wrong', new MetadataError('Integrity', 'why')],
  ['wrong', new KmsError('KeyMismatch', 'why')],
  ['wrong', new KmsError('NotFound', 'why')],
  ['wrong', new BlobError('NotFound', 'why')],
  ['away', new KmsError('Unavailable', 'why')],
  ['away', new KmsError('AccessDenied', 'why')],
  ['away', new KmsError('UnknownConnection', 'why')],
  ['away', new BlobError('Unavailable', 'why')],
])('%s: %s', (kind, error) => {
  expect(judge(error)).toEqual({ kind, why: 'why' });
});

test.each([[new MetadataError('Unavailable', 'x')], [new Error('bug')], ['text']])(
  'verify itself failed: %s',
  (error) => {
    expect(judge(error)).toBeNull();
  },
);

test('a place is named as far as it is known', () => {
  const place = { bucket: 'b', key: Buffer.from('k\n'), versionId: 'v', partNumber: 3, blobId: 'x' };
  expect(placeText(place)).toBe('bucket "b", object "k\\u{a}", version v, part 3, blob x');
  expect(placeText({ bucket: 'b', keyVersion: 2 })).toBe('bucket "b", key version 2');
  expect(placeText({ uploadId: 'u' })).toBe('upload u');
  expect(placeText({ accessKeyId: 'SGTEAMAREPORTS01' })).toBe('access key "SGTEAMAREPORTS01"');
  expect(placeJson(place)).toEqual({ ...place, key: 'k\n' });
  expect(placeJson({ bucket: 'b' })).toEqual({ bucket: 'b' });
});
