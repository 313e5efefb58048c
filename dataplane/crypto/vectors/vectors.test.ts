import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { vectorFiles, vectorText } from './generate.ts';
import { isOperationName, operations } from './operations.ts';
import { refuse } from './vectorFile.ts';

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
const operationName = z.string().refine(isOperationName);
const input = z.record(z.string(), z.json());
const vectorFile = z.object({
  cases: z.array(z.object({ name: z.string(), operation: operationName, input, output: input })),
  mustFail: z.array(
    z.object({ name: z.string(), operation: operationName, input, code: z.enum(['Integrity', 'Malformed']) }),
  ),
});

test('the folder holds the vector files that the generator writes, and no others', () => {
  const present = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.json'));
  expect(present.sort()).toEqual(Object.keys(vectorFiles).sort());
});

describe.each(Object.entries(vectorFiles))('%s', (name, vectors) => {
  test('is what the generator writes', () => {
    expect(read(name)).toBe(vectorText(vectors()));
  });

  const { cases, mustFail } = vectorFile.parse(JSON.parse(read(name)));

  test.each(cases)('$operation: $name', ({ operation, input, output }) => {
    expect(operations[operation](input)).toEqual(output);
  });

  test.each(mustFail)('$operation refuses: $name', ({ name, operation, input, code }) => {
    refuse(name, operation, input, code);
  });
});
