import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import { errorXml } from './errorDocument.ts';
import {
  type ListingEntry,
  listBucketsXml,
  listMultipartUploadsXml,
  listObjectsV2Xml,
  listObjectsXml,
  listPartsXml,
} from './listings.ts';
import {
  bucketEncryptionXml,
  completeMultipartUploadXml,
  copyObjectResultXml,
  copyPartResultXml,
  deleteResultXml,
  initiateMultipartUploadXml,
  locationXml,
  postResponseXml,
} from './results.ts';

const GOLDEN = new URL('golden/', import.meta.url);
const OWNER = '75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a';
const ETAG = '9b2cf535f27731c974343645a3985328';
const NOON_MS = Date.UTC(2026, 0, 2, 12, 0, 0, 987);
const UPLOAD_ID = '0123456789abcdef0123456789abcdef';

const plainEntry: ListingEntry = {
  key: Buffer.from('my-image.jpg'),
  lastModifiedMs: NOON_MS,
  etag: ETAG,
  sizeBytes: 434_234,
  ownerId: OWNER,
};
const oddKey = Buffer.from('a b/+&<€>"\r\n\u0001~%2f.txt');
const oddEntry: ListingEntry = { ...plainEntry, key: oddKey, etag: `${ETAG}-2`, sizeBytes: 5 * 1024 ** 4 };

const listing = {
  bucket: 'bucket',
  prefix: '',
  delimiter: null,
  maxKeys: 1000,
  encodingType: null,
  isTruncated: false,
  objects: [],
  commonPrefixes: [],
} as const;

const uploads = {
  bucket: 'bucket',
  keyMarker: '',
  uploadIdMarker: '',
  nextKeyMarker: null,
  nextUploadIdMarker: null,
  prefix: '',
  delimiter: null,
  maxUploads: 1000,
  encodingType: null,
  isTruncated: false,
  uploads: [],
  commonPrefixes: [],
} as const;

const parts = {
  bucket: 'bucket',
  key: 'a&b',
  uploadId: UPLOAD_ID,
  ownerId: OWNER,
  checksumAlgorithm: null,
  checksumType: null,
  partNumberMarker: 0,
  nextPartNumberMarker: null,
  maxParts: 1000,
  isTruncated: false,
  parts: [],
} as const;

const created = {
  location: 'http://h:9000/bucket/a%26b',
  bucket: 'bucket',
  key: Buffer.from('a&b'),
  etag: `${ETAG}-2`,
};

