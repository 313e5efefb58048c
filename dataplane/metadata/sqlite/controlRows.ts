/**
 * Control rows: stored documents with a MAC under the control key (format: Control rows).
 *
 * A document is JSON; fields that this build does not know survive an update. Every load verifies the MAC over the
 * very bytes and the identifiers of the row, so that neither an edited document nor a row moved to another name
 * passes. A failure is MetadataError 'Integrity'.
 */
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { PERMISSIONS } from '../../admin/schema/accessKeys.ts';
import { controlMac, verifyControlMac } from '../../crypto/control.ts';
import { FormatError } from '../../crypto/errors.ts';
import {
  type AccessKeyDocument,
  type BucketDocument,
  type KeyVersionDocument,
  MetadataError,
  type UploadRow,
} from '../metadata.ts';
import { bytes, type Row } from './columns.ts';

const id = z.string().regex(/^[0-9a-f]{32}$/);

const bucketSchema = z.object({
  name: z.string(),
  bucketUid: id,
  revision: z.number(),
  ownerId: z.string(),
  region: z.string(),
  createdMs: z.number(),
  state: z.enum(['Creating', 'Ready', 'Deleting']),
  encryption: z.enum(['AES256']).nullable(),
  keyVersion: z.number().nullable(),
  everPlain: z.boolean(),
  versioning: z.enum(['Unversioned']),
  // Documents of an earlier build lack these.
  rotateEveryMs: z.number().nullable().default(null),
  owner: z.string().nullable().default(null),
  kmsConnection: z.string().nullable().default(null),
});

const keyVersionSchema = z.object({
  bucketUid: id,
  n: z.number(),
  revision: z.number(),
  kmsConnection: z.string(),
  kmsName: z.string(),
  kmsId: z.string().nullable(),
  keyCheckValue: z.string().nullable(),
  state: z.enum(['Creating', 'Current', 'Readable', 'Retiring', 'Revoked', 'Destroyed']),
  reservedMs: z.number(),
  attempt: id.nullable(),
  // Documents of an earlier build lack it.
  rotation: z.object({ requestId: z.string().nullable(), rotatedMs: z.number() }).nullable().default(null),
  answers: z.string().nullable().default(null),
});

const base64 = z.base64();

const uploadSchema = z.object({
  uploadId: id,
  bucketUid: id,
  key: base64,
  bodyId: id,
  encrypted: z.boolean(),
  suite: z.number(),
  chunkLog2: z.number(),
  checksumAlgorithm: z.enum(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']).nullable(),
  checksumType: z.enum(['FULL_OBJECT', 'COMPOSITE']).nullable(),
  ownerId: z.string(),
  createdMs: z.number(),
  uploadSalt: base64.nullable(),
  sealedMeta: base64.nullable(),
  clearMeta: base64.nullable(),
});

const accessKeySchema = z.object({
  accessKeyId: z.string(),
  revision: z.number(),
  owner: z.string(),
  grants: z.array(
    z.object({ bucket: z.string(), prefix: z.string(), permissions: z.array(z.enum(PERMISSIONS)) }),
  ),
  createdMs: z.number(),
  expiresMs: z.number().nullable(),
  secretSalt: base64,
  sealedSecret: base64,
});

/** An upload's document: what never changes after its creation. */
export type UploadDocument = z.infer<typeof uploadSchema>;

/** The two stored columns of a control row. */
export interface StoredDocument {
  readonly document: Uint8Array;
  readonly controlMac: Uint8Array;
}

export function storedDocument(row: Row): StoredDocument {
  return { document: bytes(row, 'document'), controlMac: bytes(row, 'control_mac') };
}

interface ControlTable<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly identifiers: (document: T) => readonly (string | number)[];
}

export const bucketTable: ControlTable<BucketDocument> = {
  name: 'bucket',
  schema: bucketSchema,
  identifiers: (bucket) => [bucket.name, bucket.bucketUid],
};

export const keyVersionTable: ControlTable<KeyVersionDocument> = {
  name: 'key_version',
  schema: keyVersionSchema,
  identifiers: (keyVersion) => [keyVersion.bucketUid, keyVersion.n],
};

export const uploadTable: ControlTable<UploadDocument> = {
  name: 'upload',
  schema: uploadSchema,
  identifiers: (upload) => [upload.uploadId],
};

export const accessKeyTable: ControlTable<AccessKeyDocument> = {
  name: 'access_key',
  schema: accessKeySchema,
  identifiers: (accessKey) => [accessKey.accessKeyId],
};

interface Verified {
  readonly document: Uint8Array;
  readonly controlMac: Uint8Array;
  readonly value: unknown;
}

