/**
 * Group commit: everything that waits becomes one transaction, each member in a savepoint, answered after COMMIT.
 *
 * Owns the rules of failure. A member that throws is rolled back alone. When SQLite gave up the whole transaction
 * (SQLITE_FULL), all members get the same error and nothing is in force. When the disk failed, nobody is answered
 * and `onFatal` ends the process: whether the commit is durable is unknown, and a caller who was told "failed"
 * would delete the blob that a durable row names.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { MetadataError } from '../metadata.ts';
import { asMetadataError, isStorageFailure } from './connection.ts';
import { grows, type WriteCommand } from './writeOperations.ts';

export type WriteOutcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: MetadataError };

interface Member {
  readonly command: WriteCommand;
  readonly answer: (outcome: WriteOutcome) => void;
}

/** The transaction control that a group needs; a DatabaseSync fits. */
export type TransactionControl = Pick<DatabaseSync, 'exec' | 'isTransaction' | 'prepare'>;

export interface GroupCommitOptions {
  readonly db: TransactionControl;
  readonly apply: (command: WriteCommand) => unknown;
  /** False while the disk is below its reserve. Asked once per group. */
  readonly mayGrow: () => boolean;
  /** Runs after each group, outside of any transaction: the place for checkpoints. */
  readonly afterGroup: () => void;
  readonly onFatal: (error: Error) => void;
}

/** A group larger than this is cut, so that its first members do not wait for its last. */
const maxGroupMembers = 512;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #begin: StatementSync;
  readonly #commitGroup: StatementSync;
  readonly #savepoint: StatementSync;
  readonly #release: StatementSync;
  #waiting: Member[] = [];
  #dead = false;

  constructor(options: GroupCommitOptions) {
    const { db } = options;
    this.#options = options;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commitGroup = db.prepare('COMMIT');
    this.#savepoint = db.prepare('SAVEPOINT member');
    this.#release = db.prepare('RELEASE member');
  }

  add(command: WriteCommand, answer: (outcome: WriteOutcome) => void): void {
    this.#waiting.push({ command, answer });
  }

  /** Commits what waits, at most one group. True when more waits. */
  run(): boolean {
    if (this.#dead || this.#waiting.length === 0) return false;
    const members = this.#waiting.splice(0, maxGroupMembers);
    try {
      const outcomes = this.#commit(members);
      for (const [index, member] of members.entries()) member.answer(outcomes(index));
      this.#options.afterGroup();
    } catch (error) {
      this.#dead = true;
      const reason = error instanceof Error ? error.message : 'unknown';
      this.#options.onFatal(new Error(`the metadata writer failed: ${reason}`, { cause: error }));
      return false;
    }
    return this.#waiting.length > 0;
  }

  /** Throws only when the storage failed. */
  #commit(members: readonly Member[]): (index: number) => WriteOutcome {
    const { db } = this.#options;
    const outcomes: WriteOutcome[] = [];
    try {
      this.#begin.run();
      const mayGrow = this.#options.mayGrow();
      for (const { command } of members) outcomes.push(this.#member(command, mayGrow));
      this.#commitGroup.run();
      return (index) =>
        outcomes[index] ?? { ok: false, error: new MetadataError('Unavailable', 'not in the group') };
    } catch (error) {
      if (isStorageFailure(error)) throw error;
      if (db.isTransaction) db.exec('ROLLBACK');
      const outcome: WriteOutcome = { ok: false, error: asMetadataError(error) };
      return () => outcome;
    }
  }

  /** Throws when the transaction as a whole is lost. */
  #member(command: WriteCommand, mayGrow: boolean): WriteOutcome {
    const { db, apply } = this.#options;
    if (!mayGrow && grows(command)) {
      return {
        ok: false,
        error: new MetadataError('NoSpace', 'the disk is below its reserve of free space'),
      };
    }
    this.#savepoint.run();
    try {
      const result = apply(command);
      this.#release.run();
      return { ok: true, result };
    } catch (error) {
      if (isStorageFailure(error) || !db.isTransaction) throw error;
      db.exec('ROLLBACK TO member; RELEASE member');
      return { ok: false, error: asMetadataError(error) };
    }
  }
}
