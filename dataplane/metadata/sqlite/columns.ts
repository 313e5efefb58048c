/** Typed access to the columns of a row. A value of the wrong type was not written by us: MetadataError 'Integrity'. */
import type { SQLOutputValue } from 'node:sqlite';
import { MetadataError } from '../metadata.ts';

export type Row = Record<string, SQLOutputValue>;

function wrong(column: string): MetadataError {
  return new MetadataError('Integrity', `column ${column} does not hold what was written`);
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw wrong(column);
  return value;
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw wrong(column);
  return value;
}

export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw wrong(column);
  return value;
}

export function optionalText(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

export function optionalInteger(row: Row, column: string): number | null {
  return row[column] === null ? null : integer(row, column);
}

export function optionalBytes(row: Row, column: string): Uint8Array | null {
  return row[column] === null ? null : bytes(row, column);
}