const rememberedDocuments = 4_096;

/** Seals and opens control rows, and remembers which exact bytes it has verified before. */
export class ControlRows {
  readonly #key: KeyObject;
  readonly #verified = new Map<string, Verified>();

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** The document of a row that stands under these identifiers. */
  open<T>(table: ControlTable<T>, identifiers: readonly (string | number)[], stored: StoredDocument): T {
    const place = JSON.stringify([table.name, ...identifiers]);
    const known = this.#verified.get(place);
    if (known !== undefined && sameBytes(known, stored)) return known.value as T;
    try {
      verifyControlMac(this.#key, table.name, identifiers, stored.document, stored.controlMac);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new MetadataError('Integrity', `a ${table.name} row is not authentic`, { cause: error });
    }
    const parsed = table.schema.safeParse(JSON.parse(Buffer.from(stored.document).toString('utf8')));
    if (!parsed.success) {
      throw new MetadataError('Integrity', `a ${table.name} row has an unknown form`, {
        cause: parsed.error,
      });
    }
    const value = Object.freeze(parsed.data);
    if (JSON.stringify([table.name, ...table.identifiers(value)]) !== place) {
      throw new MetadataError('Integrity', `a ${table.name} row stands in another's place`);
    }
    this.#remember(place, { ...stored, value });
    return value;
  }

  /** The columns to store for a document; `before` is what it replaces, whose unknown fields are kept. */
  seal<T extends object>(table: ControlTable<T>, value: T, before: StoredDocument | null): StoredDocument {
    const kept: unknown = before === null ? {} : JSON.parse(Buffer.from(before.document).toString('utf8'));
    const document = Buffer.from(JSON.stringify({ ...(kept as object), ...value }));
    return { document, controlMac: controlMac(this.#key, table.name, table.identifiers(value), document) };
  }

  #remember(place: string, verified: Verified): void {
    if (this.#verified.size >= rememberedDocuments) this.#verified.clear();
    this.#verified.set(place, verified);
  }
}

function sameBytes(a: StoredDocument, b: StoredDocument): boolean {
  return Buffer.compare(a.document, b.document) === 0 && Buffer.compare(a.controlMac, b.controlMac) === 0;
}

function fromBase64(value: string | null): Uint8Array | null {
  return value === null ? null : Buffer.from(value, 'base64');
}

function toBase64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

/** What of an upload goes under the MAC; n, wrapSalt, sealedKey (rewrap) and revision stay outside. */
export function uploadDocument(upload: UploadRow): UploadDocument {
  return {
    uploadId: upload.uploadId,
    bucketUid: upload.bucketUid,
    key: toBase64(upload.key),
    bodyId: upload.bodyId,
    encrypted: upload.encrypted,
    suite: upload.suite,
    chunkLog2: upload.chunkLog2,
    checksumAlgorithm: upload.checksumAlgorithm,
    checksumType: upload.checksumType,
    ownerId: upload.ownerId,
    createdMs: upload.createdMs,
    uploadSalt: upload.sealed === null ? null : toBase64(upload.sealed.uploadSalt),
    sealedMeta: upload.sealed === null ? null : toBase64(upload.sealed.sealedMeta),
    clearMeta: upload.clearMeta === null ? null : toBase64(upload.clearMeta),
  };
}

/** The columns of an upload that stand outside its document. */
export interface UploadColumns {
  readonly n: number | null;
  readonly wrapSalt: Uint8Array | null;
  readonly sealedKey: Uint8Array | null;
  readonly revision: number;
}

/** Puts document and columns together. 'Integrity' when an encrypted upload lacks a sealed field, or a plain one has it. */
export function uploadRow(document: UploadDocument, columns: UploadColumns): UploadRow {
  const { uploadSalt, sealedMeta, clearMeta, key, ...fields } = document;
  const { n, wrapSalt, sealedKey, revision } = columns;
  const row = { ...fields, key: Buffer.from(key, 'base64'), clearMeta: fromBase64(clearMeta), revision };
  if (!document.encrypted) {
    if (n !== null) throw new MetadataError('Integrity', 'a plain upload has a sealed key');
    return { ...row, sealed: null };
  }
  const salt = fromBase64(uploadSalt);
  const meta = fromBase64(sealedMeta);
  if (n === null || wrapSalt === null || sealedKey === null || salt === null || meta === null) {
    throw new MetadataError('Integrity', 'an encrypted upload lacks its sealed key');
  }
  return { ...row, sealed: { n, wrapSalt, sealedKey, uploadSalt: salt, sealedMeta: meta } };
}
