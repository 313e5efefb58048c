import type { SQLInputValue } from 'node:sqlite';
import { bytesOf, type Column, type LiveDatabase, type Row, textOf, type Undo } from './liveDatabase.ts';
import type { Random } from './random.ts';

/** A check may allow one value in ten that is tried: so many that bad luck is out of the question. */
const ATTEMPTS = 1000;

/** Another value for a column: of its type, because the schema is STRICT. May be one that a constraint refuses. */
function otherValue(row: Row, column: Column, random: Random): SQLInputValue {
  if (column.nullable && row[column.name] !== null && random.int(4) === 0) return null;
  if (column.type === 'INTEGER') return otherInteger(Number(row[column.name] ?? 0), random);
  if (column.type === 'TEXT')
    return otherText(row[column.name] === null ? '' : textOf(row, column.name), random);
  return otherBytes(row[column.name] === null ? Buffer.alloc(32) : bytesOf(row, column.name), random);
}

function otherInteger(value: number, random: Random): SQLInputValue {
  return random.pick<SQLInputValue>([
    value + 1,
    value - 1,
    0,
    -1,
    random.int(2 ** 40),
    8_999_999_999_999_999,
    2n ** 60n,
    -(2n ** 63n),
  ]);
}

export function otherBytes(value: Buffer, random: Random): Buffer {
  const copy = Buffer.from(value);
  switch (copy.length === 0 ? 3 : random.int(6)) {
    case 0:
      return copy.subarray(0, random.int(copy.length));
    case 1:
      return Buffer.concat([copy, random.bytes(1 + random.int(20))]);
    case 2:
      return Buffer.alloc(copy.length);
    case 3:
      return random.bytes(Math.max(1, copy.length));
    default: {
      const at = random.int(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.int(8));
      return copy;
    }
  }
}

export function otherText(value: string, random: Random): string {
  const at = random.int(Math.max(1, value.length));
  const character = random.pick('0123456789abcdefA"[],'.split(''));
  return random.pick([
    `${value.slice(0, at)}${character}${value.slice(at + 1)}`,
    `${value.slice(0, at)}${character}${value.slice(at + 1)}`,
    `${value.slice(0, at)}${value.slice(at + 1)}`,
    `${value}0`,
    value.toUpperCase(),
    random.bytes(16).toString('hex'),
    '../../installation.key',
    'inline',
    'parts',
    '',
  ]);
}

/** Changes one column of a row to another value that the schema allows. */
export function changeColumn(
  db: LiveDatabase,
  table: string,
  row: Row,
  columnName: string,
  random: Random,
): { readonly undo: Undo; readonly value: SQLInputValue } {
  const column = db.columns(table).find(({ name }) => name === columnName);
  if (column === undefined) throw new Error(`${table} has no column ${columnName}`);
  for (let attempt = 1; ; attempt += 1) {
    const value = otherValue(row, column, random);
    if (same(value, row[columnName] ?? null)) continue;
    try {
      return { undo: db.replace(table, [row], [{ ...row, [columnName]: value }]), value };
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

function same(a: SQLInputValue, b: SQLInputValue): boolean {
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return Buffer.compare(viewed(a), viewed(b)) === 0;
  return a === b;
}

function viewed(value: NodeJS.ArrayBufferView): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
