/**
 * The KMIP client's decoder under hostile bytes: it accepts what is TTLV and nothing else, refuses with its own errors
 * only, in bounded time and memory. Ten minutes with SEALGATE_SOAK=1, seconds otherwise.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { payloadOf } from '../../dataplane/keys/kmip/endpoint.ts';
import { KmipError } from '../../dataplane/keys/kmip/errors.ts';
import { FrameReader, MESSAGE_LIMIT_BYTES } from '../../dataplane/keys/kmip/frames.ts';
import { decodeResponse } from '../../dataplane/keys/kmip/messages.ts';
import * as operations from '../../dataplane/keys/kmip/operations.ts';
import { OPERATION, type OperationName } from '../../dataplane/keys/kmip/tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv, TtlvError } from '../../dataplane/keys/kmip/ttlv.ts';
import { T } from '../harness/scriptedKms/numbers.ts';
import * as wire from '../harness/scriptedKms/wire.ts';
import { type Random, seeded } from './mutations/random.ts';
import { mutator } from './ttlvFuzz/mutate.ts';
import { isOneItem } from './ttlvFuzz/reference.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const DURATION_MS = SOAK ? 10 * 60_000 : 5000;
/** Processor time for one message; a machine that is busy with other things does not count. */
const TIME_LIMIT_MS = 1000;
const MEMORY_LIMIT_BYTES = 256 * 1024 * 1024;
const VECTORS = new URL('../../dataplane/keys/kmip/vectors/oasis.json', import.meta.url);

let corpus: Buffer[];
beforeAll(() => {
  const { messages } = JSON.parse(readFileSync(VECTORS, 'utf8')) as { messages: { hex: string }[] };
  corpus = [...messages.map(({ hex }) => Buffer.from(hex, 'hex')), keyAnswer()];
});

/** The answer to Get Attributes and Get in one message, as the gateway asks for keys. */
function keyAnswer(): Buffer {
  const item = (id: number, ...payload: readonly Buffer[]): Buffer =>
    wire.structure(
      T.batchItem,
      wire.bytes(T.uniqueBatchItemId, Buffer.from([0, 0, 0, id])),
      wire.enumeration(T.resultStatus, 0),
      wire.structure(T.responsePayload, wire.text(T.uniqueIdentifier, 'k'), ...payload),
    );
  const state = wire.structure(
    T.attribute,
    wire.text(T.attributeName, 'State'),
    wire.enumeration(T.attributeValue, 2),
  );
  const key = wire.structure(
    T.symmetricKey,
    wire.structure(
      T.keyBlock,
      wire.enumeration(T.keyFormatType, 1),
      wire.structure(T.keyValue, wire.bytes(T.keyMaterial, Buffer.alloc(32, 7))),
    ),
  );
  const items = [item(1, state), item(2, wire.enumeration(T.objectType, 2), key)];
  return wire.structure(T.responseMessage, ...items);
}

/** What `work` gave, or null when it refused; anything but a refusal of our own is a defect. */
function orRefuse<R>(work: () => R): R | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof TtlvError || error instanceof KmipError) return null;
    throw error;
  }
}

/** A second encoding says whether anything was lost: padding and odd Booleans are, nothing else. */
function staysTheSame(item: Ttlv, frame: Buffer): void {
  const again = encodeTtlv(item);
  expect(again.length).toBe(frame.length);
  expect(encodeTtlv(decodeTtlv(again)).equals(again)).toBe(true);
}

/** Everything that looks into an answer, whatever operation it answers. */
function readEverything(frame: Buffer, asked: readonly OperationName[]): void {
  const results = orRefuse(() => decodeResponse(frame, asked));
  for (const result of results ?? []) {
    const payload = orRefuse(() => payloadOf(result));
    if (payload === null) continue;
    orRefuse(() => operations.readKey(payload, 'k'));
    orRefuse(() => operations.readAttributes(payload));
    orRefuse(() => operations.readIdentifier(payload));
    orRefuse(() => operations.readIdentifiers(payload));
    orRefuse(() => operations.readQuery(payload));
    orRefuse(() => operations.readVersions(payload));
  }
}

