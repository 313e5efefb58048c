import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';

export type Row = Readonly<Record<string, SQLInputValue>>;
export type Undo = () => void;

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

/** The metadata file of a running data plane, written to as its thief or saboteur would: by another process. */
export class LiveDatabase {
  readonly #db: DatabaseSync;

  constructor(dataFolder: string) {
    this.#db = new DatabaseSync(join(dataFolder, 'metadata.db'), { timeout: 10_000 });
    this.#db.exec('PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;');
  }

  /** Rows whose columns have these values. */
  rows(table: string, where: Row = {}): Row[] {
    const names = Object.keys(where);
    const condition = names.length === 0 ? '' : `WHERE ${names.map((name) => `${name} = ?`).join(' AND ')}`;
    return this.#db.prepare(`SELECT * FROM ${table} ${condition}`).all(...Object.values(where));
  }

  /** The one row. */
  row(table: string, where: Row): Row {
    const [row] = this.rows(table, where);
    if (row === undefined) throw new Error(`${table} has no row for ${JSON.stringify(where)}`);
    return row;
  }

  count(table: string): number {
    return Number(this.#db.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.['count']);
  }

  columns(table: string): Column[] {
    return this.#db
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map(({ name, type, notnull, pk }) => ({
        name: String(name),
        type: String(type),
        nullable: notnull === 0 && pk === 0,
      }));
  }

  /** Puts `after` in the place of the rows `before`, in one transaction. Throws when the schema does not allow it. */
  replace(table: string, before: readonly Row[], after: readonly Row[]): Undo {
    this.#exchange(table, before, after);
    return () => this.#exchange(table, after, before);
  }

  close(): void {
    this.#db.close();
  }

  #exchange(table: string, out: readonly Row[], into: readonly Row[]): void {
    const key = this.#db
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .flatMap(({ name, pk }) => (pk === 0 ? [] : [String(name)]));
    const places = key.map((name) => `${name} = ?`).join(' AND ');
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const row of out) {
        const { changes } = this.#db
          .prepare(`DELETE FROM ${table} WHERE ${places}`)
          .run(...key.map((name) => row[name] ?? null));
        if (changes !== 1) throw new Error(`a row of ${table} is not where it was`);
      }
      for (const row of into) {
        const names = Object.keys(row);
        const marks = names.map(() => '?').join(', ');
        this.#db
          .prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks})`)
          .run(...Object.values(row));
      }
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}

/** Undoes in reverse order. */
export function undoAll(...undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of undos.toReversed()) undo();
  };
}

/** The bytes of a column. */
export function bytesOf(row: Row, column: string): Buffer {
  const value = row[column];
  if (!ArrayBuffer.isView(value)) throw new Error(`column ${column} holds no bytes`);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** The text of a column. */
export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new Error(`column ${column} holds no text`);
  return value;
}
