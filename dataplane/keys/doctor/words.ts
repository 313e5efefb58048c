/** Times and foreign text in the doctor's sentences. */

const DAY_MS = 86_400_000;
const UNITS = [
  ['day', DAY_MS],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;

/** `2026-11-25 00:10:00 UTC` */
export const utc = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** A length of time in its largest fitting unit, rounded down: `3 days`, `1 hour`, `0 seconds`. */
export function span(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['second', 1000];
  const count = Math.floor(Math.abs(ms) / unitMs);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;
const LIMIT = 300;

/** Another side's words, fit for one line of a report; every copy of `secret` is taken out. */
export function foreign(text: string, secret?: string): string {
  const without = secret === undefined || secret === '' ? text : text.replaceAll(secret, '(password)');
  return without.replaceAll(UNSAFE, ' ').slice(0, LIMIT).trim();
}