/** The stream that starts with these bytes, in pieces: no more is kept than one message may have. */
function readInPieces(stream: Buffer, random: Random): void {
  const reader = new FrameReader();
  const size = 1 + random.int(64);
  orRefuse(() => {
    for (let at = 0; at < stream.length; at += size) {
      for (const frame of reader.push(Buffer.from(stream.subarray(at, at + size))))
        expect(frame.length).toBeLessThanOrEqual(MESSAGE_LIMIT_BYTES);
    }
  });
  reader.clear();
}

/** Processor time of this thread so far, in ms. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const heapBytes = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;

it('random messages are decoded exactly when they are TTLV, or refused, in bounded time and memory', () => {
  const seed = SOAK ? String(Date.now()) : 'short';
  const random = seeded(seed);
  const mutate = mutator(corpus);
  const names = Object.keys(OPERATION) as OperationName[];
  const startBytes = heapBytes();
  const counts = { tried: 0, accepted: 0 };
  let slowestMs = 0;
  for (const started = performance.now(); performance.now() - started < DURATION_MS; ) {
    const frame = mutate(random);
    const context = `seed ${seed}, message ${counts.tried}: ${frame.toString('hex')}`;
    const before = processorMs();
    const item = orRefuse(() => decodeTtlv(frame));
    expect(item !== null, context).toBe(isOneItem(frame));
    if (item !== null) staysTheSame(item, frame);
    readEverything(frame, random.int(2) === 0 ? ['GetAttributes', 'Get'] : [random.pick(names)]);
    readInPieces(frame, random);
    slowestMs = Math.max(slowestMs, processorMs() - before);
    counts.tried += 1;
    if (item !== null) counts.accepted += 1;
  }
  process.stdout.write(
    `${counts.tried} messages in ${DURATION_MS / 1000} s (${counts.accepted} of them TTLV), slowest ${slowestMs.toFixed(0)} ms of processor time\n`,
  );
  // Neither side of the decision may be missing, or the messages prove nothing.
  expect(counts.accepted).toBeGreaterThan(counts.tried / 20);
  expect(counts.accepted).toBeLessThan(counts.tried * 0.95);
  expect(slowestMs).toBeLessThan(TIME_LIMIT_MS);
  expect(heapBytes() - startBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
});

it.each([
  ['empty structures', wire.structure(T.batchItem)],
  ['empty texts', wire.text(T.uniqueIdentifier, '')],
  ['empty byte strings', wire.bytes(T.keyMaterial, Buffer.alloc(0))],
  ['attributes', wire.structure(T.attribute, wire.text(T.attributeName, 'State'))],
])('the largest message, full of %s, is decoded in bounded time and memory', (_what, item) => {
  const count = Math.floor((MESSAGE_LIMIT_BYTES - 8) / item.length);
  const body = Buffer.alloc(count * item.length, item);
  const frame = wire.raw(T.responseMessage, 0x01, body.length, body);
  const startBytes = heapBytes();
  const started = processorMs();
  const decoded = decodeTtlv(frame);
  expect(decoded.value).toHaveLength(count);
  orRefuse(() => decodeResponse(frame, ['Get']));
  expect(processorMs() - started).toBeLessThan(TIME_LIMIT_MS);
  expect(heapBytes() - startBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
});

it('structures nested as deep as a message is long are refused, not followed', () => {
  const depth = MESSAGE_LIMIT_BYTES / 8;
  const frame = Buffer.alloc(MESSAGE_LIMIT_BYTES);
  for (let level = 0; level < depth; level += 1)
    wire.raw(T.responseMessage, 0x01, 8 * (depth - 1 - level), Buffer.alloc(0)).copy(frame, 8 * level);
  expect(() => decodeTtlv(frame)).toThrow(/nested deeper/);
});
