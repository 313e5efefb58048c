import { describe, expect, it } from 'vitest';
import { freeBuffer } from './freeBuffer.ts';

describe('freeBuffer', () => {
  it('gives back the memory of a whole buffer', () => {
    const bytes = Buffer.alloc(20_000, 1);
    freeBuffer(bytes);
    expect(bytes.byteLength).toBe(0);
  });

  it.each([
    ['a view of larger memory', Buffer.alloc(40_000, 1).subarray(0, 20_000)],
    ['a small buffer', Buffer.alloc(4096, 1)],
    ['memory that threads share', new Uint8Array(new SharedArrayBuffer(20_000)).fill(1)],
  ])('leaves %s alone', (_, bytes) => {
    const before = bytes.byteLength;
    freeBuffer(bytes);
    expect(bytes.byteLength).toBe(before);
    expect(bytes.every((byte) => byte === 1)).toBe(true);
  });
});
