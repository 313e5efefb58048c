import type { JsonObject } from './operation.ts';
import {
  accept,
  changed,
  damaged,
  flipped,
  named32,
  namedId,
  outputText,
  refuse,
  utf8,
  type VectorFile,
  without,
} from './vectorFile.ts';

/** Every type of field, and what the encoding cannot write. */
export function encodingVectors(): VectorFile {
  const encode = (name: string, ...fields: JsonObject[]) => accept(name, 'encode', { fields });
  const refuseField = (name: string, field: JsonObject) =>
    refuse(name, 'encode', { fields: [field] }, 'Malformed');
  return {
    about: 'enc(fields): docs/format.md, "Encoding"',
    cases: [
      encode('no field'),
      encode('integers', { integer: 0 }, { integer: 4294967296 }, { integer: 9007199254740991 }),
      encode('booleans', { boolean: false }, { boolean: true }),
      encode(
        'text is UTF-8 and not normalised',
        { text: '\u00e9' },
        { text: 'e\u0301' },
        { text: '\u{1f512}' },
      ),
      encode('empty text, empty bytes, absent', { text: '' }, { bytes: '' }, { absent: true }),
      encode('an empty list and an empty map', { list: [] }, { map: [] }),
      encode('a list', { list: [[{ integer: 1 }, { text: 'a' }], [], [{ absent: true }]] }),
      encode('a list in a list', { list: [[{ list: [[{ bytes: 'ff' }]] }]] }),
      encode('a map is sorted', {
        map: [
          ['b', '2'],
          ['a-b', '1'],
          ['a', ''],
        ],
      }),
      // U+FFFF sorts before U+1F512 in UTF-8, after it in UTF-16.
      encode('a map is sorted by its bytes', {
        map: [
          ['\u{1f512}', '2'],
          ['\uffff', '1'],
        ],
      }),
    ],
    mustFail: [
      refuseField('a negative integer', { integer: -1 }),
      refuseField('a fraction', { integer: 0.5 }),
      refuseField('an integer above 2^53 - 1', { integer: 9007199254740992 }),
      refuseField('a lone surrogate', { text: '\ud800' }),
      refuseField('a map name in upper case', { map: [['A', '1']] }),
      refuseField('a lone surrogate as map value', { map: [['a', '\udfff']] }),
    ],
  };
}

/** Sealed data keys and key check values. */
export function sealedKeyVectors(): VectorFile {
  const input = {
    bucketKey: named32('bucket key'),
    binding: {
      purpose: 'object',
      bucketUid: namedId('bucket'),
      objectKey: utf8('photos/\u00e9t\u00e9.jpg'),
      id: namedId('version'),
      n: 1,
    },
    dataKey: named32('data key'),
    wrapSalt: named32('wrap salt'),
  };
  const sealed = accept('for an object version', 'sealKey', input);
  const upload = changed(changed(input, 'binding.purpose', 'upload'), 'binding.n', 4294967295);
  const sealedUpload = accept('for an upload, under the highest key version', 'sealKey', upload);
  const opening = (input: JsonObject, sealedKey: string) => ({ ...without(input, 'dataKey'), sealedKey });
  const sealedKey = outputText(sealed, 'sealedKey');
  const open = opening(input, sealedKey);
  const bound = (name: string, path: string, value: string | number) =>
    refuse(name, 'openKey', changed(open, path, value));
  return {
    about: 'Sealed data key, key check value: docs/format.md, "Keys"',
    cases: [
      accept('key check value', 'keyCheck', { bucketKey: input.bucketKey }),
      sealed,
      accept('opened', 'openKey', open),
      sealedUpload,
      accept('opened for the upload', 'openKey', opening(upload, outputText(sealedUpload, 'sealedKey'))),
    ],
    mustFail: [
      ...damaged(sealedKey).map(([what, value]) =>
        refuse(what, 'openKey', changed(open, 'sealedKey', value)),
      ),
      bound('under another bucket key', 'bucketKey', named32('other bucket key')),
      bound('with another salt', 'wrapSalt', flipped(input.wrapSalt, 77)),
      bound('with a salt of 31 bytes', 'wrapSalt', input.wrapSalt.slice(2)),
      bound('for another purpose', 'binding.purpose', 'upload'),
      bound('in another bucket', 'binding.bucketUid', namedId('other bucket')),
      bound('for another object', 'binding.objectKey', utf8('photos/\u00e9t\u00e9.jpeg')),
      bound('for another version', 'binding.id', namedId('other version')),
      bound('under another key version', 'binding.n', 2),
      bound('under an impossible key version', 'binding.n', 4294967296),
      refuse(
        'to be sealed under an impossible key version',
        'sealKey',
        changed(input, 'binding.n', -1),
        'Malformed',
      ),
      refuse('a data key of 16 bytes', 'sealKey', changed(input, 'dataKey', '00'.repeat(16)), 'Malformed'),
    ],
  };
}

