import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import {
  MAX_DOCUMENT_BYTES,
  parseCompleteMultipartUpload,
  parseCreateBucketConfiguration,
  parseDeleteObjects,
} from './requests.ts';
import { xml } from './writer.ts';

function codeOf(parse: (body: Uint8Array) => unknown, text: string): string {
  try {
    parse(Buffer.from(text));
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('parseDeleteObjects', () => {
  it('reads keys as they are, version ids, ETags and Quiet', () => {
    const body = `<?xml version="1.0"?>
      <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Object><Key> a&#13;&amp;/../€ </Key></Object>
        <Object><Key>b</Key><VersionId>null</VersionId><ETag>"e"</ETag></Object>
        <Quiet>true</Quiet>
      </Delete>`;
    expect(parseDeleteObjects(Buffer.from(body))).toEqual({
      quiet: true,
      objects: [
        { key: Buffer.from(' a\r&/../€ '), versionId: null, etag: null },
        { key: Buffer.from('b'), versionId: 'null', etag: '"e"' },
      ],
    });
    expect(parseDeleteObjects(Buffer.from('<Delete><Object><Key>a</Key></Object></Delete>')).quiet).toBe(
      false,
    );
  });

  const objects = (count: number): string => '<Object><Key>a</Key></Object>'.repeat(count);
  it.each<[what: string, body: string, code: string]>([
    ['1,000 keys', `<Delete>${objects(1000)}</Delete>`, 'accepted'],
    [
      '1,000 full objects',
      `<Delete>${'<Object><Key>a</Key><VersionId>v</VersionId><ETag>e</ETag></Object>'.repeat(1000)}<Quiet>1</Quiet></Delete>`,
      'accepted',
    ],
    ['1,001 keys', `<Delete>${objects(1001)}</Delete>`, 'MalformedXML'],
    ['no key', '<Delete/>', 'MalformedXML'],
    ['an object without a key', '<Delete><Object/></Delete>', 'MalformedXML'],
    ['an empty key', '<Delete><Object><Key/></Object></Delete>', 'MalformedXML'],
    ['two keys in one object', '<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>', 'MalformedXML'],
    ['an element in a key', '<Delete><Object><Key><a/></Key></Object></Delete>', 'MalformedXML'],
    ['an unknown element', `<Delete>${objects(1)}<Force/></Delete>`, 'MalformedXML'],
    [
      'an unknown element in an object',
      '<Delete><Object><Key>a</Key><Force/></Object></Delete>',
      'MalformedXML',
    ],
    ['Quiet twice', `<Delete>${objects(1)}<Quiet>true</Quiet><Quiet>false</Quiet></Delete>`, 'MalformedXML'],
    ['Quiet that is neither', `<Delete>${objects(1)}<Quiet>maybe</Quiet></Delete>`, 'MalformedXML'],
    ['another root', `<Deletes>${objects(1)}</Deletes>`, 'MalformedXML'],
    ['nothing', '', 'MalformedXML'],
    [
      'a condition on the size',
      '<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>',
      'NotImplemented',
    ],
    [
      'a condition on the time',
      '<Delete><Object><Key>a</Key><LastModifiedTime/></Object></Delete>',
      'NotImplemented',
    ],
    ['too many bytes', ' '.repeat(MAX_DOCUMENT_BYTES.DeleteObjects + 1), 'MaxMessageLengthExceeded'],
  ])('answers %s', (_, body, code) => {
    expect(codeOf(parseDeleteObjects, body)).toBe(code);
  });

  it('has room for 1,000 keys of 1,024 bytes, each byte a reference', () => {
    const body = xml(
      'Delete',
      Array.from({ length: 1000 }, () => ['Object', [['Key', '"'.repeat(1024)]]]),
    );
    const { objects } = parseDeleteObjects(Buffer.from(body));
    expect(objects[999]?.key).toEqual(Buffer.alloc(1024, '"'));
  });

  it('gives back any key that XML has a place for', () => {
    const key = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 5 }), (keys) => {
        const body = xml(
          'Delete',
          keys.map((it) => ['Object', [['Key', it]]]),
        );
        expect(parseDeleteObjects(Buffer.from(body)).objects.map((it) => it.key.toString())).toEqual(keys);
      }),
    );
  });
});

