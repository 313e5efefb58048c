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

/** Sealed digests of parts. */
export function digestVectors(): VectorFile {
  const binding = { bodyId: namedId('body'), partNumber: 7, blobId: namedId('blob') };
  const digests = { md5: named32('md5').slice(32), checksum: { algorithm: 'CRC32', value: '01020304' } };
  const input = { dataKey: named32('data key'), binding, digests, digestSalt: named32('digest salt') };
  const sealed = accept('with a checksum', 'sealDigests', input);
  const noChecksum = changed(input, 'digests.checksum', null);
  const sealedDigests = outputText(sealed, 'sealedDigests');
  const open = { ...without(input, 'digests'), sealedDigests };
  const encoded = accept('in clear', 'encodeDigests', { digests });
  const encodedWithout = accept('in clear, without a checksum', 'encodeDigests', {
    digests: { ...digests, checksum: null },
  });
  const bound = (path: string, value: Json) =>
    refuse(`another ${path}`, 'openDigests', changed(open, path, value));
  const malformed = (name: string, encoded: string) =>
    refuse(`in clear: ${name}`, 'decodeDigests', { encoded }, 'Malformed');
  const md5Field = `00000010${digests.md5}`;
  return {
    about: 'sealedDigests: docs/format.md, "Parts"',
    cases: [
      sealed,
      accept('opened', 'openDigests', open),
      accept('without a checksum', 'sealDigests', noChecksum),
      encoded,
      accept('in clear, read back', 'decodeDigests', encoded.output),
      accept('in clear, without a checksum, read back', 'decodeDigests', encodedWithout.output),
    ],
    mustFail: [
      ...damaged(sealedDigests).map(([what, value]) =>
        refuse(what, 'openDigests', changed(open, 'sealedDigests', value)),
      ),
      bound('dataKey', named32('other data key')),
      bound('digestSalt', flipped(input.digestSalt, 9)),
      bound('binding.bodyId', namedId('other body')),
      bound('binding.partNumber', 8),
      bound('binding.partNumber', -7),
      bound('binding.blobId', namedId('other blob')),
      malformed('a byte left over', `${outputText(encoded, 'encoded')}00`),
      malformed('an MD5 of 17 bytes', `00000011${digests.md5}00ffffffff`),
      malformed('unknown algorithm', md5Field + lpHex(lpHex(utf8('MD4')) + lpHex('00'))),
      malformed(
        'a third field of the checksum',
        md5Field + lpHex(lpHex(utf8('CRC32')) + lpHex('00') + lpHex('')),
      ),
    ],
  };
}

/** MACs of parts and pages. */
export function partMacVectors(): VectorFile {
  const part = (partNumber: number) => ({
    partNumber,
    size: 5242880 + partNumber,
    blobId: namedId(`blob ${partNumber}`),
    salt: named32(`blob salt ${partNumber}`),
    digestSalt: named32(`digest salt ${partNumber}`),
    digests: named32(`digests ${partNumber}`).repeat(2),
  });
  const partInput = { dataKey: named32('data key'), uploadId: namedId('upload'), part: part(7) };
  const madePart = accept('a part of an open upload', 'partMac', partInput);
  const verifyPart: JsonObject = { ...partInput, mac: outputText(madePart, 'mac') };
  const entry = (partNumber: number, offset: number) => ({
    ...part(partNumber),
    offset,
    incarnation: namedId('incarnation'),
  });
  const pageInput = {
    dataKey: named32('data key'),
    bodyId: namedId('body'),
    page: 1,
    entries: [entry(7, 1000), entry(9, 1000 + 5242887)],
  };
  const madePage = accept('a page of two parts', 'pageMac', pageInput);
  const verifyPage: JsonObject = { ...pageInput, mac: outputText(madePage, 'mac') };
  const boundPart = (path: string, value: Json) =>
    refuse(`part: another ${path}`, 'verifyPartMac', changed(verifyPart, path, value));
  const boundPage = (path: string, value: Json) =>
    refuse(`page: another ${path}`, 'verifyPageMac', changed(verifyPage, path, value));
  const partChanges: readonly (readonly [string, Json])[] = [
    ['partNumber', 8],
    ['size', 5242888],
    ['size', -1],
    ['blobId', namedId('blob 8')],
    ['salt', named32('blob salt 8')],
    ['salt', named32('blob salt 7').slice(2)],
    ['digestSalt', named32('digest salt 8')],
    ['digestSalt', ''],
    ['digests', named32('digests 8').repeat(2)],
  ];
  return {
    about: 'partMac, pageMac: docs/format.md, "Parts"',
    cases: [
      madePart,
      accept('part verified', 'verifyPartMac', verifyPart),
      madePage,
      accept('page verified', 'verifyPageMac', verifyPage),
      accept(
        'page verified after its blob moved',
        'verifyPageMac',
        changed(verifyPage, 'entries.0.incarnation', namedId('other')),
      ),
      accept('a page without parts', 'pageMac', { ...pageInput, page: 0, entries: [] }),
    ],
    mustFail: [
      boundPart('dataKey', named32('other data key')),
      boundPart('uploadId', namedId('other upload')),
      boundPart('mac', flipped(outputText(madePart, 'mac'), 0)),
      boundPart('mac', ''),
      ...partChanges.map(([name, value]) => boundPart(`part.${name}`, value)),
      boundPage('dataKey', named32('other data key')),
      boundPage('bodyId', namedId('other body')),
      boundPage('page', 2),
      boundPage('mac', flipped(outputText(madePage, 'mac'), 255)),
      boundPage('entries.1.offset', 1000),
      boundPage('entries', [pageInput.entries[1] ?? null, pageInput.entries[0] ?? null]),
      boundPage('entries', [pageInput.entries[0] ?? null]),
      boundPage('entries', []),
      ...partChanges.map(([name, value]) => boundPage(`entries.0.${name}`, value)),
    ],
  };
}
