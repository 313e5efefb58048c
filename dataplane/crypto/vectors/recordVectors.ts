import type { Json, JsonObject } from './operation.ts';
import {
  accept,
  changed,
  damaged,
  flipped,
  lpHex,
  named32,
  namedId,
  outputText,
  refuse,
  utf8,
  type VectorFile,
  without,
} from './vectorFile.ts';

const LP_EMPTY = '00000000';
const LP_NOTHING_IN_IT = '0000000400000000';

/** Object records, and private parts as plain objects keep them. */
export function recordVectors(): VectorFile {
  const pub = {
    format: 1,
    suite: 1,
    chunkLog2: 17,
    bucketUid: namedId('bucket'),
    objectKey: utf8('photos/\u00e9t\u00e9.jpg'),
    versionId: namedId('version'),
    isNull: true,
    lastModifiedMs: 1767225600123,
    bodyId: namedId('body'),
    size: 5,
    partCount: 0,
    blob: { blobId: 'inline', size: 5, salt: named32('blob salt') },
  };
  const priv = {
    md5: named32('md5').slice(32),
    checksums: [
      { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: '0011223344556677' },
      { algorithm: 'SHA256', type: 'COMPOSITE', value: named32('sha256') },
    ],
    contentHeaders: [
      ['content-type', 'image/jpeg'],
      ['cache-control', 'no-store'],
    ],
    userMetadata: [
      ['owner', 'Zo\u00eb'],
      ['empty', ''],
    ],
  };
  const bare = { md5: priv.md5, checksums: [], contentHeaders: [], userMetadata: [] };
  const input = {
    dataKey: named32('data key'),
    public: pub,
    private: priv,
    recordSalt: named32('record salt'),
  };
  const sealed = accept('one blob', 'sealRecord', input);
  const inParts = { ...input, public: { ...pub, isNull: false, partCount: 300, blob: null }, private: bare };
  const sealedInParts = accept('pages of parts, and nothing private but the MD5', 'sealRecord', inParts);
  const sealedRecord = outputText(sealed, 'sealedRecord');
  const opening = (input: JsonObject, sealedRecord: string) => ({
    ...without(input, 'private'),
    sealedRecord,
  });
  const open = opening(input, sealedRecord);
  const bound = (path: string, value: Json) =>
    refuse(`another ${path}`, 'openRecord', changed(open, path, value));
  const encoded = accept('private part in clear', 'encodePrivate', { private: priv });
  const malformed = (name: string, encoded: string) =>
    refuse(name, 'decodePrivate', { encoded }, 'Malformed');
  const md5Field = `00000010${priv.md5}`;
  return {
    about: 'Object record: docs/format.md, "Object record"',
    cases: [
      sealed,
      accept('one blob, opened', 'openRecord', open),
      sealedInParts,
      accept(
        'pages of parts, opened',
        'openRecord',
        opening(inParts, outputText(sealedInParts, 'sealedRecord')),
      ),
      encoded,
      accept('private part read back', 'decodePrivate', encoded.output),
    ],
    mustFail: [
      ...damaged(sealedRecord).map(([what, value]) =>
        refuse(what, 'openRecord', changed(open, 'sealedRecord', value)),
      ),
      bound('dataKey', named32('other data key')),
      bound('recordSalt', flipped(input.recordSalt, 3)),
      bound('public.suite', 2),
      bound('public.chunkLog2', 16),
      bound('public.bucketUid', namedId('other bucket')),
      bound('public.objectKey', utf8('photos/ete.jpg')),
      bound('public.versionId', namedId('other version')),
      bound('public.isNull', false),
      bound('public.lastModifiedMs', 1767225600124),
      bound('public.bodyId', namedId('other body')),
      bound('public.size', 6),
      bound('public.blob.blobId', namedId('blob')),
      bound('public.blob.size', 4),
      bound('public.blob.salt', flipped(pub.blob.salt, 255)),
      bound('public.size', -1),
      bound('public.partCount', 1),
      bound('public.blob', null),
      malformed('private part: empty', ''),
      malformed('private part: a byte left over', `${outputText(encoded, 'encoded')}00`),
      malformed('private part: cut', outputText(encoded, 'encoded').slice(0, -2)),
      malformed(
        'private part: an MD5 of 15 bytes',
        `0000000f${priv.md5.slice(2)}${LP_NOTHING_IN_IT.repeat(3)}`,
      ),
      malformed('private part: no MD5', `ffffffff${LP_NOTHING_IN_IT.repeat(3)}`),
      malformed('private part: a list without count', md5Field + LP_EMPTY + LP_NOTHING_IN_IT.repeat(2)),
      malformed(
        'private part: a list with too high a count',
        `${md5Field}00000004ffffffff${LP_NOTHING_IN_IT.repeat(2)}`,
      ),
      malformed(
        'private part: a list with too low a count',
        `${md5Field}000000080000000000000000${LP_NOTHING_IN_IT.repeat(2)}`,
      ),
      malformed('private part: unknown algorithm', withChecksum(md5Field, 'MD4', 'FULL_OBJECT')),
      malformed('private part: unknown type', withChecksum(md5Field, 'CRC32', 'PARTIAL')),
      malformed(
        'private part: a fourth field of a checksum',
        withChecksum(md5Field, 'CRC32', 'FULL_OBJECT', LP_EMPTY),
      ),
      malformed('private part: names not in order', withMap(md5Field, ['b', '1'], ['a', '2'])),
      malformed('private part: a name twice', withMap(md5Field, ['a', '1'], ['a', '1'])),
      malformed('private part: a name in upper case', withMap(md5Field, ['A', '1'])),
      malformed(
        'private part: ill-formed UTF-8',
        `${md5Field}${LP_NOTHING_IN_IT}${lpHex(`00000001${lpHex('61')}${lpHex('ff')}`)}${LP_NOTHING_IN_IT}`,
      ),
    ],
  };
}

