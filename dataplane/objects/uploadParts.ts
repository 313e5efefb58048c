import { FormatError } from '../crypto/errors.ts';
import {
  decodeDigests,
  encodeDigests,
  openDigests,
  type PartDigests,
  partMac,
  sealDigests,
  verifyPartMac,
} from '../crypto/parts.ts';
import type { UploadPart } from '../metadata/metadata.ts';
import type { StoredBody } from './bodyWriter.ts';
import { damageAt } from './damage.ts';
import type { OpenedUpload } from './uploads.ts';

export interface PartContent {
  readonly partNumber: number;
  /** Plaintext bytes. */
  readonly size: number;
  readonly stored: Extract<StoredBody, { kind: 'blob' }>;
  readonly digests: PartDigests;
  readonly lastModifiedMs: number;
}

/** The row of one part attempt: digests sealed and everything under its MAC, or in clear for plain uploads. */
export function sealPart({ upload, dataKey }: OpenedUpload, content: PartContent): UploadPart {
  const { partNumber, size, stored, lastModifiedMs } = content;
  const { location, storedBytes, salt } = stored;
  const row = { partNumber, size, location, storedBytes, lastModifiedMs };
  if (dataKey === null) {
    return { ...row, salt: null, digestSalt: null, digests: encodeDigests(content.digests), partMac: null };
  }
  if (salt === null) throw new FormatError('Malformed', 'the part of an encrypted upload is not sealed');
  const { blobId } = location;
  const binding = { bodyId: upload.bodyId, partNumber, blobId };
  const { digestSalt, sealedDigests: digests } = sealDigests(dataKey, binding, content.digests);
  const mac = partMac(dataKey, upload.uploadId, { partNumber, size, blobId, salt, digestSalt, digests });
  return { ...row, salt, digestSalt, digests, partMac: mac };
}

/** The digests of a stored part, its MAC verified. FormatError 'Integrity' when it is not what was written. */
export function openPart(opened: OpenedUpload, part: UploadPart): PartDigests {
  try {
    return verifyPart(opened, part);
  } catch (error) {
    const { uploadId } = opened.upload;
    throw damageAt({ subject: 'upload', uploadId, blobId: part.location.blobId }, error);
  }
}

function verifyPart({ upload, dataKey }: OpenedUpload, part: UploadPart): PartDigests {
  const { partNumber, size, salt, digestSalt, digests, location } = part;
  if (dataKey === null) return decodeDigests(digests);
  if (salt === null || digestSalt === null || part.partMac === null) {
    throw new FormatError('Integrity', `part ${partNumber} of an encrypted upload is not sealed`);
  }
  const { blobId } = location;
  const maced = { partNumber, size, blobId, salt, digestSalt, digests };
  verifyPartMac(dataKey, upload.uploadId, maced, part.partMac);
  const sealed = { digestSalt, sealedDigests: digests };
  return openDigests(dataKey, { bodyId: upload.bodyId, partNumber, blobId }, sealed);
}
