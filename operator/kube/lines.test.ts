import { expect, test } from 'vitest';
import { lines } from './lines.ts';

async function linesOf(...chunks: Uint8Array[]): Promise<string[]> {
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  }
  const found: string[] = [];
  for await (const line of lines(stream())) found.push(line);
  return found;
}

test('lines are whole however the bytes were cut, and a cut one is left out', async () => {
  const bytes = Buffer.from('{"a":"é€😀"}\n\n{"b":1}\n{"c":"cut');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
      bytes.subarray(n * size, (n + 1) * size),
    );
    expect(await linesOf(...chunks)).toEqual(['{"a":"é€😀"}', '{"b":1}']);
  }
});

test('a line without an end is not held for ever', async () => {
  const chunk = new Uint8Array(1_024 * 1_024).fill(0x61);
  await expect(linesOf(...Array.from({ length: 17 }, () => chunk))).rejects.toThrow(RangeError);
});
