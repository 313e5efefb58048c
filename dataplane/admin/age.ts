/** Ages of keys as people write them: `90d`, `36h`; and as Kubernetes does: `2160h`, `24h30m`. */

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
const SHORTEST_MS = UNIT_MS.h;
const LONGEST_MS = 3_660 * UNIT_MS.d;

/** Milliseconds of an age such as `90d`, `36h` or `90m`, from an hour to ten years; null when it is none. */
export function parseAge(text: string): number | null {
  const match = /^(\d{1,6})([dhm])$/.exec(text);
  const ageMs = Number(match?.[1]) * (UNIT_MS[match?.[2] as keyof typeof UNIT_MS] ?? Number.NaN);
  return ageMs >= SHORTEST_MS && ageMs <= LONGEST_MS ? ageMs : null;
}

const SHORTEST_INTERVAL_MS = 24 * UNIT_MS.h;
const LONGEST_INTERVAL_MS = 87_600 * UNIT_MS.h;

/** Milliseconds of a Kubernetes duration such as `2160h` or `24h30m`, from 24h to 87600h; null when it is none. */
export function parseInterval(text: string): number | null {
  if (!/^(?:\d{1,6}(?:h|ms|m|s)){1,4}$/.test(text)) return null;
  const parts = [...text.matchAll(/(\d+)(h|ms|m|s)/g)];
  const intervalMs = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS],
    0,
  );
  return intervalMs >= SHORTEST_INTERVAL_MS && intervalMs <= LONGEST_INTERVAL_MS ? intervalMs : null;
}

/** The age in the largest unit that it is whole in. */
export function ageText(ageMs: number): string {
  for (const [unit, unitMs] of Object.entries(UNIT_MS)) {
    if (ageMs % unitMs === 0) return `${ageMs / unitMs}${unit}`;
  }
  return `${ageMs}ms`;
}
