/** Sizes as Kubernetes quantities, for people. Pure. */
const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;

/** Such as `640Ki` or `1.18Mi`: three digits, in the unit that leaves at least one before the point. */
export function quantityText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : Math.max(0, 3 - String(Math.trunc(value)).length);
  return `${Number(value.toFixed(digits))}${UNITS[unit] ?? ''}`;
}

/** The bytes that such a text stands for; undefined: it is none. */
export function bytesIn(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGTPE]i)?$/.exec(text);
  if (match === null) return undefined;
  const power = UNITS.findIndex((unit) => unit === (match[2] ?? ''));
  return Number(match[1]) * 1024 ** power;
}
