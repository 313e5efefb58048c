/** Answers of the listing operations: plain values to XML text, elements and their order as S3 sends them. */
import type { ChecksumAlgorithm, ChecksumType } from '../../metadata/metadata.ts';
import { checksumNodes, type ShownChecksum } from './checksums.ts';
import { type KeyText, keyText } from './urlEncoding.ts';
import { isoTime, type XmlNode, xml } from './writer.ts';

type EncodingType = 'url' | null;

const STANDARD: XmlNode = ['StorageClass', 'STANDARD'];

function person(element: 'Owner' | 'Initiator', ownerId: string): XmlNode {
  return [
    element,
    [
      ['ID', ownerId],
      ['DisplayName', ownerId],
    ],
  ];
}

function optional(name: string, text: string | null): XmlNode {
  return text === null ? null : [name, text];
}

function optionalKey(name: string, key: KeyText | null, encodingType: EncodingType): XmlNode {
  return key === null ? null : [name, keyText(key, encodingType)];
}

function prefixNodes(commonPrefixes: readonly KeyText[], encodingType: EncodingType): XmlNode[] {
  return commonPrefixes.map((prefix) => ['CommonPrefixes', [['Prefix', keyText(prefix, encodingType)]]]);
}

interface BucketListing {
  readonly ownerId: string;
  readonly buckets: readonly { readonly name: string; readonly createdMs: number; readonly region: string }[];
  /** As asked for. */
  readonly prefix: string | null;
  /** Where the next page starts; null on the last. */
  readonly continuationToken: string | null;
}

/** ListBuckets: `ListAllMyBucketsResult`. */
export function listBucketsXml(listing: BucketListing): string {
  return xml('ListAllMyBucketsResult', [
    person('Owner', listing.ownerId),
    [
      'Buckets',
      listing.buckets.map((bucket) => [
        'Bucket',
        [
          ['Name', bucket.name],
          ['CreationDate', isoTime(bucket.createdMs)],
          ['BucketRegion', bucket.region],
        ],
      ]),
    ],
    optional('ContinuationToken', listing.continuationToken),
    optional('Prefix', listing.prefix),
  ]);
}

export interface ListingEntry {
  readonly key: KeyText;
  readonly lastModifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  /** Of the plaintext. */
  readonly sizeBytes: number;
  /** null: not told (version 2 without fetch-owner). */
  readonly ownerId: string | null;
}

interface ObjectListing {
  readonly bucket: string;
  readonly prefix: KeyText;
  /** null: none was given. */
  readonly delimiter: KeyText | null;
  readonly maxKeys: number;
  readonly encodingType: EncodingType;
  readonly isTruncated: boolean;
  readonly objects: readonly ListingEntry[];
  readonly commonPrefixes: readonly KeyText[];
}

interface ObjectListingV1 extends ObjectListing {
  readonly marker: KeyText;
  /** null: left out, as S3 does when the listing is complete or has no delimiter. */
  readonly nextMarker: KeyText | null;
}

interface ObjectListingV2 extends ObjectListing {
  /** The three as sent, and where the next page starts. Tokens are opaque and never url-encoded. */
  readonly startAfter: KeyText | null;
  readonly continuationToken: string | null;
  readonly nextContinuationToken: string | null;
}

/** ListObjects (version 1): `ListBucketResult`. */
export function listObjectsXml(listing: ObjectListingV1): string {
  const { encodingType } = listing;
  return xml('ListBucketResult', [
    ['Name', listing.bucket],
    ['Prefix', keyText(listing.prefix, encodingType)],
    ['Marker', keyText(listing.marker, encodingType)],
    optionalKey('NextMarker', listing.nextMarker, encodingType),
    ['MaxKeys', listing.maxKeys],
    ...listedNodes(listing),
  ]);
}

/** ListObjectsV2: `ListBucketResult`. */
export function listObjectsV2Xml(listing: ObjectListingV2): string {
  const { encodingType } = listing;
  return xml('ListBucketResult', [
    ['Name', listing.bucket],
    ['Prefix', keyText(listing.prefix, encodingType)],
    optionalKey('StartAfter', listing.startAfter, encodingType),
    optional('ContinuationToken', listing.continuationToken),
    optional('NextContinuationToken', listing.nextContinuationToken),
    ['KeyCount', listing.objects.length + listing.commonPrefixes.length],
    ['MaxKeys', listing.maxKeys],
    ...listedNodes(listing),
  ]);
}

