import { describe, expect, it } from 'vitest';
import { type LineHits, measure, parseLcov, union } from './coverage.ts';

const hits = (files: Record<string, Record<number, number>>): LineHits =>
  new Map(
    Object.entries(files).map(([path, lines]) => [
      path,
      new Map(Object.entries(lines).map(([line, count]) => [Number(line), count])),
    ]),
  );

describe('reading lcov', () => {
  it('takes files and lines, with paths from the root', () => {
    const text =
      'TN:\nSF:/project/dataplane/a.ts\nFN:1,f\nDA:1,2\nDA:3,0\nend_of_record\nSF:dataplane/b.ts\nDA:7,1\nend_of_record\n';
    expect(parseLcov(text, '/project')).toEqual(
      hits({ 'dataplane/a.ts': { 1: 2, 3: 0 }, 'dataplane/b.ts': { 7: 1 } }),
    );
  });

  it('adds up a file that is named twice', () => {
    expect(parseLcov('SF:a.ts\nDA:1,1\nend_of_record\nSF:a.ts\nDA:1,2\nDA:2,0\n', '/p')).toEqual(
      hits({ 'a.ts': { 1: 3, 2: 0 } }),
    );
  });

  it('refuses a record without a count', () => {
    expect(() => parseLcov('SF:a.ts\nDA:1\n', '/p')).toThrow('not an lcov record: DA:1');
  });
});

describe('the union of two runs', () => {
  it('adds hits but neither lines nor files', () => {
    const unit = hits({ 'a.ts': { 1: 0, 2: 1 }, 'b.ts': { 1: 0 } });
    const served = hits({ 'a.ts': { 1: 4, 9: 1 }, 'c.ts': { 1: 1 } });
    expect(union(unit, served)).toEqual(hits({ 'a.ts': { 1: 4, 2: 1 }, 'b.ts': { 1: 0 } }));
  });
});

describe('a floor', () => {
  const floor = { name: 'all', folder: 'dataplane', percent: 90 };

  it.each([
    [9, 1, true],
    [8, 2, false],
    [10, 0, true],
  ])('with %i lines hit and %i missed is reached: %s', (hit, missed, reached) => {
    const lines = Object.fromEntries(
      Array.from({ length: hit + missed }, (_, i) => [i + 1, i < hit ? 1 : 0]),
    );
    const result = measure(hits({ 'dataplane/a.ts': lines, 'e2e/b.ts': { 1: 0 } }), floor);
    expect(result).toMatchObject({ lines: hit + missed, hit, reached });
    expect(result.missed).toHaveLength(missed);
  });

  it('names the lines that were never run', () => {
    expect(measure(hits({ 'dataplane/a.ts': { 4: 0, 5: 1 } }), floor).missed).toEqual(['dataplane/a.ts:4']);
  });

  it('is not reached by a folder without lines', () => {
    expect(measure(hits({ 'dataplanes/a.ts': { 1: 1 } }), floor).reached).toBe(false);
  });
});
