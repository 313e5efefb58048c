import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { parseRange } from './ranges.ts';

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', 10, 0, 0],
    ['bytes=0-9', 10, 0, 9],
    ['bytes=3-', 10, 3, 9],
    ['bytes=3-100', 10, 3, 9],
    ['bytes=-4', 10, 6, 9],
    ['bytes=-40', 10, 0, 9],
    [' bytes=1-2 ', 10, 1, 2],
  ])('reads %s of %i bytes as %i..%i', (header, size, first, last) => {
    expect(parseRange(header, size)).toEqual({ first, last });
  });

  it.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=0-1,3-4',
    'items=0-1',
    'bytes=a-b',
    'bytes 0-1',
  ])('takes %s for the whole object', (header) => {
    expect(parseRange(header, 10)).toBeNull();
  });

  it.each([
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=-1', 0],
  ])('answers 416 to %s of %i bytes and tells the size', (header, size) => {
    const caught = (() => {
      try {
        return parseRange(header, size);
      } catch (error) {
        return error;
      }
    })();
    expect(caught).toBeInstanceOf(S3Error);
    expect(caught).toMatchObject({
      code: 'InvalidRange',
      status: 416,
      details: { ActualObjectSize: String(size), RangeRequested: header },
    });
  });

  it('always lies inside the object', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1200), fc.integer({ min: 1, max: 1000 }), (first, last, size) => {
        fc.pre(first < size && last >= first);
        const range = parseRange(`bytes=${first}-${last}`, size);
        expect(range).toEqual({ first, last: Math.min(last, size - 1) });
      }),
    );
  });
});
