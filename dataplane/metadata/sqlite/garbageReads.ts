/** What the collector reads. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { GarbageQuery, GarbageRef } from '../metadata.ts';
import { integer, text } from './columns.ts';

export class GarbageReads {
  readonly #due: StatementSync;

  constructor(db: DatabaseSync) {
    this.#due = db.prepare(
      `SELECT kind, id, since_ms FROM garbage WHERE since_ms <= ? AND (since_ms, kind, id) > (?, ?, ?)
       ORDER BY since_ms, kind, id LIMIT ?`,
    );
  }

  due({ untilMs, after, limit }: GarbageQuery): GarbageRef[] {
    const rows = this.#due.all(
      untilMs,
      after?.sinceMs ?? Number.MIN_SAFE_INTEGER,
      after?.kind ?? '',
      after?.id ?? '',
      limit,
    );
    return rows.map((row) => ({
      kind: text(row, 'kind') === 'body' ? 'body' : 'blob',
      id: text(row, 'id'),
      sinceMs: integer(row, 'since_ms'),
    }));
  }
}