function listedNodes(listing: ObjectListing): XmlNode[] {
  const { encodingType } = listing;
  return [
    optionalKey('Delimiter', listing.delimiter, encodingType),
    optional('EncodingType', encodingType),
    ['IsTruncated', listing.isTruncated],
    ...listing.objects.map(
      (object): XmlNode => [
        'Contents',
        [
          ['Key', keyText(object.key, encodingType)],
          ['LastModified', isoTime(object.lastModifiedMs)],
          ['ETag', `"${object.etag}"`],
          ['Size', object.sizeBytes],
          object.ownerId === null ? null : person('Owner', object.ownerId),
          STANDARD,
        ],
      ],
    ),
    ...prefixNodes(listing.commonPrefixes, encodingType),
  ];
}

interface ShownUpload {
  readonly uploadId: string;
  readonly ownerId: string;
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: ChecksumType | null;
}

function uploadChecksumNodes(upload: ShownUpload): XmlNode[] {
  return [
    optional('ChecksumAlgorithm', upload.checksumAlgorithm),
    optional('ChecksumType', upload.checksumType),
  ];
}

interface UploadListing {
  readonly bucket: string;
  readonly keyMarker: KeyText;
  readonly uploadIdMarker: string;
  /** null: left out, the listing is complete. */
  readonly nextKeyMarker: KeyText | null;
  readonly nextUploadIdMarker: string | null;
  readonly prefix: KeyText;
  readonly delimiter: KeyText | null;
  readonly maxUploads: number;
  readonly encodingType: EncodingType;
  readonly isTruncated: boolean;
  readonly uploads: readonly (ShownUpload & { readonly key: KeyText; readonly createdMs: number })[];
  readonly commonPrefixes: readonly KeyText[];
}

/** ListMultipartUploads: `ListMultipartUploadsResult`. */
export function listMultipartUploadsXml(listing: UploadListing): string {
  const { encodingType } = listing;
  return xml('ListMultipartUploadsResult', [
    ['Bucket', listing.bucket],
    ['KeyMarker', keyText(listing.keyMarker, encodingType)],
    ['UploadIdMarker', listing.uploadIdMarker],
    optionalKey('NextKeyMarker', listing.nextKeyMarker, encodingType),
    optional('NextUploadIdMarker', listing.nextUploadIdMarker),
    ['Prefix', keyText(listing.prefix, encodingType)],
    optionalKey('Delimiter', listing.delimiter, encodingType),
    optional('EncodingType', encodingType),
    ['MaxUploads', listing.maxUploads],
    ['IsTruncated', listing.isTruncated],
    ...listing.uploads.map(
      (upload): XmlNode => [
        'Upload',
        [
          ['Key', keyText(upload.key, encodingType)],
          ['UploadId', upload.uploadId],
          person('Initiator', upload.ownerId),
          person('Owner', upload.ownerId),
          STANDARD,
          ['Initiated', isoTime(upload.createdMs)],
          ...uploadChecksumNodes(upload),
        ],
      ],
    ),
    ...prefixNodes(listing.commonPrefixes, encodingType),
  ]);
}

interface PartListing extends ShownUpload {
  readonly bucket: string;
  readonly key: KeyText;
  readonly partNumberMarker: number;
  /** null: left out, the listing is complete. */
  readonly nextPartNumberMarker: number | null;
  readonly maxParts: number;
  readonly isTruncated: boolean;
  readonly parts: readonly {
    readonly partNumber: number;
    readonly lastModifiedMs: number;
    /** Without quotes. */
    readonly etag: string;
    readonly sizeBytes: number;
    readonly checksum: ShownChecksum | null;
  }[];
}

/** ListParts: `ListPartsResult`. */
export function listPartsXml(listing: PartListing): string {
  return xml('ListPartsResult', [
    ['Bucket', listing.bucket],
    ['Key', keyText(listing.key, null)],
    ['UploadId', listing.uploadId],
    person('Initiator', listing.ownerId),
    person('Owner', listing.ownerId),
    STANDARD,
    ['PartNumberMarker', listing.partNumberMarker],
    listing.nextPartNumberMarker === null ? null : ['NextPartNumberMarker', listing.nextPartNumberMarker],
    ['MaxParts', listing.maxParts],
    ['IsTruncated', listing.isTruncated],
    ...uploadChecksumNodes(listing),
    ...listing.parts.map(
      (part): XmlNode => [
        'Part',
        [
          ['PartNumber', part.partNumber],
          ['LastModified', isoTime(part.lastModifiedMs)],
          ['ETag', `"${part.etag}"`],
          ['Size', part.sizeBytes],
          ...checksumNodes(part.checksum),
        ],
      ],
    ),
  ]);
}
