import { createHash, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { BlobSealer, openWholeBlob } from '../blob.ts';
import { chunkCount, chunkRange, chunkSize, HEADER_BYTES, storedSize, TAG_BYTES } from '../sizes.ts';
import { fixedRandom, operation } from './operation.ts';
import { hex, key, patternBytes } from './values.ts';

const sizes = z.strictObject({ sizeBytes: z.number(), chunkLog2: z.number() });
const sealing = z.strictObject({ dataKey: key, salt: hex, chunkLog2: z.number() });
const facts = z.strictObject({
  dataKey: key,
  suite: z.number(),
  chunkLog2: z.number(),
  salt: hex,
  plaintextSize: z.number(),
});

/** What is done to a stored blob before it is opened. Bit b is bit b mod 8, the lowest first, of byte floor(b / 8). */
const mutation = z.union([
  z.strictObject({ flipBit: z.number() }),
  z.strictObject({ keepBytes: z.number() }),
  z.strictObject({ append: hex }),
  z.strictObject({ removeFrom: z.number(), removeBytes: z.number() }),
  z.strictObject({ exchange: z.tuple([z.number(), z.number()]), exchangeBytes: z.number() }),
]);

/** Blobs, their sizes and ranges. */
export const blobOperations = {
  sizes: operation(sizes, ({ sizeBytes, chunkLog2 }) => ({
    chunkCount: chunkCount(sizeBytes, chunkLog2),
    storedSize: storedSize(sizeBytes, chunkLog2),
  })),

  range: operation(
    sizes.extend({ first: z.number(), last: z.number() }),
    ({ sizeBytes, chunkLog2, first, last }) => ({ ...chunkRange(sizeBytes, chunkLog2, first, last) }),
  ),

  sealBlob: operation(sealing.extend({ plaintext: hex }), ({ plaintext, ...input }) => ({
    stored: seal(input, plaintext).toString('hex'),
  })),

  /** Seals a pattern of `plaintextSize` bytes and tells the result by its hashes. */
  describeBlob: operation(sealing.extend({ plaintextSize: z.number() }), ({ plaintextSize, ...input }) => {
    const stored = seal(input, patternBytes(plaintextSize));
    const step = chunkSize(input.chunkLog2) + TAG_BYTES;
    const chunks = Array.from({ length: chunkCount(plaintextSize, input.chunkLog2) }, (_, i) =>
      stored.subarray(HEADER_BYTES + i * step, HEADER_BYTES + (i + 1) * step),
    );
    return {
      header: stored.toString('hex', 0, HEADER_BYTES),
      storedSize: stored.length,
      storedSha256: sha256(stored),
      chunks: chunks.map((chunk) => ({
        storedBytes: chunk.length,
        tag: chunk.toString('hex', chunk.length - TAG_BYTES),
        storedSha256: sha256(chunk),
      })),
    };
  }),

  openBlob: operation(facts.extend({ stored: hex }), ({ dataKey, stored, ...facts }) => ({
    plaintext: openWholeBlob(dataKey, facts, stored).toString('hex'),
  })),

  /** Seals a pattern, alters the stored bytes in order, and opens what came of it. */
  openAltered: operation(
    z.strictObject({
      sealed: sealing.extend({ plaintextSize: z.number() }),
      mutations: z.array(mutation),
      opened: facts,
    }),
    ({ sealed, mutations, opened: { dataKey, ...facts } }) => {
      const stored = mutations.reduce(alter, seal(sealed, patternBytes(sealed.plaintextSize)));
      return { plaintextSha256: sha256(openWholeBlob(dataKey, facts, stored)) };
    },
  ),
};

function seal(input: { dataKey: KeyObject; salt: Buffer; chunkLog2: number }, plaintext: Buffer): Buffer {
  const sealer = new BlobSealer(input.dataKey, {
    chunkLog2: input.chunkLog2,
    plaintextSize: plaintext.length,
    random: fixedRandom(input.salt),
  });
  return Buffer.concat([sealer.header(), ...sealer.update(plaintext), ...sealer.final()]);
}

function alter(stored: Buffer, change: z.infer<typeof mutation>): Buffer {
  if ('flipBit' in change) {
    const at = Math.floor(change.flipBit / 8);
    stored.writeUInt8(stored.readUInt8(at) ^ (1 << (change.flipBit % 8)), at);
    return stored;
  }
  if ('keepBytes' in change) return stored.subarray(0, change.keepBytes);
  if ('append' in change) return Buffer.concat([stored, change.append]);
  if ('removeFrom' in change) {
    const { removeFrom, removeBytes } = change;
    return Buffer.concat([stored.subarray(0, removeFrom), stored.subarray(removeFrom + removeBytes)]);
  }
  const [a, b] = change.exchange;
  const exchanged = Buffer.from(stored);
  stored.copy(exchanged, a, b, b + change.exchangeBytes);
  stored.copy(exchanged, b, a, a + change.exchangeBytes);
  return exchanged;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
