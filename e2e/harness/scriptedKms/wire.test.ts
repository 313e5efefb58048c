import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as wire from './wire.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

// KMIP 1.4, section 9.1.2: the examples of the specification.
test.each([
  ['Integer 8', wire.integer(0x420020, 8), '42002002000000040000000800000000'],
  ['Enumeration 255', wire.enumeration(0x420020, 255), '4200200500000004000000FF00000000'],
  ['Boolean True', wire.boolean(0x420020, true), '42002006000000080000000000000001'],
  ['Text String', wire.text(0x420020, 'Hello World'), '420020070000000B48656C6C6F20576F726C640000000000'],
  ['Byte String', wire.bytes(0x420020, hex('010203')), '42002008000000030102030000000000'],
  ['Date-Time', wire.date(0x420020, 0x47da67f8), '42002009000000080000000047DA67F8'],
  [
    'Structure',
    wire.structure(0x420020, wire.enumeration(0x420004, 254), wire.integer(0x420005, 255)),
    '42002001000000204200040500000004000000FE000000004200050200000004000000FF00000000',
  ],
])('%s is written as the specification prints it', (_what, bytes, printed) => {
  expect(bytes.toString('hex').toUpperCase()).toBe(printed);
});

test('what was written is read', () => {
  const bytes = wire.structure(
    1,
    wire.integer(2, -5),
    wire.enumeration(3, 0x8000_0001),
    wire.boolean(4, true),
    wire.text(5, 'é'),
    wire.bytes(6, hex('0a')),
    wire.date(7, 1_700_000_000),
  );
  const [item] = wire.itemsIn(bytes);
  expect(item?.must(2).integer).toBe(-5);
  expect(item?.must(3).enumeration).toBe(0x8000_0001);
  expect(item?.must(4).boolean).toBe(true);
  expect(item?.must(5).text).toBe('é');
  expect(item?.must(6).bytes).toEqual(hex('0a'));
  expect(item?.must(7).date).toBe(1_700_000_000);
  expect(item?.find(8)).toBeUndefined();
  expect(item?.all(2)).toHaveLength(1);
});

describe('refused', () => {
  const [number] = wire.itemsIn(wire.integer(1, 1));
  test.each([
    ['half a header', () => wire.itemsIn(hex('420020'))],
    ['an item longer than its holder', () => wire.itemsIn(wire.raw(1, 7, 100, Buffer.alloc(8)))],
    ['padding with something in it', () => wire.itemsIn(wire.raw(1, 7, 1, Buffer.alloc(8, 1)))],
    ['another type', () => number?.text],
    ['an item that is not there', () => wire.itemsIn(wire.structure(1))[0]?.must(2)],
    [
      'a message beyond the limit',
      () => new wire.MessageCutter().push(wire.raw(1, 1, 1 << 21, Buffer.alloc(0))),
    ],
  ])('%s', (_what, read) => expect(read).toThrow(wire.WireError));
});

test('every message that the KMIP TC printed is read to its last item', () => {
  const vectors = new URL('../../../dataplane/keys/kmip/vectors/oasis.json', import.meta.url);
  const { messages } = JSON.parse(readFileSync(vectors, 'utf8')) as { messages: { hex: string }[] };
  const count = (items: readonly wire.Item[]): number =>
    items.reduce((sum, item) => sum + 1 + (item.type === 0x01 ? count(item.items) : 0), 0);
  expect(messages.length).toBeGreaterThan(60);
  for (const message of messages) expect(count(wire.itemsIn(hex(message.hex)))).toBeGreaterThan(8);
});

test('messages are cut out of a stream, however it is split', () => {
  const messages = [wire.structure(1), wire.structure(2, wire.integer(3, 3)), wire.structure(4)];
  for (const size of [1, 7, 8, 9, 100]) {
    const cutter = new wire.MessageCutter();
    const stream = Buffer.concat(messages);
    const found: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size)
      found.push(...cutter.push(stream.subarray(at, at + size)));
    expect(found.map((one) => one.toString('hex'))).toEqual(messages.map((one) => one.toString('hex')));
  }
});