/** Every document, in its plain and in its fullest form; golden/<name>.xml holds what S3 would send, indented. */
const DOCUMENTS: Readonly<Record<string, string>> = {
  error: errorXml(
    new S3Error('InvalidArgument', 'The encryption method specified is not supported', {
      details: { ArgumentName: 'x-amz-server-side-encryption', ArgumentValue: '<aws:kms>' },
      cause: new Error('never shown'),
    }),
    '/bucket/a&b',
    '4442587FB7D0A2F9',
  ),
  listBuckets: listBucketsXml({
    ownerId: OWNER,
    buckets: [
      { name: 'first', createdMs: NOON_MS, region: 'eu-west-1' },
      { name: 'second', createdMs: 0, region: 'eu-west-1' },
    ],
    prefix: null,
    continuationToken: null,
  }),
  'listBuckets-page': listBucketsXml({
    ownerId: OWNER,
    buckets: [],
    prefix: 'a&',
    continuationToken: 'dG9rZW4=',
  }),
  listObjects: listObjectsXml({ ...listing, marker: '', nextMarker: null, objects: [plainEntry] }),
  'listObjects-full': listObjectsXml({
    ...listing,
    prefix: 'a b/',
    marker: 'a b/"',
    nextMarker: 'a b/c d/',
    delimiter: '/ ',
    encodingType: 'url',
    isTruncated: true,
    maxKeys: 2,
    objects: [oddEntry],
    commonPrefixes: [Buffer.from('a b/c d/')],
  }),
  listObjectsV2: listObjectsV2Xml({
    ...listing,
    startAfter: null,
    continuationToken: null,
    nextContinuationToken: null,
    objects: [{ ...plainEntry, ownerId: null }],
  }),
  'listObjectsV2-full': listObjectsV2Xml({
    ...listing,
    prefix: 'a b/',
    delimiter: '/',
    startAfter: 'a b/"',
    continuationToken: 'dG9rZW4+/w==',
    nextContinuationToken: 'bmV4dA==',
    isTruncated: true,
    maxKeys: 2,
    objects: [oddEntry],
    commonPrefixes: [Buffer.from('a b/c&d/')],
  }),
  listMultipartUploads: listMultipartUploadsXml(uploads),
  'listMultipartUploads-full': listMultipartUploadsXml({
    ...uploads,
    keyMarker: 'a b',
    uploadIdMarker: UPLOAD_ID,
    nextKeyMarker: 'c d',
    nextUploadIdMarker: UPLOAD_ID,
    prefix: 'a b/',
    delimiter: '/',
    encodingType: 'url',
    isTruncated: true,
    uploads: [
      {
        key: Buffer.from('c d'),
        uploadId: UPLOAD_ID,
        ownerId: OWNER,
        createdMs: NOON_MS,
        checksumAlgorithm: 'CRC64NVME',
        checksumType: 'FULL_OBJECT',
      },
    ],
    commonPrefixes: ['a b/'],
  }),
  listParts: listPartsXml(parts),
  'listParts-full': listPartsXml({
    ...parts,
    checksumAlgorithm: 'SHA256',
    checksumType: 'COMPOSITE',
    partNumberMarker: 1,
    nextPartNumberMarker: 3,
    isTruncated: true,
    maxParts: 2,
    parts: [
      {
        partNumber: 2,
        lastModifiedMs: NOON_MS,
        etag: ETAG,
        sizeBytes: 5 * 1024 ** 2,
        checksum: { algorithm: 'SHA256', type: null, value: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' },
      },
      { partNumber: 3, lastModifiedMs: NOON_MS, etag: ETAG, sizeBytes: 0, checksum: null },
    ],
  }),
  location: locationXml('eu-west-1'),
  'location-us-east-1': locationXml('us-east-1'),
  bucketEncryption: bucketEncryptionXml(),
  deleteResult: deleteResultXml(
    [
      { key: oddKey, versionId: null, error: null },
      { key: 'b', versionId: 'null', error: null },
      { key: 'c', versionId: 'null', error: new S3Error('AccessDenied') },
    ],
    false,
  ),
  'deleteResult-quiet': deleteResultXml(
    [
      { key: 'a', versionId: null, error: null },
      { key: 'b', versionId: null, error: new S3Error('InternalError') },
    ],
    true,
  ),
  copyObjectResult: copyObjectResultXml({
    lastModifiedMs: NOON_MS,
    etag: ETAG,
    checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' },
  }),
  copyPartResult: copyPartResultXml({ lastModifiedMs: NOON_MS, etag: ETAG, checksum: null }),
  initiateMultipartUpload: initiateMultipartUploadXml('bucket', Buffer.from('a&b'), UPLOAD_ID),
  completeMultipartUpload: completeMultipartUploadXml({
    ...created,
    checksum: { algorithm: 'CRC32C', type: 'COMPOSITE', value: 'AAAAAA==-2' },
  }),
  postResponse: postResponseXml(created),
};

/** Golden files are indented for people; what is sent has no white space between elements. */
function golden(name: string): string {
  const text = readFileSync(new URL(`${name}.xml`, GOLDEN), 'utf8').trimEnd();
  return text.replaceAll(/>\n *</g, '><').replace('?><', '?>\n<');
}

describe('answer documents', () => {
  it.each(Object.entries(DOCUMENTS))('%s are as their golden file', (name, text) => {
    expect(text).toBe(golden(name));
  });

  it('have no golden file without a document', () => {
    const files = readdirSync(GOLDEN).map((file) => file.replace('.xml', ''));
    expect(files.toSorted()).toEqual(Object.keys(DOCUMENTS).toSorted());
  });

  it('never tell the cause of an error', () => {
    expect(DOCUMENTS['error']).not.toContain('never shown');
  });
});