/** MACs of control rows. */
export function controlVectors(): VectorFile {
  const input = {
    installationKey: named32('installation key'),
    table: 'key_version',
    identifiers: [{ text: namedId('bucket') }, { integer: 1 }],
    document: utf8('{"n":1,"state":"Current"}'),
  };
  const made = accept('a key version', 'controlMac', input);
  const mac = outputText(made, 'mac');
  const verify: JsonObject = { ...input, mac };
  const bucket = { ...input, table: 'bucket', identifiers: [{ text: 'b\u00fccher' }], document: '' };
  const bound = (name: string, path: string, value: JsonObject | string) =>
    refuse(name, 'verifyControlMac', changed(verify, path, value));
  return {
    about: 'controlMac: docs/format.md, "Control rows"',
    cases: [
      made,
      accept('verified', 'verifyControlMac', verify),
      accept('an empty document', 'controlMac', bucket),
    ],
    mustFail: [
      bound('another installation', 'installationKey', named32('other installation key')),
      bound('another table', 'table', 'bucket'),
      bound('another identifier', 'identifiers.1', { integer: 2 }),
      bound('an identifier of another type', 'identifiers.1', { text: '1' }),
      bound('an identifier that cannot be encoded', 'identifiers.1', { integer: -1 }),
      bound('another document', 'document', utf8('{"n":1,"state":"current"}')),
      bound('a bit flipped in the MAC', 'mac', flipped(mac, 100)),
      bound('a MAC of 31 bytes', 'mac', mac.slice(2)),
      bound('no MAC', 'mac', ''),
    ],
  };
}

/** Secrets of access keys. */
export function accessKeySecretVectors(): VectorFile {
  const input = {
    installationKey: named32('installation key'),
    accessKeyId: 'SGEXAMPLEACCESSKEY01',
    secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    secretSalt: named32('secret salt'),
  };
  const sealed = accept('sealed', 'sealSecret', input);
  const sealedSecret = outputText(sealed, 'sealedSecret');
  const open: JsonObject = { ...without(input, 'secret'), sealedSecret };
  const bound = (name: string, path: string, value: string) =>
    refuse(name, 'openSecret', changed(open, path, value));
  return {
    about: 'Sealed secrets of access keys: docs/format.md, "Control rows"',
    cases: [sealed, accept('opened', 'openSecret', open)],
    mustFail: [
      ...damaged(sealedSecret).map(([what, value]) =>
        refuse(what, 'openSecret', changed(open, 'sealedSecret', value)),
      ),
      bound('under another installation key', 'installationKey', named32('other installation key')),
      bound('with another salt', 'secretSalt', flipped(input.secretSalt, 77)),
      bound('with a salt of 31 bytes', 'secretSalt', input.secretSalt.slice(2)),
      bound('of another access key', 'accessKeyId', 'SGEXAMPLEACCESSKEY02'),
    ],
  };
}

/** ETags as listings keep them. */
export function listEtagVectors(): VectorFile {
  const input = {
    bucketKey: named32('bucket key'),
    wrapSalt: named32('wrap salt'),
    etag: named32('etag').slice(32),
  };
  const masked = accept('masked', 'maskEtag', input);
  return {
    about: 'ETag in listings: docs/format.md, "Object record"',
    cases: [masked, accept('unmasked', 'maskEtag', changed(input, 'etag', outputText(masked, 'masked')))],
    mustFail: [
      refuse('an ETag of 15 bytes', 'maskEtag', changed(input, 'etag', input.etag.slice(2)), 'Malformed'),
      refuse(
        'a salt of 16 bytes',
        'maskEtag',
        changed(input, 'wrapSalt', input.wrapSalt.slice(32)),
        'Malformed',
      ),
    ],
  };
}
