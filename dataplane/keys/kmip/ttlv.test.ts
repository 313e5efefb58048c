import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeTtlv, encodeTtlv, type Ttlv, TtlvError } from './ttlv.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/[\s|]/g, ''), 'hex');
const TAG_IN_SPEC = 0x420020;

/** KMIP 1.4, section 9.1.2: the specification's own examples. */
const SPEC_EXAMPLES: readonly [string, Ttlv, string][] = [
  ['Integer', { tag: TAG_IN_SPEC, type: 'Integer', value: 8 }, '420020 | 02 | 00000004 | 0000000800000000'],
  [
    'Long Integer',
    { tag: TAG_IN_SPEC, type: 'LongInteger', value: 123456789000000000n },
    '420020 | 03 | 00000008 | 01B69B4BA5749200',
  ],
  [
    'Big Integer',
    { tag: TAG_IN_SPEC, type: 'BigInteger', value: bytes('0000000003FD35EB6BC2DF4618080000') },
    '420020 | 04 | 00000010 | 0000000003FD35EB6BC2DF4618080000',
  ],
  [
    'Enumeration',
    { tag: TAG_IN_SPEC, type: 'Enumeration', value: 255 },
    '420020 | 05 | 00000004 | 000000FF00000000',
  ],
  [
    'Boolean',
    { tag: TAG_IN_SPEC, type: 'Boolean', value: true },
    '420020 | 06 | 00000008 | 0000000000000001',
  ],
  [
    'Text String',
    { tag: TAG_IN_SPEC, type: 'TextString', value: 'Hello World' },
    '420020 | 07 | 0000000B | 48656C6C6F20576F726C640000000000',
  ],
  [
    'Byte String',
    { tag: TAG_IN_SPEC, type: 'ByteString', value: bytes('010203') },
    '420020 | 08 | 00000003 | 0102030000000000',
  ],
  [
    'Date-Time',
    { tag: TAG_IN_SPEC, type: 'DateTime', value: 1205495800n },
    '420020 | 09 | 00000008 | 0000000047DA67F8',
  ],
  [
    'Interval',
    { tag: TAG_IN_SPEC, type: 'Interval', value: 864000 },
    '420020 | 0A | 00000004 | 000D2F0000000000',
  ],
  [
    'Structure',
    {
      tag: TAG_IN_SPEC,
      type: 'Structure',
      value: [
        { tag: 0x420004, type: 'Enumeration', value: 254 },
        { tag: 0x420005, type: 'Integer', value: 255 },
      ],
    },
    '420020 | 01 | 00000020 | 420004 | 05 | 00000004 | 000000FE00000000 | 420005 | 02 | 00000004 | 000000FF00000000',
  ],
];

describe.each(SPEC_EXAMPLES)("the specification's example of %s", (_type, item, hex) => {
  test('is encoded as printed', () =>
    expect(encodeTtlv(item).toString('hex')).toBe(bytes(hex).toString('hex')));
  test('is decoded as printed', () => expect(decodeTtlv(bytes(hex))).toEqual(item));
});

test.each([
  ['a negative Integer', { tag: 1, type: 'Integer', value: -1 }, '000001 02 00000004 FFFFFFFF00000000'],
  [
    'an unsigned Enumeration',
    { tag: 1, type: 'Enumeration', value: 0x80000001 },
    '000001 05 00000004 8000000100000000',
  ],
  ['a date before 1970', { tag: 1, type: 'DateTime', value: -1n }, '000001 09 00000008 FFFFFFFFFFFFFFFF'],
  [
    'text measured in bytes',
    { tag: 1, type: 'TextString', value: 'é€' },
    '000001 07 00000005 C3A9E282AC000000',
  ],
  ['empty text', { tag: 1, type: 'TextString', value: '' }, '000001 07 00000000'],
  ['an empty structure', { tag: 1, type: 'Structure', value: [] }, '000001 01 00000000'],
] as const)('%s keeps its value', (_what, item, hex) => {
  expect(encodeTtlv(item).toString('hex')).toBe(bytes(hex).toString('hex'));
  expect(decodeTtlv(bytes(hex))).toEqual(item);
});

test.each([
  ['nothing at all', ''],
  ['half a header', '42002002'],
  ['a value cut off', '420020 02 00000004 00000008'],
  ['a length beyond the message', '420020 08 FFFFFFFF 0000000000000000'],
  [
    'a child longer than its parent',
    '420020 01 00000010 420004 08 00000010 0000000000000000 0000000000000000',
  ],
  [
    'a grandchild that reaches into the next child',
    '420020 01 00000020 420021 01 00000008 420004 08 00000010 420005 02 00000004 0000000800000000',
  ],
  ['a child header cut off', '420020 01 00000004 42000405 00000000'],
  ['bytes after the item', '420020 02 00000004 0000000800000000 00'],
  ['an unknown type', '420020 0B 00000008 0000000000000000'],
  ['type zero', '420020 00 00000000'],
  ['an Integer of eight bytes', '420020 02 00000008 0000000000000008'],
  ['an Enumeration of two bytes', '420020 05 00000002 00FF000000000000'],
  ['an Interval of eight bytes', '420020 0A 00000008 0000000000000008'],
  ['a Long Integer of four bytes', '420020 03 00000004 0000000800000000'],
  ['a Boolean of one byte', '420020 06 00000001 0100000000000000'],
  ['a Date-Time of four bytes', '420020 09 00000004 0000000800000000'],
  ['an empty Big Integer', '420020 04 00000000'],
  ['a Big Integer of nine bytes', '420020 04 00000009 00000000000000000000000000000000'],
  ['text that is not UTF-8', '420020 07 00000002 C328000000000000'],
])('%s is malformed', (_what, hex) => {
  expect(() => decodeTtlv(bytes(hex))).toThrow(TtlvError);
});