describe('parseCompleteMultipartUpload', () => {
  const part = (content: string): string =>
    `<CompleteMultipartUpload><Part>${content}</Part></CompleteMultipartUpload>`;

  it('reads part numbers, ETags with or without quotes, and checksums, in the order sent', () => {
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
      <Part><PartNumber>2</PartNumber><ETag>&quot;e2&quot;</ETag><ChecksumCRC32>AAAAAQ==</ChecksumCRC32></Part>
      <Part><ETag> e1 </ETag><PartNumber> 1 </PartNumber></Part>
    </CompleteMultipartUpload>`;
    expect(parseCompleteMultipartUpload(Buffer.from(body))).toEqual([
      { partNumber: 2, etag: 'e2', checksums: [{ algorithm: 'CRC32', value: Buffer.from([0, 0, 0, 1]) }] },
      { partNumber: 1, etag: 'e1', checksums: [] },
    ]);
  });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'])('reads a %s', (algorithm) => {
    const checksum = `<Checksum${algorithm}>AQI=</Checksum${algorithm}>`;
    const [completed] = parseCompleteMultipartUpload(
      Buffer.from(part(`<PartNumber>1</PartNumber><ETag>e</ETag>${checksum}`)),
    );
    expect(completed?.checksums).toEqual([{ algorithm, value: Buffer.from([1, 2]) }]);
  });

  const many = (count: number): string =>
    `<CompleteMultipartUpload>${'<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>'.repeat(count)}</CompleteMultipartUpload>`;
  const numbered = (text: string): string => part(`<PartNumber>${text}</PartNumber><ETag>e</ETag>`);
  it.each<[what: string, body: string, code: string]>([
    ['part 1', numbered('1'), 'accepted'],
    ['part 10,000', numbered('10000'), 'accepted'],
    ['part 0', numbered('0'), 'InvalidArgument'],
    ['part 10,001', numbered('10001'), 'InvalidArgument'],
    ['part -1', numbered('-1'), 'InvalidArgument'],
    ['part 1.0', numbered('1.0'), 'MalformedXML'],
    ['part 1e3', numbered('1e3'), 'MalformedXML'],
    ['part one', numbered('one'), 'MalformedXML'],
    ['an empty part number', numbered(''), 'MalformedXML'],
    ['no part number', part('<ETag>e</ETag>'), 'MalformedXML'],
    ['no ETag', part('<PartNumber>1</PartNumber>'), 'MalformedXML'],
    ['two ETags', part('<PartNumber>1</PartNumber><ETag>e</ETag><ETag>e</ETag>'), 'MalformedXML'],
    ['an unknown element', part('<PartNumber>1</PartNumber><ETag>e</ETag><Size>1</Size>'), 'MalformedXML'],
    [
      'an unknown checksum',
      part('<PartNumber>1</PartNumber><ETag>e</ETag><ChecksumSHA512>AA==</ChecksumSHA512>'),
      'NotImplemented',
    ],
    ['no part', '<CompleteMultipartUpload/>', 'MalformedXML'],
    ['nothing', '', 'MalformedXML'],
    ['another root', '<CompleteMultipartUploads/>', 'MalformedXML'],
    ['another child', '<CompleteMultipartUpload><Parts/></CompleteMultipartUpload>', 'MalformedXML'],
    ['10,000 parts', many(10_000), 'accepted'],
    ['10,001 parts', many(10_001), 'MalformedXML'],
    [
      'too many bytes',
      ' '.repeat(MAX_DOCUMENT_BYTES.CompleteMultipartUpload + 1),
      'MaxMessageLengthExceeded',
    ],
  ])('answers %s', (_, body, code) => {
    expect(codeOf(parseCompleteMultipartUpload, body)).toBe(code);
  });
});

describe('parseCreateBucketConfiguration', () => {
  const configuration = (content: string): string =>
    `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</CreateBucketConfiguration>`;

  it.each<[body: string, constraint: string | null]>([
    ['', null],
    [configuration(''), null],
    [configuration('<LocationConstraint/>'), null],
    [configuration('<LocationConstraint>eu-west-1</LocationConstraint>'), 'eu-west-1'],
    [configuration('\n <LocationConstraint> eu-west-1 </LocationConstraint>\n'), 'eu-west-1'],
  ])('reads %s', (body, constraint) => {
    expect(parseCreateBucketConfiguration(Buffer.from(body))).toBe(constraint);
  });

  it.each<[body: string, code: string]>([
    [' ', 'MalformedXML'],
    ['<LocationConstraint>x</LocationConstraint>', 'MalformedXML'],
    [configuration('<Region>x</Region>'), 'MalformedXML'],
    [
      configuration('<LocationConstraint>a</LocationConstraint><LocationConstraint>b</LocationConstraint>'),
      'MalformedXML',
    ],
    [configuration('<Bucket><Type>Directory</Type></Bucket>'), 'NotImplemented'],
    [configuration('<Location><Name>x</Name></Location>'), 'NotImplemented'],
    [configuration('<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>'), 'NotImplemented'],
    [' '.repeat(MAX_DOCUMENT_BYTES.CreateBucket + 1), 'MaxMessageLengthExceeded'],
  ])('refuses %.80s', (body, code) => {
    expect(codeOf(parseCreateBucketConfiguration, body)).toBe(code);
  });
});
