import { z } from 'zod';
import { decodePrivate, encodePrivate, openRecord, type PrivateRecord, sealRecord } from '../record.ts';
import {
  decodeUploadMeta,
  encodeUploadMeta,
  openUploadMeta,
  sealUploadMeta,
  type UploadMeta,
} from '../upload.ts';
import { fixedRandom, type JsonObject, operation } from './operation.ts';
import { algorithm, checksumType, hex, key, map } from './values.ts';

const publicRecord = z.strictObject({
  format: z.literal(1),
  suite: z.number(),
  chunkLog2: z.number(),
  bucketUid: z.string(),
  objectKey: hex,
  versionId: z.string(),
  isNull: z.boolean(),
  lastModifiedMs: z.number(),
  bodyId: z.string(),
  size: z.number(),
  partCount: z.number(),
  blob: z.strictObject({ blobId: z.string(), size: z.number(), salt: hex }).nullable(),
});

const privateRecord = z.strictObject({
  md5: hex,
  checksums: z.array(z.strictObject({ algorithm, type: checksumType, value: hex })),
  contentHeaders: map,
  userMetadata: map,
});

const uploadFields = z.strictObject({
  uploadId: z.string(),
  bucketUid: z.string(),
  key: hex,
  bodyId: z.string(),
  encrypted: z.boolean(),
  suite: z.number(),
  chunkLog2: z.number(),
  checksumAlgorithm: algorithm.nullable(),
  checksumType: checksumType.nullable(),
});

const uploadMeta = z.strictObject({ contentHeaders: map, userMetadata: map });

/** Object records and the maps of uploads. */
export const recordOperations = {
  encodePrivate: operation(z.strictObject({ private: privateRecord }), (input) => ({
    encoded: encodePrivate(input.private).toString('hex'),
  })),

  decodePrivate: operation(z.strictObject({ encoded: hex }), ({ encoded }) => ({
    private: privateJson(decodePrivate(encoded)),
  })),

  sealRecord: operation(
    z.strictObject({ dataKey: key, public: publicRecord, private: privateRecord, recordSalt: hex }),
    (input) => {
      const sealed = sealRecord(input.dataKey, input.public, input.private, fixedRandom(input.recordSalt));
      return { sealedRecord: sealed.sealedRecord.toString('hex') };
    },
  ),

  openRecord: operation(
    z.strictObject({ dataKey: key, public: publicRecord, recordSalt: hex, sealedRecord: hex }),
    (input) => ({ private: privateJson(openRecord(input.dataKey, input.public, input)) }),
  ),

  encodeUploadMeta: operation(z.strictObject({ meta: uploadMeta }), ({ meta }) => ({
    encoded: encodeUploadMeta(meta).toString('hex'),
  })),

  decodeUploadMeta: operation(z.strictObject({ encoded: hex }), ({ encoded }) => ({
    meta: metaJson(decodeUploadMeta(encoded)),
  })),

  sealUploadMeta: operation(
    z.strictObject({ dataKey: key, upload: uploadFields, meta: uploadMeta, uploadSalt: hex }),
    ({ dataKey, upload, meta, uploadSalt }) => ({
      sealedMeta: sealUploadMeta(dataKey, upload, meta, fixedRandom(uploadSalt)).sealedMeta.toString('hex'),
    }),
  ),

  openUploadMeta: operation(
    z.strictObject({ dataKey: key, upload: uploadFields, uploadSalt: hex, sealedMeta: hex }),
    ({ dataKey, upload, ...sealed }) => ({ meta: metaJson(openUploadMeta(dataKey, upload, sealed)) }),
  ),
};

function privateJson(record: PrivateRecord): JsonObject {
  return {
    md5: Buffer.from(record.md5).toString('hex'),
    checksums: record.checksums.map(({ algorithm, type, value }) => ({
      algorithm,
      type,
      value: Buffer.from(value).toString('hex'),
    })),
    ...metaJson(record),
  };
}

function metaJson(meta: UploadMeta): JsonObject {
  return { contentHeaders: [...meta.contentHeaders], userMetadata: [...meta.userMetadata] };
}
