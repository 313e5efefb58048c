/**
 * Checkpoints between groups: never inside a commit, and never waiting for readers (PASSIVE).
 *
 * A log of 64 MiB makes few checkpoints, and what one page collects in changes between two of them is written once.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { integer } from './columns.ts';

const checkpointAboveBytes = 64 * 1024 * 1024;

export class Checkpointer {
  readonly #look: StatementSync;
  readonly #checkpoint: StatementSync;
  readonly #pageBytes: number;
  readonly #aboveBytes: number;

  constructor(db: DatabaseSync, aboveBytes: number = checkpointAboveBytes) {
    this.#look = db.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    this.#pageBytes = integer(db.prepare('PRAGMA page_size').get() ?? {}, 'page_size');
    this.#aboveBytes = aboveBytes;
  }

  /** Bytes of the log, and whether this call moved them to the main file. A failed sync is thrown. */
  run(): { readonly walBytes: number; readonly checkpointed: boolean } {
    const row = this.#look.get() ?? {};
    const frames = integer(row, 'log');
    const walBytes = frames * this.#pageBytes;
    const checkpointed = (frames - integer(row, 'checkpointed')) * this.#pageBytes >= this.#aboveBytes;
    if (checkpointed) this.#checkpoint.get();
    return { walBytes, checkpointed };
  }
}
