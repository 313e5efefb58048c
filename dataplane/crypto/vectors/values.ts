/** How values of the format are written in the vectors' JSON, as schemas that turn them into the code's own types. */
import { createSecretKey } from 'node:crypto';
import { z } from 'zod';
import type { Field } from '../encoding.ts';

/** Bytes as hex. */
export const hex = z
  .string()
  .regex(/^(?:[0-9a-f]{2})*$/)
  .transform((text) => Buffer.from(text, 'hex'));

/** A key as hex. */
export const key = hex.transform((bytes) => createSecretKey(bytes));

/** A map as a list of [name, value], so that its order in JSON shows that order does not matter. */
export const map = z.array(z.tuple([z.string(), z.string()])).transform((entries) => new Map(entries));

export const algorithm = z.enum(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']);
export const checksumType = z.enum(['FULL_OBJECT', 'COMPOSITE']);

/** A field with its type named, such as {"integer": 1} or {"absent": true}. */
export const field: z.ZodType<Field> = z.lazy(() =>
  z.union([
    z.strictObject({ integer: z.number() }).transform((x) => x.integer),
    z.strictObject({ boolean: z.boolean() }).transform((x) => x.boolean),
    z.strictObject({ text: z.string() }).transform((x) => x.text),
    z.strictObject({ bytes: hex }).transform((x) => x.bytes),
    z.strictObject({ absent: z.literal(true) }).transform(() => null),
    z.strictObject({ list: z.array(z.array(field)) }).transform((x) => x.list),
    z.strictObject({ map }).transform((x) => x.map),
  ]),
);

/** The plaintext of this many bytes that vectors use: byte i is i mod 251. */
export function patternBytes(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) bytes[i] = i % 251;
  return bytes;
}
