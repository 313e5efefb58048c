import { describe, expect, it } from 'vitest';
import { blockRandom, systemRandom } from './random.ts';

describe.each([
  ['systemRandom', () => systemRandom],
  ['blockRandom', blockRandom],
])('%s', (_, make) => {
  it.each([0, 1, 16, 32, 4095, 4096, 4097, 10_000])('gives %i bytes', (sizeBytes) => {
    expect(make()(sizeBytes).length).toBe(sizeBytes);
  });

  it('never gives the same bytes twice, and never zeros for bytes', () => {
    const random = make();
    const seen = new Set<string>();
    for (let i = 0; i < 1000; i += 1) seen.add(random(32).toString('hex'));
    expect(seen.size).toBe(1000);
    expect(seen.has('00'.repeat(32))).toBe(false);
  });

  it('gives a buffer of its own, outside of any pool', () => {
    const random = make();
    const first = random(32);
    const copy = Buffer.from(first);
    random(32).fill(0);
    expect(first.equals(copy)).toBe(true);
    expect(first.buffer.byteLength).toBe(32);
  });
});
