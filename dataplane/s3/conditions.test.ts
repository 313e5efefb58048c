import { describe, expect, it } from 'vitest';
import {
  checkReadConditions,
  commitConditionally,
  matchesEtag,
  rangeStillApplies,
  writeCondition,
} from './conditions.ts';
import { HeaderBag } from './request.ts';

const validators = { etag: '"abc"', lastModifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) };
const same = 'Fri, 02 Jan 2026 03:04:05 GMT';
const before = 'Fri, 02 Jan 2026 03:04:04 GMT';
const bag = (...pairs: [string, string][]) => new HeaderBag(pairs.flat());

describe('checkReadConditions', () => {
  it.each<[string, [string, string][], string]>([
    ['no condition', [], 'served'],
    ['If-Match that matches', [['if-match', '"abc"']], 'served'],
    ['If-Match without quotes', [['if-match', 'abc']], 'served'],
    ['If-Match: *', [['if-match', '*']], 'served'],
    ['If-Match list', [['if-match', '"x", "abc"']], 'served'],
    ['If-Match of another', [['if-match', '"x"']], 'PreconditionFailed'],
    ['If-None-Match of another', [['if-none-match', '"x"']], 'served'],
    ['If-None-Match that matches', [['if-none-match', '"abc"']], 'NotModified'],
    ['If-Modified-Since the same second', [['if-modified-since', same]], 'NotModified'],
    ['If-Modified-Since earlier', [['if-modified-since', before]], 'served'],
    ['If-Unmodified-Since the same second', [['if-unmodified-since', same]], 'served'],
    ['If-Unmodified-Since earlier', [['if-unmodified-since', before]], 'PreconditionFailed'],
    ['an unreadable date', [['if-modified-since', 'yesterday']], 'served'],
    [
      'If-Match wins over If-Unmodified-Since',
      [
        ['if-match', '"abc"'],
        ['if-unmodified-since', before],
      ],
      'served',
    ],
    [
      'If-None-Match wins over If-Modified-Since',
      [
        ['if-none-match', '"x"'],
        ['if-modified-since', same],
      ],
      'served',
    ],
  ])('%s', (_, headers, outcome) => {
    const check = () => checkReadConditions(bag(...headers), validators);
    if (outcome === 'served') expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ code: outcome }));
  });

  it('repeats the validators on a 304', () => {
    expect(() => checkReadConditions(bag(['if-none-match', '"abc"']), validators)).toThrow(
      expect.objectContaining({ headers: { etag: '"abc"', 'last-modified': same } }),
    );
  });
});

describe('rangeStillApplies', () => {
  it.each<[string | null, boolean]>([
    [null, true],
    ['"abc"', true],
    ['"x"', false],
    [same, true],
    [before, false],
    ['nonsense', false],
  ])('If-Range %s: %s', (value, applies) => {
    expect(rangeStillApplies(value === null ? bag() : bag(['if-range', value]), validators)).toBe(applies);
  });
});

describe('writeCondition', () => {
  it('reads If-None-Match: * and If-Match', () => {
    expect(writeCondition(bag())).toEqual({ ifMatch: null, ifNoneMatch: false });
    expect(writeCondition(bag(['if-none-match', '*']))).toEqual({ ifMatch: null, ifNoneMatch: true });
    expect(writeCondition(bag(['if-match', '"abc"']))).toEqual({ ifMatch: '"abc"', ifNoneMatch: false });
  });

  it.each<[string, [string, string][]]>([
    ['If-None-Match of an ETag', [['if-none-match', '"abc"']]],
    [
      'both at once',
      [
        ['if-none-match', '*'],
        ['if-match', '"abc"'],
      ],
    ],
    ['If-Modified-Since', [['if-modified-since', same]]],
    ['If-Unmodified-Since', [['if-unmodified-since', same]]],
  ])('answers 501 to %s instead of ignoring it', (_, headers) => {
    expect(() => writeCondition(bag(...headers))).toThrow(
      expect.objectContaining({ code: 'NotImplemented' }),
    );
  });
});

describe('commitConditionally', () => {
  const race = new Error('lost');

  it('evaluates again after a lost race and commits what it then found', async () => {
    const seen: unknown[] = [];
    await commitConditionally(
      () => Promise.resolve('second'),
      'first',
      (expected) => {
        seen.push(expected);
        return expected === 'first' ? Promise.reject(race) : Promise.resolve();
      },
      (error) => error === race,
    );
    expect(seen).toEqual(['first', 'second']);
  });

  it('gives up with 409 after many lost races, and at once on another failure', async () => {
    const always = commitConditionally(
      () => Promise.resolve(undefined),
      undefined,
      () => Promise.reject(race),
      (error) => error === race,
    );
    await expect(always).rejects.toMatchObject({ code: 'ConditionalRequestConflict' });
    const broken = new Error('broken');
    const other = commitConditionally(
      () => Promise.reject(race),
      undefined,
      () => Promise.reject(broken),
      () => false,
    );
    await expect(other).rejects.toBe(broken);
  });
});

describe('matchesEtag', () => {
  it.each([
    ['"abc"', true],
    ['abc', true],
    ['*', true],
    ['W/"abc"', false],
    ['"ab"', false],
    ['', false],
  ])('%s: %s', (list, matches) => {
    expect(matchesEtag(list, '"abc"')).toBe(matches);
  });
});
