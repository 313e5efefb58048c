/** The newest epoch of a leader: one row, which only ever grows. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { MetadataError } from '../metadata.ts';
import { integer } from './columns.ts';

export class EpochWrites {
  readonly #take: StatementSync;

  constructor(db: DatabaseSync) {
    this.#take = db.prepare(
      `INSERT INTO leader_epoch (id, epoch) VALUES (1, 1)
       ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch`,
    );
  }

  /** The next epoch, which is the newest from the commit on. */
  take(): number {
    const row = this.#take.get();
    if (row === undefined) throw new MetadataError('Unavailable', 'the epoch could not be taken');
    return integer(row, 'epoch');
  }
}

export class EpochReads {
  readonly #newest: StatementSync;

  constructor(db: DatabaseSync) {
    this.#newest = db.prepare('SELECT epoch FROM leader_epoch');
  }

  /** 0: none was taken. */
  newest(): number {
    const row = this.#newest.get();
    return row === undefined ? 0 : integer(row, 'epoch');
  }
}