/** Maps of an upload. */
export function uploadVectors(): VectorFile {
  const upload = {
    uploadId: namedId('upload'),
    bucketUid: namedId('bucket'),
    key: utf8('big.bin'),
    bodyId: namedId('body'),
    encrypted: true,
    suite: 1,
    chunkLog2: 17,
    checksumAlgorithm: 'CRC32C',
    checksumType: 'COMPOSITE',
  };
  const meta = {
    contentHeaders: [['content-type', 'text/plain']],
    userMetadata: [
      ['b', '2'],
      ['a', '1'],
    ],
  };
  const input = { dataKey: named32('data key'), upload, meta, uploadSalt: named32('upload salt') };
  const sealed = accept('with a checksum', 'sealUploadMeta', input);
  const plain = { ...input, upload: { ...upload, checksumAlgorithm: null, checksumType: null } };
  const sealedMeta = outputText(sealed, 'sealedMeta');
  const open = { ...without(input, 'meta'), sealedMeta };
  const encoded = accept('in clear', 'encodeUploadMeta', { meta });
  const bound = (path: string, value: Json) =>
    refuse(`another ${path}`, 'openUploadMeta', changed(open, path, value));
  return {
    about: 'Upload: docs/format.md, "Parts"',
    cases: [
      sealed,
      accept('opened', 'openUploadMeta', open),
      accept('without a checksum', 'sealUploadMeta', plain),
      encoded,
      accept('in clear, read back', 'decodeUploadMeta', encoded.output),
    ],
    mustFail: [
      ...damaged(sealedMeta).map(([what, value]) =>
        refuse(what, 'openUploadMeta', changed(open, 'sealedMeta', value)),
      ),
      bound('dataKey', named32('other data key')),
      bound('uploadSalt', flipped(input.uploadSalt, 9)),
      bound('upload.uploadId', namedId('other upload')),
      bound('upload.bucketUid', namedId('other bucket')),
      bound('upload.key', utf8('big.bio')),
      bound('upload.bodyId', namedId('other body')),
      bound('upload.encrypted', false),
      bound('upload.suite', 2),
      bound('upload.chunkLog2', 16),
      bound('upload.chunkLog2', -1),
      bound('upload.checksumAlgorithm', 'CRC32'),
      bound('upload.checksumType', 'FULL_OBJECT'),
      bound('upload.checksumType', null),
      refuse(
        'in clear: a byte left over',
        'decodeUploadMeta',
        { encoded: `${outputText(encoded, 'encoded')}00` },
        'Malformed',
      ),
    ],
  };
}

function withChecksum(md5Field: string, algorithm: string, type: string, more = ''): string {
  const entry = lpHex(lpHex(utf8(algorithm)) + lpHex(utf8(type)) + lpHex('00') + more);
  return md5Field + lpHex(`00000001${entry}`) + LP_NOTHING_IN_IT.repeat(2);
}

function withMap(md5Field: string, ...entries: readonly (readonly [string, string])[]): string {
  const count = entries.length.toString(16).padStart(8, '0');
  const map = entries.map(([name, value]) => lpHex(utf8(name)) + lpHex(utf8(value))).join('');
  return md5Field + LP_NOTHING_IN_IT + lpHex(count + map) + LP_NOTHING_IN_IT;
}
