/** Ages of keys as people write them: `90d`, `36h`. */

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000 } as const;
const SHORTEST_MS = UNIT_MS.h;
const LONGEST_MS = 3_660 * UNIT_MS.d;

/** Milliseconds of an age such as `90d`, `36h` or `90m`, from an hour to ten years; null when it is none. */
export function parseAge(text: string): number | null {
  const match = /^(\d{1,6})([dhm])$/.exec(text);
  const ageMs = Number(match?.[1]) * (UNIT_MS[match?.[2] as keyof typeof UNIT_MS] ?? Number.NaN);
  return ageMs >= SHORTEST_MS && ageMs <= LONGEST_MS ? ageMs : null;
}

/** The age in the largest unit that it is whole in. */
export function ageText(ageMs: number): string {
  for (const [unit, unitMs] of Object.entries(UNIT_MS)) {
    if (ageMs % unitMs === 0) return `${ageMs / unitMs}${unit}`;
  }
  return `${Math.ceil(ageMs / UNIT_MS.m)}m`;
}
