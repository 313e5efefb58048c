/** Answers that no KMIP server should give: made from the right one, or out of nothing. */
import { T } from '../../harness/scriptedKms/numbers.ts';
import * as wire from '../../harness/scriptedKms/wire.ts';

const STRUCTURE = 0x01;
const nothing = Buffer.alloc(0);

/** A Response Message around these items, whatever they are. */
const message = (...items: readonly Buffer[]): Buffer => wire.structure(T.responseMessage, ...items);

/** Structures inside structures, so many, the innermost empty. */
const nested = (depth: number): Buffer =>
  Buffer.concat(
    Array.from({ length: depth }, (_, level) =>
      wire.raw(T.batchItem, STRUCTURE, 8 * (depth - 1 - level), nothing),
    ),
  );

/** The right answer with the bytes of one item header exchanged for others of the same length. */
function changed(right: Buffer, tag: number, change: (at: number, bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(right);
  const wanted = Buffer.alloc(3);
  wanted.writeUIntBE(tag, 0, 3);
  const at = bytes.indexOf(wanted);
  if (at < 0) throw new Error(`the answer has no item ${tag.toString(16)}`);
  change(at, bytes);
  return bytes;
}

const everyTag = (right: Buffer, from: number, to: number): Buffer => {
  const hex = right.toString('hex').replaceAll(from.toString(16), to.toString(16));
  return Buffer.from(hex, 'hex');
};

/** What is wrong → the answer. */
export const HOSTILE: readonly (readonly [string, (right: Buffer) => Buffer])[] = [
  ['structures nested 10,000 deep', () => message(nested(10_000))],
  ['a message of 4 GiB', () => wire.raw(T.responseMessage, STRUCTURE, 0xffff_fff8, Buffer.alloc(64))],
  ['a message over the limit', () => wire.raw(T.responseMessage, STRUCTURE, 8 << 20, Buffer.alloc(64))],
  ['a child longer than its parent', () => message(wire.raw(T.batchItem, STRUCTURE, 0xffff_fff8, nothing))],
  [
    'a length that is no number of words',
    (right) =>
      changed(right, T.batchItem, (at, bytes) => bytes.writeUInt8(bytes.readUInt8(at + 7) | 3, at + 7)),
  ],
  [
    'a status of another type',
    (right) => changed(right, T.resultStatus, (at, bytes) => bytes.writeUInt8(0x02, at + 3)),
  ],
  [
    'a type that does not exist',
    (right) => changed(right, T.resultStatus, (at, bytes) => bytes.writeUInt8(0x0e, at + 3)),
  ],
  [
    'text that is not UTF-8',
    (right) => changed(right, T.uniqueIdentifier, (at, bytes) => bytes.fill(0xff, at + 8, at + 16)),
  ],
  ['no batch item at all', () => message()],
  [
    'batch items that nobody asked for',
    () => message(...Array.from({ length: 100 }, () => wire.structure(T.batchItem))),
  ],
  ['batch items without status', (right) => everyTag(right, T.resultStatus, 0x42fffe)],
  ['no response payload', (right) => everyTag(right, T.responsePayload, 0x42fffe)],
  ['no key in it', (right) => everyTag(right, T.symmetricKey, 0x42fffe)],
  ['no state in it', (right) => everyTag(right, T.attribute, 0x42fffe)],
  [
    'the answer to another operation',
    (right) => changed(right, T.operation, (at, bytes) => bytes.writeUInt8(0x14, at + 11)),
  ],
  [
    'another key under its own name',
    (right) =>
      changed(right, T.symmetricKey, (at, bytes) => bytes.writeUInt8(bytes.readUInt8(at - 8) ^ 1, at - 8)),
  ],
  ['a Request Message', () => wire.structure(T.requestMessage)],
  ['a web server', () => Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')],
  ['zeroes', (right) => Buffer.alloc(right.length)],
];
