import { describe, expect, it } from 'vitest';
import { bag, NOW_MS, TIMESTAMP } from './signer.testkit.ts';
import { formatErrorTime, headerSigningTime, parseTimestamp } from './signingTime.ts';

describe('a signing time', () => {
  it.each([
    [TIMESTAMP, NOW_MS],
    ['20240229T235959Z', Date.UTC(2024, 1, 29, 23, 59, 59)],
    ['20230229T000000Z', null],
    ['20130230T000000Z', null],
    ['20131301T000000Z', null],
    ['20130001T000000Z', null],
    ['20130500T000000Z', null],
    ['20130532T000000Z', null],
    ['20130524T000060Z', null],
    ['20130524T240000Z', null],
    ['20130524T006000Z', null],
    ['20130524T000000', null],
    ['20130524 000000Z', null],
    [' 20130524T000000Z', null],
    ['', null],
  ])('%j is read as %s', (timestamp, ms) => {
    expect(parseTimestamp(timestamp)?.ms ?? null).toBe(ms);
  });

  it.each([
    ['Fri, 24 May 2013 00:00:00 GMT', TIMESTAMP],
    ['Fri, 24 May 2013 00:00:00 +0000', TIMESTAMP],
    ['Fri, 24 May 2013 00:00:00 -0000', TIMESTAMP],
    ['Fri, 24 May 2013 00:00:00 +0100', null],
    [TIMESTAMP, TIMESTAMP],
    ['Fri, 24 Mai 2013 00:00:00 GMT', null],
    ['24 May 2013', null],
    ['2013', null],
    ['', null],
  ])('in a Date header %j is %s', (date, timestamp) => {
    expect(headerSigningTime(bag([['Date', date]]))?.timestamp ?? null).toBe(timestamp);
  });

  it('is x-amz-date when both are there, and no fallback for a wrong one', () => {
    const date: [string, string] = ['Date', 'Fri, 24 May 2013 01:00:00 GMT'];
    expect(headerSigningTime(bag([date, ['x-amz-date', TIMESTAMP]]))?.ms).toBe(NOW_MS);
    expect(headerSigningTime(bag([date, ['x-amz-date', 'now']]))).toBeNull();
  });

  it('is shown in errors to the second', () => {
    expect(formatErrorTime(NOW_MS + 999)).toBe('2013-05-24T00:00:00Z');
  });
});