test('structures may nest, but not without end', () => {
  const nested = (depth: number): Ttlv => {
    let item: Ttlv = { tag: 1, type: 'Structure', value: [] };
    for (let level = 0; level < depth; level += 1) item = { tag: 1, type: 'Structure', value: [item] };
    return item;
  };
  expect(decodeTtlv(encodeTtlv(nested(24)))).toEqual(nested(24));
  expect(() => decodeTtlv(encodeTtlv(nested(25)))).toThrow(/nested/);
});

test('byte strings are views of the frame, so that erasing the frame erases the key', () => {
  const frame = encodeTtlv({ tag: 1, type: 'ByteString', value: Buffer.from('secret') });
  const item = decodeTtlv(frame);
  frame.fill(0);
  expect(item.value).toEqual(Buffer.alloc(6));
});

test('an encoded message is in a buffer of its own, so that erasing it erases nothing else', () => {
  const frame = encodeTtlv({ tag: 1, type: 'ByteString', value: Buffer.from('secret') });
  expect(frame.buffer.byteLength).toBe(frame.length);
});

const tag = fc.integer({ min: 0, max: 0xffffff });
const leaf: fc.Arbitrary<Ttlv> = fc.oneof(
  fc.record({ tag, type: fc.constant('Integer' as const), value: fc.integer() }),
  fc.record({
    tag,
    type: fc.constant('LongInteger' as const),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
  fc.record({
    tag,
    type: fc.constant('BigInteger' as const),
    value: fc
      .integer({ min: 1, max: 4 })
      .chain((words) => fc.uint8Array({ minLength: words * 8, maxLength: words * 8 })),
  }),
  fc.record({
    tag,
    type: fc.constant('Enumeration' as const),
    value: fc.integer({ min: 0, max: 0xffffffff }),
  }),
  fc.record({ tag, type: fc.constant('Boolean' as const), value: fc.boolean() }),
  fc.record({ tag, type: fc.constant('TextString' as const), value: fc.string({ unit: 'binary' }) }),
  fc.record({ tag, type: fc.constant('ByteString' as const), value: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({
    tag,
    type: fc.constant('DateTime' as const),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
  fc.record({ tag, type: fc.constant('Interval' as const), value: fc.integer({ min: 0, max: 0xffffffff }) }),
);
const { item: anyItem } = fc.letrec<{ item: Ttlv }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      tag,
      type: fc.constant('Structure' as const),
      value: fc.array(tie('item'), { maxLength: 6 }),
    }),
  ),
}));

/** Byte arrays compare by content, whatever their class. */
function plain(item: Ttlv): unknown {
  if (item.type === 'Structure') return { ...item, value: item.value.map(plain) };
  if (item.type === 'ByteString' || item.type === 'BigInteger')
    return { ...item, value: Buffer.from(item.value).toString('hex') };
  return item;
}

test('every item survives a round trip, in a whole number of eight-byte words', () => {
  fc.assert(
    fc.property(anyItem, (item) => {
      const frame = encodeTtlv(item);
      expect(frame.length % 8).toBe(0);
      expect(plain(decodeTtlv(frame))).toEqual(plain(item));
    }),
  );
});

/** What decoding gave, or that it was refused; anything but a TtlvError is a defect. */
function decodeOrRefuse(frame: Buffer): Ttlv | null {
  try {
    return decodeTtlv(frame);
  } catch (error) {
    if (error instanceof TtlvError) return null;
    throw error;
  }
}

/** Bytes of values that an item holds; text counts at least its own length. */
function heldBytes(item: Ttlv): number {
  if (item.type === 'Structure') return item.value.reduce((sum, child) => sum + 8 + heldBytes(child), 0);
  return item.type === 'ByteString' || item.type === 'BigInteger' ? item.value.length : 4;
}

test('arbitrary bytes are decoded or refused, and never hold more than they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      const item = decodeOrRefuse(Buffer.from(noise));
      if (item !== null) expect(heldBytes(item)).toBeLessThanOrEqual(noise.length);
    }),
    { numRuns: 2000 },
  );
});

test('a message with altered bytes is decoded or refused', () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(anyItem, fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(), (item, changes, cut) => {
      const frame = encodeTtlv(item);
      for (const [at, value] of changes) frame.writeUInt8(value, at % frame.length);
      decodeOrRefuse(frame);
      decodeOrRefuse(frame.subarray(0, cut % frame.length));
    }),
    { numRuns: 1000 },
  );
});
