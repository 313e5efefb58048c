import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameReader, MESSAGE_LIMIT_BYTES } from './frames.ts';
import { TtlvError } from './ttlv.ts';

function message(payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(8 + payload.length);
  frame.writeUInt32BE(0x42007b01, 0);
  frame.writeUInt32BE(payload.length, 4);
  frame.set(payload, 8);
  return frame;
}

test('messages come out whole and in order, however the stream was split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      (payloads, sizes) => {
        const stream = Buffer.concat(payloads.map(message));
        const reader = new FrameReader();
        const frames: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          frames.push(...reader.push(Buffer.from(stream.subarray(at, at + size))));
          at += size;
        }
        expect(frames.map((frame) => frame.toString('hex'))).toEqual(
          payloads.map((payload) => message(payload).toString('hex')),
        );
        expect(reader.partial).toBe(false);
      },
    ),
  );
});

test('what was read is erased, and each message is in a buffer of its own', () => {
  const chunk = message(Buffer.from('a secret'));
  const [frame] = new FrameReader().push(chunk);
  expect(chunk).toEqual(Buffer.alloc(chunk.length));
  expect(frame?.buffer.byteLength).toBe(frame?.length);
});

test('what was read is erased also when the stream breaks off in nonsense', () => {
  const chunk = Buffer.concat([message(Buffer.from('a secret')), Buffer.from('HTTP/1.1')]);
  expect(() => new FrameReader().push(chunk)).toThrow(TtlvError);
  expect(chunk).toEqual(Buffer.alloc(chunk.length));
});

test('an unfinished message is noticed and can be erased', () => {
  const reader = new FrameReader();
  expect(reader.push(message(Buffer.from('a secret')).subarray(0, 12))).toEqual([]);
  expect(reader.partial).toBe(true);
  reader.clear();
  expect(reader.partial).toBe(false);
});

describe('refused before anything is allocated', () => {
  const header = (word: number, lengthBytes: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE(word, 0);
    bytes.writeUInt32BE(lengthBytes, 4);
    return bytes;
  };
  test.each([
    ['an answer over the limit', header(0x42007b01, MESSAGE_LIMIT_BYTES - 7)],
    ['an answer of 4 GiB', header(0x42007b01, 0xffffffff)],
    ['a Request Message', header(0x42007801, 8)],
    ['a Response Message that is no structure', header(0x42007b08, 8)],
    ['another protocol', Buffer.from('HTTP/1.1')],
  ])('%s', (_what, bytes) => expect(() => new FrameReader().push(bytes)).toThrow(TtlvError));

  test('an answer at the limit is accepted', () => {
    const reader = new FrameReader();
    expect(reader.push(header(0x42007b01, MESSAGE_LIMIT_BYTES - 8))).toEqual([]);
    expect(reader.push(Buffer.alloc(MESSAGE_LIMIT_BYTES - 8))).toHaveLength(1);
  });
});
