/**
 * The walk behind every listing: keys in order, grouped by delimiter, a group stepped over instead of read.
 *
 * Owns no SQL: a source reads rows of a range in key order. The caller holds one snapshot around the walk.
 */
import { afterPrefix, commonPrefix } from './keyRanges.ts';

export interface GroupedQuery {
  readonly prefix: Uint8Array;
  readonly delimiter: Uint8Array | null;
  readonly limit: number;
}

export type Entry<Row> =
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'group'; readonly commonPrefix: Uint8Array };

export interface GroupedPage<Row> {
  readonly entries: readonly Entry<Row>[];
  /** Whether another entry follows. */
  readonly more: boolean;
}

/** Rows in key order. A Position is a place between rows. */
export interface Source<Row, Position> {
  /** At most `limit` rows from this position on with key < end (null = no end). */
  readonly fetch: (from: Position, end: Uint8Array | null, limit: number) => readonly Row[];
  readonly keyOf: (row: Row) => Uint8Array;
  /** The position behind this row. */
  readonly after: (row: Row) => Position;
  /** The position before the first row with a key >= this one. */
  readonly at: (key: Uint8Array) => Position;
}

/** Behind a group the next row is often the next group: few rows are read ahead there, more while rows are plain. */
const smallestBatch = 4;
const largestBatch = 1_024;

/** Reads from `start` until `limit` entries are found and one row more proves that there is more. */
export function walkGroups<Row, Position>(
  source: Source<Row, Position>,
  query: GroupedQuery,
  start: Position,
): GroupedPage<Row> {
  const { prefix, delimiter, limit } = query;
  const entries: Entry<Row>[] = [];
  if (limit <= 0) return { entries, more: false };
  const end = afterPrefix(prefix);
  let from = start;
  let batchRows = delimiter === null ? largestBatch : smallestBatch;

  for (;;) {
    const asked = Math.min(batchRows, largestBatch, limit + 1 - entries.length);
    const rows = source.fetch(from, end, asked);
    /** Rows below this belong to the group that was listed last. */
    let groupEnd: Uint8Array | null = null;
    for (const row of rows) {
      const key = source.keyOf(row);
      if (groupEnd !== null && Buffer.compare(key, groupEnd) < 0) continue;
      if (entries.length === limit) return { entries, more: true };
      const group = commonPrefix(key, prefix, delimiter);
      if (group === null) {
        entries.push({ kind: 'row', row });
        groupEnd = null;
        from = source.after(row);
        continue;
      }
      entries.push({ kind: 'group', commonPrefix: group });
      groupEnd = afterPrefix(group);
      // A group of nothing but 0xff reaches to the end of all keys.
      if (groupEnd === null) return { entries, more: false };
      from = source.at(groupEnd);
    }
    if (rows.length < asked) return { entries, more: false };
    batchRows = groupEnd === null ? batchRows * 2 : smallestBatch;
  }
}
