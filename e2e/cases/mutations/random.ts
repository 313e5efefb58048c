import { createHash } from 'node:crypto';

/** Random choices that a seed repeats. */
export interface Random {
  /** 0 to below - 1. */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  /** Two different entries; the list has at least two. */
  pickTwo<T>(from: readonly T[]): readonly [T, T];
  bytes(count: number): Buffer;
}

/** SHAKE-256 of the seed and a counter: the same on every machine. */
export function seeded(seed: string): Random {
  let counter = 0;
  const take = (count: number): Buffer => {
    counter += 1;
    return createHash('shake256', { outputLength: count }).update(`${seed} ${counter}`).digest();
  };
  const int = (below: number): number => take(6).readUIntBE(0, 6) % below;
  const pick = <T>(from: readonly T[]): T => {
    if (from.length === 0) throw new Error('there is nothing to choose from');
    return from[int(from.length)] as T;
  };
  return {
    int,
    pick,
    pickTwo: (from) => {
      const first = int(from.length);
      const second = (first + 1 + int(from.length - 1)) % from.length;
      return [pick(from.slice(first, first + 1)), pick(from.slice(second, second + 1))];
    },
    bytes: take,
  };
}
