/** Answers of the other operations: plain values to XML text, elements as S3 sends them. */
import type { S3Error } from '../errors.ts';
import { checksumNodes, type ShownChecksum } from './checksums.ts';
import { type KeyText, keyText } from './urlEncoding.ts';
import { isoTime, type XmlNode, xml } from './writer.ts';

/** GetBucketLocation: `LocationConstraint`, empty for us-east-1 as S3 answers. */
export function locationXml(region: string): string {
  return xml('LocationConstraint', region === 'us-east-1' ? '' : region);
}

/** GetBucketEncryption of an encrypted bucket: its one rule. */
export function bucketEncryptionXml(): string {
  const rule: XmlNode = [
    'Rule',
    [
      ['ApplyServerSideEncryptionByDefault', [['SSEAlgorithm', 'AES256']]],
      ['BucketKeyEnabled', false],
    ],
  ];
  return xml('ServerSideEncryptionConfiguration', [rule]);
}

export interface DeleteOutcome {
  readonly key: KeyText;
  /** As the request gave it. */
  readonly versionId: string | null;
  /** null: deleted, or was not there. */
  readonly error: S3Error | null;
}

/** DeleteObjects: `DeleteResult`; with quiet only what failed. */
export function deleteResultXml(outcomes: readonly DeleteOutcome[], quiet: boolean): string {
  const nodes = outcomes.map((outcome): XmlNode => {
    const { error } = outcome;
    if (error === null && quiet) return null;
    const what: XmlNode[] = [
      ['Key', keyText(outcome.key, null)],
      outcome.versionId === null ? null : ['VersionId', outcome.versionId],
    ];
    if (error === null) return ['Deleted', what];
    return ['Error', [...what, ['Code', error.code], ['Message', error.message]]];
  });
  return xml('DeleteResult', nodes);
}

interface CopyOutcome {
  readonly lastModifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum: ShownChecksum | null;
}

function copyNodes(outcome: CopyOutcome): XmlNode[] {
  return [
    ['LastModified', isoTime(outcome.lastModifiedMs)],
    ['ETag', `"${outcome.etag}"`],
    ...checksumNodes(outcome.checksum),
  ];
}

/** CopyObject: `CopyObjectResult`. */
export function copyObjectResultXml(outcome: CopyOutcome): string {
  return xml('CopyObjectResult', copyNodes(outcome));
}

/** UploadPartCopy: `CopyPartResult`. */
export function copyPartResultXml(outcome: CopyOutcome): string {
  return xml('CopyPartResult', copyNodes(outcome));
}

/** CreateMultipartUpload: `InitiateMultipartUploadResult`. */
export function initiateMultipartUploadXml(bucket: string, key: KeyText, uploadId: string): string {
  return xml('InitiateMultipartUploadResult', [
    ['Bucket', bucket],
    ['Key', keyText(key, null)],
    ['UploadId', uploadId],
  ]);
}

interface NewObject {
  /** URL of the object, percent-encoded. */
  readonly location: string;
  readonly bucket: string;
  readonly key: KeyText;
  /** Without quotes. */
  readonly etag: string;
}

function newObjectNodes(object: NewObject): XmlNode[] {
  return [
    ['Location', object.location],
    ['Bucket', object.bucket],
    ['Key', keyText(object.key, null)],
    ['ETag', `"${object.etag}"`],
  ];
}

/** CompleteMultipartUpload: `CompleteMultipartUploadResult`. */
export function completeMultipartUploadXml(
  object: NewObject & { readonly checksum: ShownChecksum | null },
): string {
  return xml('CompleteMultipartUploadResult', [...newObjectNodes(object), ...checksumNodes(object.checksum)]);
}

/** POST object with success_action_status 201: `PostResponse`, in no namespace. */
export function postResponseXml(object: NewObject): string {
  return xml('PostResponse', newObjectNodes(object), { namespace: false });
}
