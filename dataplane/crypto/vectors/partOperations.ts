import { z } from 'zod';
import {
  decodeDigests,
  encodeDigests,
  openDigests,
  type PartDigests,
  pageMac,
  partMac,
  sealDigests,
  verifyPageMac,
  verifyPartMac,
} from '../parts.ts';
import { fixedRandom, type JsonObject, operation } from './operation.ts';
import { algorithm, hex, key } from './values.ts';

const binding = z.strictObject({ bodyId: z.string(), partNumber: z.number(), blobId: z.string() });
const digests = z.strictObject({
  md5: hex,
  checksum: z.strictObject({ algorithm, value: hex }).nullable(),
});

const partFields = {
  partNumber: z.number(),
  size: z.number(),
  blobId: z.string(),
  salt: hex,
  digestSalt: hex,
  digests: hex,
};
const uploadPart = z.strictObject({ dataKey: key, uploadId: z.string(), part: z.strictObject(partFields) });

/** The incarnation is where a blob lies, which no MAC covers. */
const entry = z
  .strictObject({ ...partFields, offset: z.number(), incarnation: z.string() })
  .transform(({ blobId, incarnation, ...rest }) => ({ ...rest, location: { incarnation, blobId } }));
const page = z.strictObject({ dataKey: key, bodyId: z.string(), page: z.number(), entries: z.array(entry) });

/** Parts: digests, and the MACs of parts and pages. */
export const partOperations = {
  encodeDigests: operation(z.strictObject({ digests }), ({ digests }) => ({
    encoded: encodeDigests(digests).toString('hex'),
  })),

  decodeDigests: operation(z.strictObject({ encoded: hex }), ({ encoded }) => ({
    digests: digestsJson(decodeDigests(encoded)),
  })),

  sealDigests: operation(
    z.strictObject({ dataKey: key, binding, digests, digestSalt: hex }),
    ({ dataKey, binding, digests, digestSalt }) => ({
      sealedDigests: sealDigests(dataKey, binding, digests, fixedRandom(digestSalt)).sealedDigests.toString(
        'hex',
      ),
    }),
  ),

  openDigests: operation(
    z.strictObject({ dataKey: key, binding, digestSalt: hex, sealedDigests: hex }),
    ({ dataKey, binding, ...sealed }) => ({ digests: digestsJson(openDigests(dataKey, binding, sealed)) }),
  ),

  partMac: operation(uploadPart, ({ dataKey, uploadId, part }) => ({
    mac: partMac(dataKey, uploadId, part).toString('hex'),
  })),

  verifyPartMac: operation(uploadPart.extend({ mac: hex }), ({ dataKey, uploadId, part, mac }) => {
    verifyPartMac(dataKey, uploadId, part, mac);
    return {};
  }),

  pageMac: operation(page, ({ dataKey, bodyId, page, entries }) => ({
    mac: pageMac(dataKey, bodyId, page, entries).toString('hex'),
  })),

  verifyPageMac: operation(page.extend({ mac: hex }), ({ dataKey, bodyId, page, entries, mac }) => {
    verifyPageMac(dataKey, bodyId, page, entries, mac);
    return {};
  }),
};

function digestsJson({ md5, checksum }: PartDigests): JsonObject {
  return {
    md5: Buffer.from(md5).toString('hex'),
    checksum:
      checksum === null
        ? null
        : { algorithm: checksum.algorithm, value: Buffer.from(checksum.value).toString('hex') },
  };
}
