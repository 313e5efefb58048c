/** What a request can say about encryption, by the columns of docs/header-rules.md, and how it must be refused. */
import { randomBytes } from 'node:crypto';
import { type Group, quoted, type RulesPage } from '../../../dataplane/headers/rulesPage.testkit.ts';

/** Columns of the page: nothing said; exactly AES256; anything else; a KMS or customer key. */
export type Column = 1 | 2 | 3 | 4;

export interface Entry {
  readonly name: string;
  readonly value: string;
  readonly group: Group;
  readonly column: Column;
}

/** One cell's worth of headers, to be carried by any carrier. */
export interface Wish {
  readonly title: string;
  readonly column: Column;
  readonly entries: readonly Entry[];
}

/** What a refusal must say. */
export interface Refusal {
  readonly argumentName: string;
  /** null: it must not be there. */
  readonly argumentValue: string | null;
}

/** How much of a trailer is known when it is judged: all of it; its name before the body; that it never comes. */
export type Arrival = 'arrived' | 'announced' | 'never';

export interface Wishes {
  readonly all: readonly Wish[];
  /** Values of customer keys: never to be seen again anywhere. */
  readonly secrets: readonly string[];
}

/** Every cell's headers, out of the page's own names and values. */
export function wishesOf(page: RulesPage): Wishes {
  const secrets: string[] = [];
  const secret = (): string => {
    const value = `secret${randomBytes(18).toString('hex')}`;
    secrets.push(value);
    return value;
  };
  const wish = (column: Column, entries: readonly Entry[]): Wish => ({
    title: entries
      .map(({ name, value, group }) => `${name}: ${group === 'C' ? '(a secret)' : value}`)
      .join(' + '),
    column,
    entries,
  });
  const s = (name: string, value: string, column: Column): Entry => ({ name, value, group: 'S', column });
  const names = page.names('S');
  const [first = '', second = ''] = names;
  const right = quoted(page.headings[2] ?? '');
  const [aes = ''] = right;
  const wrong = [...quoted(page.headings[3] ?? ''), '', 'AES256, AES256'];
  const keys = [
    ...page.names('K').map((name): Entry => ({ name, value: 'AES256', group: 'K', column: 4 })),
    ...page.names('C').map((name): Entry => ({ name, value: secret(), group: 'C', column: 4 })),
  ];
  const firstOf = (group: Group): Entry => {
    const entry = keys.find((key) => key.group === group);
    if (entry === undefined) throw new Error(`the page has no names of group ${group}`);
    return entry;
  };
  const all: Wish[] = [
    { title: 'nothing', column: 1, entries: [] },
    ...names.flatMap((name) => right.map((value) => wish(2, [s(name, value, 2)]))),
    wish(
      2,
      names.map((name) => s(name, aes, 2)),
    ),
    ...names.flatMap((name) => wrong.map((value) => wish(3, [s(name, value, 3)]))),
    ...names.map((name) => wish(3, [s(name, aes, 3), s(name, aes, 3)])),
    wish(3, [s(first, aes, 2), s(second, 'DES', 3)]),
    ...keys.map((entry) => wish(4, [entry])),
    wish(4, [s(second, aes, 2), firstOf('C')]),
    wish(4, [s(first, aes, 2), firstOf('K')]),
  ];
  return { all, secrets };
}

export interface Circumstances {
  /** What the same row says of AES256. */
  readonly aes256Refused: boolean;
  readonly arrival: Arrival;
  /** The state that AES256 depends on is looked up only after what is refused in any state was refused. */
  readonly stateLater: boolean;
}

/** The refusal of a wish whose cell says so: the first header, in order of arrival, that is not allowed is reported. */
export function refusalOf(wish: Wish, { aes256Refused, arrival, stateLater }: Circumstances): Refusal {
  const { entries } = wish;
  if (arrival === 'announced') {
    // Before the body only names are known, and each value may still be AES256.
    const early = entries.find(({ group }) => group !== 'S' || aes256Refused);
    if (early !== undefined) return { argumentName: early.name, argumentValue: null };
  }
  const atOnce = stateLater ? entries.find(({ column }) => column !== 2) : undefined;
  const inOrder = entries.find(({ column }) => column !== 2 || aes256Refused || arrival === 'never');
  const offender = atOnce ?? inOrder;
  if (offender === undefined) throw new Error(`nothing in it can be refused: ${wish.title}`);
  const value = arrival === 'never' ? '' : offender.value;
  return { argumentName: offender.name, argumentValue: offender.group === 'C' ? null : value };
}
