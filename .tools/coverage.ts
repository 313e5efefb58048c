/**
 * Line coverage: the union of what unit tests ran and what server processes ran in end-to-end cases.
 *
 * Which lines count is what the unit run says (statements only, every file of the tree, run or not); server
 * processes can only add hits, because Node strips types in place and so keeps every line where it was.
 */

/** Hits by line, by path from the project's root. */
export type LineHits = ReadonlyMap<string, ReadonlyMap<number, number>>;

export interface Floor {
  readonly name: string;
  readonly folder: string;
  readonly percent: number;
}

export interface FloorResult extends Floor {
  readonly lines: number;
  readonly hit: number;
  readonly reached: boolean;
  /** `path:line` of what was never run. */
  readonly missed: readonly string[];
}

/** Reads the SF and DA records of an lcov file; `root` is taken off absolute paths. */
export function parseLcov(text: string, root: string): LineHits {
  const files = new Map<string, Map<number, number>>();
  let lines = new Map<number, number>();
  for (const record of text.split('\n')) {
    if (record.startsWith('SF:')) {
      const path = record.slice(3).trim();
      const name = path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
      lines = files.get(name) ?? new Map<number, number>();
      files.set(name, lines);
    } else if (record.startsWith('DA:')) {
      const [line, hits] = record.slice(3).split(',').map(Number);
      if (line === undefined || hits === undefined) throw new Error(`not an lcov record: ${record}`);
      lines.set(line, (lines.get(line) ?? 0) + hits);
    }
  }
  return files;
}

/** The lines of `base` with the hits of both: lines that only `more` knows (blank ones, types) do not count. */
export function union(base: LineHits, more: LineHits): LineHits {
  return new Map(
    [...base].map(([path, lines]) => {
      const other = more.get(path);
      return [path, new Map([...lines].map(([line, hits]) => [line, hits + (other?.get(line) ?? 0)]))];
    }),
  );
}

/** Holds one floor against the lines of its folder. A folder without a counted line does not reach any floor. */
export function measure(hits: LineHits, floor: Floor): FloorResult {
  const counted = [...hits].filter(([path]) => path.startsWith(`${floor.folder}/`));
  const missed = counted.flatMap(([path, lines]) =>
    [...lines].filter(([, count]) => count === 0).map(([line]) => `${path}:${line}`),
  );
  const lines = counted.reduce((sum, [, one]) => sum + one.size, 0);
  const hit = lines - missed.length;
  return { ...floor, lines, hit, missed, reached: lines > 0 && hit * 100 >= floor.percent * lines };
}
