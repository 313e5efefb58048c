/**
 * TTLV, the encoding of KMIP messages (KMIP 1.4, section 9.1): tag, type, length, value, padded to eight bytes.
 *
 * Owns the bytes only: it knows no message and no operation. Values of byte strings are never copied when decoding, so
 * zeroing the frame erases the key in it, and no error text ever holds a value.
 */

/** What an item of each type holds. */
export interface TtlvValues {
  readonly Structure: readonly Ttlv[];
  /** Signed, 32 bits; also usage masks. */
  readonly Integer: number;
  readonly LongInteger: bigint;
  /** Two's complement, a multiple of eight bytes. */
  readonly BigInteger: Uint8Array;
  /** Unsigned, 32 bits. */
  readonly Enumeration: number;
  readonly Boolean: boolean;
  readonly TextString: string;
  readonly ByteString: Uint8Array;
  /** Unix seconds. */
  readonly DateTime: bigint;
  /** Unsigned seconds, 32 bits. */
  readonly Interval: number;
}

/** One item. */
export type Ttlv = TtlvItems[TtlvType];
type TtlvItems = {
  [T in keyof TtlvValues]: { readonly tag: number; readonly type: T; readonly value: TtlvValues[T] };
};

export type TtlvType = keyof TtlvValues;

/** Bytes that are not TTLV, or an item that is not what the message needs. Says where and what, never the value. */
export class TtlvError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TtlvError';
  }
}

const TYPE_CODES: Readonly<Record<TtlvType, number>> = {
  Structure: 0x01,
  Integer: 0x02,
  LongInteger: 0x03,
  BigInteger: 0x04,
  Enumeration: 0x05,
  Boolean: 0x06,
  TextString: 0x07,
  ByteString: 0x08,
  DateTime: 0x09,
  Interval: 0x0a,
};
const TYPES_BY_CODE: ReadonlyMap<number, TtlvType> = new Map(
  (Object.keys(TYPE_CODES) as TtlvType[]).map((type) => [TYPE_CODES[type], type]),
);

/** Tag, type and length come before every value. */
export const ITEM_HEADER_BYTES = 8;
/** Structures inside structures; a KMIP 1.x message needs about eight. */
const NESTING_LIMIT = 24;

const padded = (length: number): number => Math.ceil(length / 8) * 8;

/** Bytes of the value without padding. */
function valueBytes(item: Ttlv): number {
  switch (item.type) {
    case 'Structure':
      return item.value.reduce((sum, child) => sum + ITEM_HEADER_BYTES + padded(valueBytes(child)), 0);
    case 'Integer':
    case 'Enumeration':
    case 'Interval':
      return 4;
    case 'LongInteger':
    case 'DateTime':
    case 'Boolean':
      return 8;
    case 'TextString':
      return Buffer.byteLength(item.value, 'utf8');
    default:
      return item.value.length;
  }
}

/** The item's bytes, in a buffer of its own (not pooled), so that the caller can zero it. */
export function encodeTtlv(item: Ttlv): Buffer {
  const out = Buffer.allocUnsafeSlow(ITEM_HEADER_BYTES + padded(valueBytes(item))).fill(0);
  write(out, 0, item);
  return out;
}

/** Writes into a zero-filled buffer, so padding needs no writing; returns the offset after the item. */
function write(out: Buffer, start: number, item: Ttlv): number {
  const length = valueBytes(item);
  out.writeUIntBE(item.tag, start, 3);
  out.writeUInt8(TYPE_CODES[item.type], start + 3);
  out.writeUInt32BE(length, start + 4);
  const at = start + ITEM_HEADER_BYTES;
  switch (item.type) {
    case 'Structure': {
      let next = at;
      for (const child of item.value) next = write(out, next, child);
      break;
    }
    case 'Integer':
      out.writeInt32BE(item.value, at);
      break;
    case 'Enumeration':
    case 'Interval':
      out.writeUInt32BE(item.value, at);
      break;
    case 'LongInteger':
    case 'DateTime':
      out.writeBigInt64BE(item.value, at);
      break;
    case 'Boolean':
      out.writeBigUInt64BE(item.value ? 1n : 0n, at);
      break;
    case 'TextString':
      out.write(item.value, at, 'utf8');
      break;
    case 'BigInteger':
    case 'ByteString':
      out.set(item.value, at);
      break;
  }
  return at + padded(length);
}

/**
 * The one item that fills `frame` exactly. Byte strings are views of `frame`.
 * Throws TtlvError for a length that leaves its parent, a wrong length for its type, an unknown type, ill-formed
 * UTF-8, bytes after the item, or nesting beyond the limit. Padding bytes are not looked at.
 */
export function decodeTtlv(frame: Buffer): Ttlv {
  const { item, end } = read(frame, 0, frame.length, 0);
  if (end !== frame.length) throw new TtlvError(`${frame.length - end} bytes after the message`);
  return item;
}

function read(frame: Buffer, start: number, parentEnd: number, depth: number): { item: Ttlv; end: number } {
  if (depth > NESTING_LIMIT) throw new TtlvError(`nested deeper than ${NESTING_LIMIT}`);
  if (parentEnd - start < ITEM_HEADER_BYTES) throw new TtlvError(`item header cut off at byte ${start}`);
  const tag = frame.readUIntBE(start, 3);
  const typeCode = frame.readUInt8(start + 3);
  const length = frame.readUInt32BE(start + 4);
  const at = start + ITEM_HEADER_BYTES;
  const end = at + padded(length);
  const where = `item ${tagName(tag)} at byte ${start}`;
  if (end > parentEnd) throw new TtlvError(`${where} is longer than what holds it`);
  const type = TYPES_BY_CODE.get(typeCode);
  if (type === undefined) throw new TtlvError(`${where} has the unknown type ${typeCode}`);
  const fixed = (bytes: number): void => {
    if (length !== bytes) throw new TtlvError(`${where}: ${type} of ${length} bytes`);
  };
  switch (type) {
    case 'Structure': {
      if (length !== padded(length)) throw new TtlvError(`${where}: Structure of ${length} bytes`);
      const value: Ttlv[] = [];
      for (let next = at; next < end; ) {
        const child = read(frame, next, end, depth + 1);
        value.push(child.item);
        next = child.end;
      }
      return { item: { tag, type, value }, end };
    }
    case 'Integer':
      fixed(4);
      return { item: { tag, type, value: frame.readInt32BE(at) }, end };
    case 'Enumeration':
    case 'Interval':
      fixed(4);
      return { item: { tag, type, value: frame.readUInt32BE(at) }, end };
    case 'LongInteger':
    case 'DateTime':
      fixed(8);
      return { item: { tag, type, value: frame.readBigInt64BE(at) }, end };
    case 'Boolean':
      fixed(8);
      return { item: { tag, type, value: frame.readBigUInt64BE(at) !== 0n }, end };
    case 'TextString':
      return { item: { tag, type, value: text(frame.subarray(at, at + length), where) }, end };
    case 'BigInteger':
      if (length === 0 || length !== padded(length))
        throw new TtlvError(`${where}: BigInteger of ${length} bytes`);
      return { item: { tag, type, value: frame.subarray(at, at + length) }, end };
    default:
      return { item: { tag, type, value: frame.subarray(at, at + length) }, end };
  }
}

function text(bytes: Buffer, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new TtlvError(`${where} is not UTF-8`, { cause: error });
  }
}

/** A tag as the specification writes it. */
export const tagName = (tag: number): string => `0x${tag.toString(16).padStart(6, '0')}`;
