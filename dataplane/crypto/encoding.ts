/**
 * The injective encoding that everything authenticated is written in (docs/format.md, "Encoding").
 *
 * Numbers are BE64, booleans one byte, text UTF-8, bytes raw, absent (null, undefined) the mark 0xFFFFFFFF in place of a
 * length. An array is a list whose entries are the fields of each; a Map is a map of lower-case names to text. A
 * group of fields that is one field is passed as the bytes of its own enc().
 */
import { isUtf8 } from 'node:buffer';
import { FormatError } from './errors.ts';

export type Field =
  | number
  | boolean
  | string
  | Uint8Array
  | null
  | undefined
  | readonly (readonly Field[])[]
  | ReadonlyMap<string, string>;

const ABSENT = 0xffffffff;
const LENGTH_BYTES = 4;
const INITIAL_BYTES = 512;
/** UTF-8 needs at most this many bytes per UTF-16 unit. */
const MAX_UTF8_PER_UNIT = 3;

/** The fields in order, each as LP(its value); enc([x]) is LP(x). Throws FormatError 'Malformed' for what the format cannot write. */
export function enc(fields: readonly Field[]): Buffer {
  const writer = new Writer();
  writer.fields(fields);
  return writer.bytes();
}

/** BE32 of an integer from 0 to 2^32 - 1. */
export function be32(value: number): Buffer {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new FormatError('Malformed', 'not an unsigned 32-bit integer');
  }
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}

class Writer {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #end = 0;

  fields(fields: readonly Field[]): void {
    for (const field of fields) this.#field(field);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  #field(field: Field): void {
    if (field === null || field === undefined) {
      this.#be32(ABSENT);
      return;
    }
    const lengthAt = this.#end;
    this.#be32(0);
    this.#value(field);
    const length = this.#end - lengthAt - LENGTH_BYTES;
    this.#buffer.writeUInt32BE(length, lengthAt);
  }

  #value(field: Exclude<Field, null | undefined>): void {
    if (typeof field === 'string') this.#text(field);
    else if (typeof field === 'number') this.#be64(field);
    else if (typeof field === 'boolean') this.#raw(Buffer.of(field ? 1 : 0));
    else if (field instanceof Uint8Array) this.#raw(field);
    else if (field instanceof Map) this.#map(field);
    else this.#list(field as readonly (readonly Field[])[]);
  }

  #list(entries: readonly (readonly Field[])[]): void {
    this.#be32(entries.length);
    for (const entry of entries) {
      const lengthAt = this.#end;
      this.#be32(0);
      this.fields(entry);
      this.#buffer.writeUInt32BE(this.#end - lengthAt - LENGTH_BYTES, lengthAt);
    }
  }

  #map(map: ReadonlyMap<string, string>): void {
    const names = [...map.keys()];
    if (names.some((name) => /[A-Z]/.test(name)))
      throw new FormatError('Malformed', 'a map name is not lower-case');
    // Bytewise, not JavaScript's order of UTF-16 units.
    names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    this.#be32(names.length);
    for (const name of names) this.fields([name, map.get(name)]);
  }

  #text(text: string): void {
    // Node would replace a lone surrogate by U+FFFD, and two texts would have one encoding.
    if (!text.isWellFormed()) throw new FormatError('Malformed', 'text is not well-formed Unicode');
    this.#reserve(text.length * MAX_UTF8_PER_UNIT);
    this.#end += this.#buffer.write(text, this.#end, 'utf8');
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #be64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new FormatError('Malformed', 'not an unsigned safe integer');
    this.#reserve(2 * LENGTH_BYTES);
    this.#end = this.#buffer.writeUInt32BE(Math.floor(value / 2 ** 32), this.#end);
    this.#end = this.#buffer.writeUInt32BE(value % 2 ** 32, this.#end);
  }

  #be32(value: number): void {
    this.#reserve(LENGTH_BYTES);
    this.#end = this.#buffer.writeUInt32BE(value, this.#end);
  }

  #reserve(sizeBytes: number): void {
    const needed = this.#end + sizeBytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#end);
    this.#buffer = grown;
  }
}

/**
 * Reads fields back, strictly: every encoding that enc() would not have written is FormatError 'Malformed'. The
 * caller asks for the fields in order and ends with end(). Returned buffers are views of the input.
 */
export class Decoder {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The raw bytes of a field, or null where it is absent. */
  optionalBytes(): Buffer | null {
    const length = this.#be32();
    if (length === ABSENT) return null;
    if (length > this.#bytes.length - this.#at)
      throw new FormatError('Malformed', 'a field ends after the encoding');
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  /** The raw bytes of a field that must be there. */
  bytes(): Buffer {
    const value = this.optionalBytes();
    if (value === null) throw new FormatError('Malformed', 'a required field is absent');
    return value;
  }

  /** A text field. */
  text(): string {
    const value = this.bytes();
    if (!isUtf8(value)) throw new FormatError('Malformed', 'text is not well-formed UTF-8');
    return value.toString('utf8');
  }

  /** A list; `readEntry` takes one entry's fields and must take all of them. */
  list<Entry>(readEntry: (entry: Decoder) => Entry): Entry[] {
    const body = new Decoder(this.bytes());
    const count = body.#be32();
    const entries: Entry[] = [];
    // The count is not trusted for an allocation; too large a one runs into the end.
    for (let i = 0; i < count; i++) {
      const entry = new Decoder(body.bytes());
      entries.push(readEntry(entry));
      entry.end();
    }
    body.end();
    return entries;
  }

  /** A map of text to text: lower-case names, strictly ascending bytewise. */
  map(): Map<string, string> {
    const body = new Decoder(this.bytes());
    const count = body.#be32();
    const map = new Map<string, string>();
    let previous: Buffer | null = null;
    for (let i = 0; i < count; i++) {
      const name = body.text();
      const nameBytes = Buffer.from(name);
      if (/[A-Z]/.test(name)) throw new FormatError('Malformed', 'a map name is not lower-case');
      if (previous !== null && Buffer.compare(previous, nameBytes) >= 0) {
        throw new FormatError('Malformed', 'map names are not in ascending order');
      }
      map.set(name, body.text());
      previous = nameBytes;
    }
    body.end();
    return map;
  }

  /** Nothing may follow the last field. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new FormatError('Malformed', 'bytes follow the last field');
  }

  #be32(): number {
    if (this.#bytes.length - this.#at < LENGTH_BYTES) {
      throw new FormatError('Malformed', 'the encoding ends within a length');
    }
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += LENGTH_BYTES;
    return value;
  }
}
