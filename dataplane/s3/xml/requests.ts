/** Request documents: from a body's bytes to plain values, checked against S3's schema. */
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { S3Error } from '../errors.ts';
import { CHECKSUM_ALGORITHMS, checksumElement } from './checksums.ts';
import { childText, parseBoolean, parseXml, requireShape, type XmlElement } from './reader.ts';

/** Longest body of each request document in bytes: read no more of it. */
export const MAX_DOCUMENT_BYTES = {
  CreateBucket: 64 * 1024,
  PutBucketEncryption: 64 * 1024,
  /** 1,000 keys of 1,024 bytes, each byte written as a reference such as `&#127;`. */
  DeleteObjects: 8 * 1024 * 1024,
  /** 10,000 parts with a SHA-256 each are 1.6 MB; this leaves room for indentation. */
  CompleteMultipartUpload: 4 * 1024 * 1024,
} as const;

const MAX_DELETE_KEYS = 1000;
const MAX_PARTS = 10_000;

export interface ObjectToDelete {
  readonly key: Buffer;
  readonly versionId: string | null;
  /** As sent, quotes and all: delete only if it is the object's. */
  readonly etag: string | null;
}

interface DeleteObjectsDocument {
  readonly quiet: boolean;
  /** 1 to 1,000, in order. */
  readonly objects: readonly ObjectToDelete[];
}

export interface CompletedPart {
  /** 1 to 10,000. */
  readonly partNumber: number;
  /** Without the quotes around it. */
  readonly etag: string;
  readonly checksums: readonly { readonly algorithm: ChecksumAlgorithm; readonly value: Buffer }[];
}

/**
 * `Delete` of DeleteObjects.
 *
 * @throws S3Error MalformedXML; NotImplemented: conditions on size or time; MaxMessageLengthExceeded
 */
export function parseDeleteObjects(body: Uint8Array): DeleteObjectsDocument {
  const maxElements = 8 * MAX_DELETE_KEYS;
  const root = parseXml(body, { maxBytes: MAX_DOCUMENT_BYTES.DeleteObjects, maxElements, maxDepth: 3 });
  requireRoot(root, 'Delete');
  requireShape(root, ['Object', 'Quiet']);
  const objects = root.children.filter((child) => child.name === 'Object').map(objectToDelete);
  if (objects.length === 0 || objects.length > MAX_DELETE_KEYS) throw new S3Error('MalformedXML');
  return { quiet: parseBoolean(childText(root, 'Quiet')) ?? false, objects };
}

function objectToDelete(element: XmlElement): ObjectToDelete {
  requireShape(element, ['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']);
  for (const condition of ['LastModifiedTime', 'Size']) {
    if (childText(element, condition) !== null) throw new S3Error('NotImplemented');
  }
  const key = childText(element, 'Key') ?? '';
  if (key === '') throw new S3Error('MalformedXML');
  return {
    key: Buffer.from(key),
    versionId: childText(element, 'VersionId'),
    etag: childText(element, 'ETag'),
  };
}

/**
 * `CompleteMultipartUpload`: at least one part; their order is for the caller to check.
 *
 * @throws S3Error MalformedXML; InvalidArgument: a part number out of range; NotImplemented: a checksum algorithm
 *   that is not built; MaxMessageLengthExceeded
 */
export function parseCompleteMultipartUpload(body: Uint8Array): readonly CompletedPart[] {
  const maxElements = 10 * MAX_PARTS;
  const root = parseXml(body, {
    maxBytes: MAX_DOCUMENT_BYTES.CompleteMultipartUpload,
    maxElements,
    maxDepth: 3,
  });
  requireRoot(root, 'CompleteMultipartUpload');
  requireShape(root, ['Part']);
  if (root.children.length === 0 || root.children.length > MAX_PARTS) throw new S3Error('MalformedXML');
  return root.children.map(completedPart);
}

function completedPart(element: XmlElement): CompletedPart {
  const unknown = element.children.find((child) => !PART_ELEMENTS.has(child.name));
  if (unknown?.name.startsWith('Checksum') === true) throw new S3Error('NotImplemented');
  requireShape(element, [...PART_ELEMENTS]);
  const number = partNumber(childText(element, 'PartNumber'));
  const etag = childText(element, 'ETag')
    ?.trim()
    .replace(/^"(.*)"$/s, '$1');
  if (etag === undefined) throw new S3Error('MalformedXML');
  const checksums = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = childText(element, checksumElement(algorithm));
    return value === null ? [] : [{ algorithm, value: Buffer.from(value, 'base64') }];
  });
  return { partNumber: number, etag, checksums };
}

const PART_ELEMENTS = new Set(['PartNumber', 'ETag', ...CHECKSUM_ALGORITHMS.map(checksumElement)]);

function partNumber(text: string | null): number {
  const digits = text?.trim() ?? '';
  if (!/^-?\d{1,9}$/.test(digits)) throw new S3Error('MalformedXML');
  const number = Number(digits);
  if (number >= 1 && number <= MAX_PARTS) return number;
  const details = { ArgumentName: 'partNumber', ArgumentValue: digits };
  throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
    details,
  });
}

/**
 * `CreateBucketConfiguration`; an empty body is none.
 *
 * @returns the LocationConstraint; null when there is none or an empty one
 * @throws S3Error MalformedXML; NotImplemented: directory buckets and tags; MaxMessageLengthExceeded
 */
export function parseCreateBucketConfiguration(body: Uint8Array): string | null {
  if (body.length === 0) return null;
  const root = parseXml(body, { maxBytes: MAX_DOCUMENT_BYTES.CreateBucket, maxElements: 256, maxDepth: 5 });
  requireRoot(root, 'CreateBucketConfiguration');
  requireShape(root, ['LocationConstraint', ...NOT_BUILT]);
  if (root.children.some((child) => NOT_BUILT.includes(child.name))) throw new S3Error('NotImplemented');
  const constraint = childText(root, 'LocationConstraint')?.trim() ?? '';
  return constraint === '' ? null : constraint;
}

const NOT_BUILT = ['Location', 'Bucket', 'Tags'];

function requireRoot(root: XmlElement, name: string): void {
  if (root.name !== name) throw new S3Error('MalformedXML');
}
