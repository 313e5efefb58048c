import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlobSealer, openWholeBlob } from '../../dataplane/crypto/blob.ts';
import { newDataKey } from '../../dataplane/crypto/dataKey.ts';
import { FormatError } from '../../dataplane/crypto/errors.ts';
import type { JsonObject } from '../../dataplane/crypto/vectors/operation.ts';
import { type OperationName, operations } from '../../dataplane/crypto/vectors/operations.ts';
import { patternBytes } from '../../dataplane/crypto/vectors/values.ts';
import { flipped } from '../../dataplane/crypto/vectors/vectorFile.ts';
import * as inputs from '../format/arbitraries.ts';
import { type Outcome, runVectors, SecondImplementation } from '../format/secondImplementation.ts';

const VECTORS = fileURLToPath(new URL('../../dataplane/crypto/vectors/', import.meta.url));
const RUNS = { numRuns: 60 };

let python: SecondImplementation;
beforeAll(() => {
  python = new SecondImplementation();
});
afterAll(() => python.close());

async function ours(operation: OperationName, input: JsonObject): Promise<Outcome> {
  try {
    return operations[operation](input);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
const theirs = (operation: OperationName, input: JsonObject) => python.run(operation, input);

function textOf(outcome: Outcome, name: string): string {
  const value = outcome?.[name];
  if (typeof value !== 'string') throw new Error(`no ${name}`);
  return value;
}

test('the second implementation agrees with every test vector', async () => {
  const files = readdirSync(VECTORS).filter((name) => name.endsWith('.json'));
  const { exitCode, printed } = await runVectors(files.map((name) => VECTORS + name));
  expect(printed).toMatch(/^[1-9]\d* cases agree, 0 do not\n$/);
  expect(exitCode).toBe(0);
});

describe.each([
  { seal: 'sealKey', open: 'openKey', input: inputs.sealedKeyInput, secret: 'dataKey', sealed: 'sealedKey' },
  {
    seal: 'sealSecret',
    open: 'openSecret',
    input: inputs.secretInput,
    secret: 'secret',
    sealed: 'sealedSecret',
  },
  {
    seal: 'sealRecord',
    open: 'openRecord',
    input: inputs.recordInput,
    secret: 'private',
    sealed: 'sealedRecord',
  },
  {
    seal: 'sealUploadMeta',
    open: 'openUploadMeta',
    input: inputs.uploadInput,
    secret: 'meta',
    sealed: 'sealedMeta',
  },
  {
    seal: 'sealDigests',
    open: 'openDigests',
    input: inputs.digestsInput,
    secret: 'digests',
    sealed: 'sealedDigests',
  },
] as const)('$seal and $open', ({ seal, open, input, secret, sealed }) => {
  test.each([
    { from: 'ours', to: 'the second implementation', write: ours, read: theirs },
    { from: 'the second implementation', to: 'ours', write: theirs, read: ours },
  ])('what $from seals, $to opens, and refuses with any bit flipped', async ({ write, read }) => {
    await fc.assert(
      fc.asyncProperty(input, fc.nat(), async (json, bit) => {
        const written = textOf(await write(seal, json), sealed);
        const { [secret]: content, ...rest } = json;
        expect(await read(open, { ...rest, [sealed]: written })).toEqual({ [secret]: content });
        const altered = flipped(written, bit % (written.length * 4));
        expect(await read(open, { ...rest, [sealed]: altered })).toBeNull();
      }),
      RUNS,
    );
  });
});

describe.each([
  { make: 'partMac', verify: 'verifyPartMac', input: inputs.partInput },
  { make: 'pageMac', verify: 'verifyPageMac', input: inputs.pageInput },
  { make: 'controlMac', verify: 'verifyControlMac', input: inputs.controlInput },
] as const)('$make', ({ make, verify, input }) => {
  test('is the same from both, and each verifies the other one', async () => {
    await fc.assert(
      fc.asyncProperty(input, fc.nat({ max: 255 }), async (json, bit) => {
        const mac = textOf(await ours(make, json), 'mac');
        expect(await theirs(make, json)).toEqual({ mac });
        expect(await theirs(verify, { ...json, mac })).toEqual({});
        expect(await ours(verify, { ...json, mac })).toEqual({});
        expect(await ours(verify, { ...json, mac: flipped(mac, bit) })).toBeNull();
        expect(await theirs(verify, { ...json, mac: flipped(mac, bit) })).toBeNull();
      }),
      RUNS,
    );
  });
});

test.each([
  { operation: 'encode', input: inputs.encodeInput },
  { operation: 'keyCheck', input: inputs.keyCheckInput },
  { operation: 'maskEtag', input: inputs.etagInput },
  { operation: 'sizes', input: inputs.sizesInput },
  { operation: 'range', input: inputs.rangeInput },
] as const)('both give the same result of $operation, or both refuse', async ({ operation, input }) => {
  await fc.assert(
    fc.asyncProperty(input, async (json) => {
      expect(await theirs(operation, json)).toEqual(await ours(operation, json));
    }),
    RUNS,
  );
});

describe.each([
  { encode: 'encodePrivate', decode: 'decodePrivate', field: 'private', input: inputs.recordInput },
  { encode: 'encodeUploadMeta', decode: 'decodeUploadMeta', field: 'meta', input: inputs.uploadInput },
  { encode: 'encodeDigests', decode: 'decodeDigests', field: 'digests', input: inputs.digestsInput },
] as const)('$decode', ({ encode, decode, field, input }) => {
  test('reads what either wrote, and both read or refuse a damaged one alike', async () => {
    await fc.assert(
      fc.asyncProperty(input, fc.nat(), fc.nat(), async (json, bit, cut) => {
        const clear = { [field]: json[field] ?? null };
        const encoded = textOf(await ours(encode, clear), 'encoded');
        expect(await theirs(encode, clear)).toEqual({ encoded });
        expect(await theirs(decode, { encoded })).toEqual(clear);
        expect(await ours(decode, { encoded })).toEqual(clear);
        const damaged = [
          flipped(encoded, bit % (encoded.length * 4)),
          encoded.slice(0, 2 * (cut % (encoded.length / 2))),
          `${encoded}00`,
        ];
        for (const wrong of damaged) {
          expect(await theirs(decode, { encoded: wrong })).toEqual(await ours(decode, { encoded: wrong }));
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('blobs', () => {
  const KIB64 = 65536;
  const blobSizes = [0, 1, 4096, KIB64 - 1, KIB64, KIB64 + 1, 2 * KIB64, 3 * KIB64 + 77];

  test.each(blobSizes)(
    'of %i bytes, sealed by us in odd pieces, are opened by the second implementation',
    async (size) => {
      const plaintext = patternBytes(size);
      const dataKey = newDataKey();
      for (const plaintextSize of [size, null]) {
        const sealer = new BlobSealer(
          dataKey,
          plaintextSize === null ? { chunkLog2: 16 } : { chunkLog2: 16, plaintextSize },
        );
        const stored: Uint8Array[] = [sealer.header()];
        for (let at = 0; at < size; at += 50_001)
          stored.push(...sealer.update(plaintext.subarray(at, at + 50_001)));
        stored.push(...sealer.final());
        const input = {
          dataKey: dataKey.export().toString('hex'),
          suite: 1,
          chunkLog2: 16,
          salt: sealer.salt.toString('hex'),
          plaintextSize: size,
          stored: Buffer.concat(stored).toString('hex'),
        };
        expect(await theirs('openBlob', input)).toEqual({ plaintext: plaintext.toString('hex') });
        const altered = { ...input, stored: flipped(input.stored, -1) };
        expect(await theirs('openBlob', altered)).toBeNull();
      }
    },
  );

  test.each(blobSizes)('of %i bytes, sealed by the second implementation, are opened by us', async (size) => {
    const plaintext = patternBytes(size);
    const dataKey = newDataKey();
    const salt = newDataKey().export();
    const written = await theirs('sealBlob', {
      dataKey: dataKey.export().toString('hex'),
      chunkLog2: 16,
      salt: salt.toString('hex'),
      plaintext: plaintext.toString('hex'),
    });
    const stored = Buffer.from(textOf(written, 'stored'), 'hex');
    const opened = openWholeBlob(dataKey, { suite: 1, chunkLog2: 16, salt, plaintextSize: size }, stored);
    expect(opened.equals(plaintext)).toBe(true);
  });
});
