/** The shape of a vector file, and how its cases are made: by running this implementation on fixed inputs. */
import { createHash } from 'node:crypto';
import { FormatError, type FormatErrorCode } from '../errors.ts';
import type { Json, JsonObject } from './operation.ts';
import { type OperationName, operations } from './operations.ts';

export interface VectorCase {
  readonly name: string;
  readonly operation: OperationName;
  readonly input: JsonObject;
  readonly output: JsonObject;
}

export interface MustFail {
  readonly name: string;
  readonly operation: OperationName;
  readonly input: JsonObject;
  readonly code: FormatErrorCode;
}

export interface VectorFile {
  readonly about: string;
  readonly cases: readonly VectorCase[];
  readonly mustFail: readonly MustFail[];
}

/** A case with the output that this implementation gives. */
export function accept(name: string, operation: OperationName, input: JsonObject): VectorCase {
  return { name, operation, input, output: operations[operation](input) };
}

/** A case that this implementation refuses; throws if it does not. */
export function refuse(
  name: string,
  operation: OperationName,
  input: JsonObject,
  code: FormatErrorCode = 'Integrity',
): MustFail {
  let refusal: unknown = null;
  try {
    operations[operation](input);
  } catch (error) {
    refusal = error;
  }
  if (!(refusal instanceof FormatError) || refusal.code !== code) {
    throw new Error(`${operation}: "${name}" is not refused as ${code}`, { cause: refusal });
  }
  return { name, operation, input, code };
}

/** The same input with one value changed; `path` such as "binding.n" or "entries.0.size". */
export function changed(input: JsonObject, path: string, value: Json): JsonObject {
  const [head = '', ...rest] = path.split('.');
  return { ...input, [head]: rest.length === 0 ? value : changedWithin(input[head], rest, value) };
}

function changedWithin(parent: Json | undefined, path: readonly string[], value: Json): Json {
  const [head = '', ...rest] = path;
  if (Array.isArray(parent)) {
    return parent.map((child: Json, i) =>
      String(i) !== head ? child : rest.length === 0 ? value : changedWithin(child, rest, value),
    );
  }
  if (typeof parent !== 'object' || parent === null) throw new Error(`no ${head} to change`);
  const entries = new Map(Object.entries(parent));
  if (!entries.has(head)) throw new Error(`no ${head} to change`);
  entries.set(head, rest.length === 0 ? value : changedWithin(entries.get(head), rest, value));
  return Object.fromEntries(entries);
}

/** Hex with one bit flipped; negative counts from the end. */
export function flipped(hex: string, bit: number): string {
  const bytes = Buffer.from(hex, 'hex');
  const from = bit < 0 ? bytes.length * 8 + bit : bit;
  const at = Math.floor(from / 8);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (from % 8)), at);
  return bytes.toString('hex');
}

/** 32 fixed bytes with a name, as hex: SHA-256 of the name. */
export function named32(name: string): string {
  return createHash('sha256').update(`sealgate vector: ${name}`).digest('hex');
}

/** A fixed identifier with a name. */
export function namedId(name: string): string {
  return named32(name).slice(0, 32);
}

/** Text as hex of its UTF-8. */
export function utf8(text: string): string {
  return Buffer.from(text).toString('hex');
}

/** A text that is in an operation's output. */
export function outputText(vector: VectorCase, name: string): string {
  const value = vector.output[name];
  if (typeof value !== 'string') throw new Error(`the output of ${vector.operation} has no ${name}`);
  return value;
}

/** The ways to damage a sealed value, whatever it holds: [what was done, the result]. */
export function damaged(sealed: string): readonly (readonly [string, string])[] {
  return [
    ['first bit flipped', flipped(sealed, 0)],
    ['last bit flipped', flipped(sealed, -1)],
    ['first bit of the tag flipped', flipped(sealed, -128)],
    ['last byte cut off', sealed.slice(0, -2)],
    ['tag cut to 4 bytes', sealed.slice(0, -24)],
    ['tag cut off', sealed.slice(0, -32)],
    ['empty', ''],
    ['a byte appended', `${sealed}00`],
    ['a byte put before', `00${sealed}`],
  ];
}

/** The input without one of its values. */
export function without(input: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(input).filter(([key]) => key !== name));
}

/** LP() in hex. */
export function lpHex(hex: string): string {
  return (hex.length / 2).toString(16).padStart(8, '0') + hex;
}
