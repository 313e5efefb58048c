/** Random inputs for the format's operations, as the vectors write them. */
import * as fc from 'fast-check';
import type { Json, JsonObject } from '../../dataplane/crypto/vectors/operation.ts';

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array).toString('hex'));

const bytes32 = bytes(32, 32);
const md5 = bytes(16, 16);
const id = bytes(16, 16);
const anyBytes = bytes(0, 80);
const text = fc.string({ unit: 'binary', maxLength: 20 });
const name = text.map((t) => t.replace(/[A-Z]/g, '-'));
const integer = fc.maxSafeNat();
const algorithm = fc.constantFrom('CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256');
const checksumType = fc.constantFrom('FULL_OBJECT', 'COMPOSITE');

/** Sorted as decoders give them back: bytewise by name. */
const map: fc.Arbitrary<Json> = fc
  .uniqueArray(fc.tuple(name, text), { selector: ([n]) => n, maxLength: 6 })
  .map((pairs) => pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));

const object = (model: Record<string, fc.Arbitrary<Json>>): fc.Arbitrary<JsonObject> => fc.record(model);

export const sealedKeyInput = object({
  bucketKey: bytes32,
  binding: object({
    purpose: fc.constantFrom('object', 'upload'),
    bucketUid: id,
    objectKey: anyBytes,
    id,
    n: fc.nat({ max: 0xffffffff }),
  }),
  dataKey: bytes32,
  wrapSalt: bytes32,
});

export const secretInput = object({
  installationKey: bytes32,
  accessKeyId: text,
  secret: text,
  secretSalt: bytes32,
});

const privateRecord = object({
  md5,
  checksums: fc.array(object({ algorithm, type: checksumType, value: anyBytes }), { maxLength: 3 }),
  contentHeaders: map,
  userMetadata: map,
});

const publicFields = {
  format: fc.constant(1),
  suite: integer,
  chunkLog2: integer,
  bucketUid: id,
  objectKey: anyBytes,
  versionId: id,
  isNull: fc.boolean(),
  lastModifiedMs: integer,
  bodyId: id,
  size: integer,
};

export const recordInput = object({
  dataKey: bytes32,
  public: fc.oneof(
    object({
      ...publicFields,
      partCount: fc.constant(0),
      blob: object({ blobId: fc.oneof(id, fc.constant('inline')), size: integer, salt: bytes32 }),
    }),
    object({ ...publicFields, partCount: fc.integer({ min: 1, max: 10_000 }), blob: fc.constant(null) }),
  ),
  private: privateRecord,
  recordSalt: bytes32,
});

export const uploadInput = object({
  dataKey: bytes32,
  upload: object({
    uploadId: id,
    bucketUid: id,
    key: anyBytes,
    bodyId: id,
    encrypted: fc.boolean(),
    suite: integer,
    chunkLog2: integer,
    checksumAlgorithm: fc.option(algorithm),
    checksumType: fc.option(checksumType),
  }),
  meta: object({ contentHeaders: map, userMetadata: map }),
  uploadSalt: bytes32,
});

export const digestsInput = object({
  dataKey: bytes32,
  binding: object({ bodyId: id, partNumber: integer, blobId: id }),
  digests: object({ md5, checksum: fc.option(object({ algorithm, value: anyBytes })) }),
  digestSalt: bytes32,
});

const part = {
  partNumber: integer,
  size: integer,
  blobId: id,
  salt: bytes32,
  digestSalt: bytes32,
  digests: anyBytes,
};
export const partInput = object({ dataKey: bytes32, uploadId: id, part: object(part) });
export const pageInput = object({
  dataKey: bytes32,
  bodyId: id,
  page: integer,
  entries: fc.array(object({ ...part, offset: integer, incarnation: id }), { maxLength: 5 }),
});

const { field } = fc.letrec<{ field: JsonObject }>((tie) => ({
  field: fc.oneof(
    { maxDepth: 3 },
    object({ integer }),
    object({ boolean: fc.boolean() }),
    object({ text }),
    object({ bytes: anyBytes }),
    object({ absent: fc.constant(true) }),
    object({ map }),
    object({ list: fc.array(fc.array(tie('field'), { maxLength: 3 }), { maxLength: 3 }) }),
  ),
}));

export const encodeInput = object({ fields: fc.array(field, { maxLength: 6 }) });
export const controlInput = object({
  installationKey: bytes32,
  table: text,
  identifiers: fc.array(field, { maxLength: 3 }),
  document: anyBytes,
});
export const etagInput = object({ bucketKey: bytes32, wrapSalt: bytes32, etag: md5 });
export const keyCheckInput = object({ bucketKey: bytes32 });
export const sizesInput = object({ sizeBytes: integer, chunkLog2: fc.integer({ min: 15, max: 21 }) });
export const rangeInput = object({
  sizeBytes: fc.nat({ max: 3_000_000 }),
  chunkLog2: fc.integer({ min: 16, max: 20 }),
  first: fc.nat({ max: 3_000_000 }),
  last: fc.nat({ max: 3_000_000 }),
});
