import type { z } from 'zod';
import type { RandomSource } from '../random.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** One thing that the format can do, from JSON to JSON; throws FormatError where the format refuses. */
export type Operation = (input: unknown) => JsonObject;

/** An operation whose input is checked against a schema first. */
export function operation<Input>(input: z.ZodType<Input>, run: (input: Input) => JsonObject): Operation {
  return (json) => run(input.parse(json));
}

/** A random source that gives exactly these bytes, once. */
export function fixedRandom(bytes: Buffer): RandomSource {
  let isUsed = false;
  return (sizeBytes) => {
    if (isUsed || sizeBytes !== bytes.length)
      throw new Error('the operation draws other random bytes than the vector gives');
    isUsed = true;
    return Buffer.from(bytes);
  };
}
