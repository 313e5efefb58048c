/**
 * Figures that change all the time, as a status may show them: written every five minutes at most and only when they
 * moved by more than one percent, so that counting causes no stream of writes. Nothing to something, and back, is
 * written at once.
 */
const EVERY_MS = 5 * 60_000;
const SHARE = 0.01;

/** Whether `value` should replace what is shown. `writtenMs`: when that was written; null: not known. */
export function isWorthWriting(
  shown: number | undefined,
  value: number,
  { writtenMs, nowMs }: { readonly writtenMs: number | null; readonly nowMs: number },
): boolean {
  if (shown === value) return false;
  if (shown === undefined || (shown === 0) !== (value === 0)) return true;
  if (writtenMs !== null && nowMs - writtenMs < EVERY_MS) return false;
  return Math.abs(value - shown) > Math.abs(shown) * SHARE;
}
