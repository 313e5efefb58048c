import { expect, test } from 'vitest';
import { Progress } from './progress.ts';

test('is told at most once a second, with the rate since the start', () => {
  const clock = { nowMs: 500 };
  const lines: string[] = [];
  const progress = new Progress(
    () => clock.nowMs,
    (line) => lines.push(line),
  );
  const mib = 1024 * 1024;
  progress.addBytes(mib);
  clock.nowMs += 999;
  progress.addObject();
  expect(lines).toEqual([]);
  clock.nowMs += 1_001;
  progress.addBytes(3 * mib);
  progress.addBytes(mib);
  expect(lines).toEqual(['1 objects, 4.0 MiB, 2.0 MiB/s\n']);
  clock.nowMs += 1_000;
  progress.addObject();
  expect(lines.at(-1)).toBe('2 objects, 5.0 MiB, 1.7 MiB/s\n');
  expect(progress).toMatchObject({ objects: 2, bytes: 5 * mib, elapsedMs: 3_000 });
});
