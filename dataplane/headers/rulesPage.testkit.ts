/** The users' page docs/header-rules.md as data: what tests compare the module, and the server, with. */
import { readFileSync } from 'node:fs';

export type Outcome = 'refused' | 'plain' | 'encrypted' | 'served';
export type Group = 'S' | 'K' | 'C';

export interface RulesPage {
  readonly text: string;
  /** Of the decision table; columns 1 to 4 are about headers. */
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The header names of a group, lower-case. */
  names(group: Group): readonly string[];
  /** The row that judges an operation, named as on the page, in the state of what it touches. */
  row(operation: string, encrypted: boolean): number;
  /** What the cell says happens to a subject in that state; throws for a cell that it cannot read. */
  outcome(row: number, column: number, encrypted: boolean): Outcome;
}

export function readRulesPage(): RulesPage {
  const text = readFileSync(new URL('../../docs/header-rules.md', import.meta.url), 'utf8');
  const groups = new Map(
    tableOf(text, 'group')
      .slice(2)
      .map((row) => [row[0], quoted(row[1] ?? '')]),
  );
  const [headings = [], , ...rows] = tableOf(text, 'operation');

  const row = (operation: string, encrypted: boolean): number => {
    const named = rows.findIndex((cells) =>
      (cells[0] ?? '').split(/[,;(]/).some((it) => it.trim() === operation),
    );
    const found = named >= 0 ? named : rows.findIndex((cells) => cells[0] === 'every other S3 operation');
    const forEncrypted = (rows[found]?.[0] ?? '').endsWith('; encrypted bucket');
    if (!forEncrypted || encrypted) return found;
    if (rows[found + 1]?.[0] !== 'the same; plain bucket')
      throw new Error('The page has no row for plain buckets.');
    return found + 1;
  };
  const outcomeOf = (cell: string, column: number, encrypted: boolean): Outcome => {
    const stateful = /^encrypted (?:object|bucket): served; (?:plain object:|otherwise) 400 InvalidArgument$/;
    if (stateful.test(cell)) return encrypted ? 'served' : 'refused';
    if (cell === 'checked as above')
      return outcomeOf(rows[row('UploadPart', encrypted)]?.[column] ?? '', column, encrypted);
    if (cell === 'as the upload was created') return encrypted ? 'encrypted' : 'plain';
    if (cell === 'plain bucket' || cell === 'plain') return 'plain';
    if (cell === 'encrypted bucket (either S name)' || cell === 'encrypted') return 'encrypted';
    if (cell === 'served') return 'served';
    if (cell === '400 InvalidArgument' || cell === '400 InvalidArgument, no bucket') return 'refused';
    throw new Error(`The page has a cell that cannot be read: ${cell}`);
  };
  return {
    text,
    headings,
    rows,
    names: (group) => groups.get(group) ?? [],
    row,
    outcome: (index, column, encrypted) => outcomeOf(rows[index]?.[column] ?? '', column, encrypted),
  };
}

/** The cells of the table whose first heading is `heading`, by rows, the heading row first. */
function tableOf(text: string, heading: string): string[][] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} |`));
  const rows: string[][] = [];
  for (const line of lines.slice(start)) {
    if (!line.startsWith('|')) break;
    rows.push(
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** What a cell of the page has in backquotes. */
export function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map((match) => match[1] ?? '');
}
