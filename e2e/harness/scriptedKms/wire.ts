/**
 * TTLV for the scripted KMIP server: a reader over bytes and a writer of bytes (KMIP 1.4, section 9.1).
 *
 * Written on its own and unlike the client's: a mistake that both shared would hide itself. It must never import
 * anything of dataplane/. The writer also writes what is wrong, when a test says so (see `raw`).
 */

/** Item types (section 9.1.1.2). */
const TYPE = {
  structure: 0x01,
  integer: 0x02,
  longInteger: 0x03,
  bigInteger: 0x04,
  enumeration: 0x05,
  boolean: 0x06,
  text: 0x07,
  bytes: 0x08,
  date: 0x09,
  interval: 0x0a,
} as const;

/** Bytes that are no TTLV, or an item that a request must have and has not. */
export class WireError extends Error {
  override name = 'WireError';
}

const HEADER = 8;
const fill = (length: number): number => (8 - (length % 8)) % 8;

/** One item where it lies; nothing below it is looked at before it is asked for. */
export class Item {
  readonly tag: number;
  readonly type: number;
  /** The value without padding. */
  readonly body: Buffer;

  constructor(tag: number, type: number, body: Buffer) {
    this.tag = tag;
    this.type = type;
    this.body = body;
  }

  /** The items of a structure. Throws WireError when it is none, or its bytes are not items. */
  get items(): Item[] {
    this.#want(TYPE.structure, this.body.length);
    return itemsIn(this.body);
  }

  get integer(): number {
    this.#want(TYPE.integer, 4);
    return this.body.readInt32BE();
  }

  get enumeration(): number {
    this.#want(TYPE.enumeration, 4);
    return this.body.readUInt32BE();
  }

  get boolean(): boolean {
    this.#want(TYPE.boolean, 8);
    return this.body.readBigUInt64BE() === 1n;
  }

  get text(): string {
    this.#want(TYPE.text, this.body.length);
    return this.body.toString('utf8');
  }

  get bytes(): Buffer {
    this.#want(TYPE.bytes, this.body.length);
    return this.body;
  }

  /** Unix seconds. */
  get date(): number {
    this.#want(TYPE.date, 8);
    return Number(this.body.readBigInt64BE());
  }

  /** The items with this tag. */
  all(tag: number): Item[] {
    return this.items.filter((item) => item.tag === tag);
  }

  /** The first item with this tag, or undefined. */
  find(tag: number): Item | undefined {
    return this.items.find((item) => item.tag === tag);
  }

  /** The first item with this tag. Throws WireError when there is none. */
  must(tag: number): Item {
    const item = this.find(tag);
    if (item === undefined) throw new WireError(`no ${tag.toString(16)} in ${this.tag.toString(16)}`);
    return item;
  }

  #want(type: number, length: number): void {
    if (this.type !== type || this.body.length !== length) {
      throw new WireError(
        `item ${this.tag.toString(16)} has type ${this.type} and ${this.body.length} bytes, not type ${type}`,
      );
    }
  }
}

/** All items that fill `bytes`. Throws WireError when they do not fill it exactly, or padding is not zero. */
export function itemsIn(bytes: Buffer): Item[] {
  const items: Item[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    if (rest.length < HEADER) throw new WireError('half an item');
    const length = rest.readUInt32BE(4);
    const end = HEADER + length + fill(length);
    if (end > rest.length) throw new WireError('an item longer than what holds it');
    if (rest.subarray(HEADER + length, end).some((byte) => byte !== 0))
      throw new WireError('padding that is not zero');
    items.push(new Item(rest.readUIntBE(0, 3), rest.readUInt8(3), rest.subarray(HEADER, HEADER + length)));
    rest = rest.subarray(end);
  }
  return items;
}

/** An item with any header: `length` is what it claims, whatever `body` is. `body` is not padded. */
export function raw(tag: number, type: number, length: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUIntBE(tag, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt32BE(length, 4);
  return Buffer.concat([header, body]);
}

const item = (tag: number, type: number, value: Buffer): Buffer =>
  raw(tag, type, value.length, Buffer.concat([value, Buffer.alloc(fill(value.length))]));

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

const doubleWord = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

export const structure = (tag: number, ...items: readonly Buffer[]): Buffer =>
  item(tag, TYPE.structure, Buffer.concat(items));
export const integer = (tag: number, value: number): Buffer => item(tag, TYPE.integer, word(value));
export const enumeration = (tag: number, value: number): Buffer => item(tag, TYPE.enumeration, word(value));
export const boolean = (tag: number, value: boolean): Buffer =>
  item(tag, TYPE.boolean, doubleWord(value ? 1n : 0n));
export const text = (tag: number, value: string): Buffer => item(tag, TYPE.text, Buffer.from(value, 'utf8'));
export const bytes = (tag: number, value: Buffer): Buffer => item(tag, TYPE.bytes, value);
/** `seconds` since 1970. */
export const date = (tag: number, seconds: number): Buffer =>
  item(tag, TYPE.date, doubleWord(BigInt(Math.floor(seconds))));

/** Cuts a stream into messages. */
export class MessageCutter {
  #held = Buffer.alloc(0);

  /** The whole messages that these bytes complete. Throws WireError for one beyond 1 MiB. */
  push(chunk: Buffer): Buffer[] {
    this.#held = Buffer.concat([this.#held, chunk]);
    const messages: Buffer[] = [];
    while (this.#held.length >= HEADER) {
      const end = HEADER + this.#held.readUInt32BE(4);
      if (end > 1024 * 1024) throw new WireError('a message beyond 1 MiB');
      if (this.#held.length < end) break;
      messages.push(this.#held.subarray(0, end));
      this.#held = this.#held.subarray(end);
    }
    return messages;
  }
}
