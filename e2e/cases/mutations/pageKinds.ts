/** Tampering with the pages of a multipart object's parts. */
import { type Row, textOf } from './liveDatabase.ts';
import type { Expectation, Kind, Scene, Tamper } from './mutation.ts';
import type { Random } from './random.ts';
import type { Specimen } from './specimens.ts';
import { changeColumn, otherBytes, otherText } from './values.ts';

/** [part number, offset, size, incarnation, blob id, blob salt, digest salt, digests] */
type Entry = readonly (number | string | null)[];

function entriesOf(page: Row): Entry[] {
  return JSON.parse(textOf(page, 'parts')) as Entry[];
}

function editColumn(column: string, expectation: Expectation): Kind {
  const tamper: Tamper = ({ lane, places, db, random }) => {
    const specimen = random.pick([lane.parts, lane.elsewhere.parts]);
    const { undo } = changeColumn(db, 'body_parts', places.page(specimen), column, random);
    return { targets: [specimen], expectation, undo };
  };
  return { name: `page: body_parts.${column}`, times: 4, tamper };
}

function editEntries(edit: (entries: Entry[], random: Random) => readonly Entry[]): Tamper {
  return ({ lane, places, db, random }) => {
    const specimen = random.pick([lane.parts, lane.elsewhere.parts]);
    const page = places.page(specimen);
    const parts = JSON.stringify(edit(entriesOf(page), random));
    return {
      targets: [specimen],
      expectation: 'refuse',
      undo: db.replace('body_parts', [page], [{ ...page, parts }]),
    };
  };
}

/** Another value in one field of one entry. */
function editField(entries: Entry[], random: Random): readonly Entry[] {
  const at = random.int(entries.length);
  const entry = entries[at] ?? [];
  const field = random.int(entry.length);
  const value = entry[field] ?? null;
  const other = (): number | string | null => {
    if (typeof value === 'number') return random.pick([value + 1, Math.max(0, value - 1), 2 ** 40, -1, 0.5]);
    if (value === null) return random.bytes(32).toString('base64');
    if (/^[0-9a-f]{32}$/.test(value)) return otherText(value, random);
    return otherBytes(Buffer.from(value, 'base64'), random).toString('base64');
  };
  let changed = other();
  while (changed === value) changed = other();
  return entries.with(at, entry.with(field, changed));
}

/** Exchanges `columns` of the pages of the two multipart objects. */
function swapPages(columns: readonly string[]): Tamper {
  return ({ lane, places, db }: Scene) => {
    const targets: Specimen[] = [lane.parts, lane.elsewhere.parts];
    const [a, b] = [places.page(lane.parts), places.page(lane.elsewhere.parts)];
    const taken = (into: Row, from: Row): Row => ({
      ...into,
      ...Object.fromEntries(columns.map((name) => [name, from[name] ?? null])),
    });
    const undo = db.replace('body_parts', [a, b], [taken(a, b), taken(b, a)]);
    return { targets, expectation: 'refuse', undo };
  };
}

export const PAGE_KINDS: readonly Kind[] = [
  editColumn('body_id', 'refuse'),
  editColumn('page', 'refuse'),
  editColumn('page_mac', 'refuse'),
  // Finds the page of an offset or a part; what is found is verified.
  editColumn('first_part', 'either'),
  editColumn('last_part', 'either'),
  editColumn('first_offset', 'either'),
  editColumn('end_offset', 'either'),
  // The text may come to say the same in other words.
  { ...editColumn('parts', 'either'), times: 8 },
  { name: 'page: field of an entry', times: 12, tamper: editEntries(editField) },
  { name: 'page: reorder', times: 4, tamper: editEntries((entries) => entries.toReversed()) },
  {
    name: 'page: drop an entry',
    times: 4,
    tamper: editEntries((entries, random) => entries.toSpliced(random.int(entries.length), 1)),
  },
  {
    name: 'page: repeat an entry',
    times: 4,
    tamper: editEntries((entries, random) => {
      const at = random.int(entries.length);
      return random.int(2) === 0
        ? entries.toSpliced(at, 0, entries[at] ?? [])
        : entries.with(at, entries[(at + 1) % entries.length] ?? []);
    }),
  },
  {
    name: 'page: swap the blobs of two entries',
    times: 4,
    tamper: editEntries((entries) => {
      const [a = [], b = []] = entries;
      return [a.with(3, b[3] ?? null).with(4, b[4] ?? null), b.with(3, a[3] ?? null).with(4, a[4] ?? null)];
    }),
  },
  { name: 'page: swap the parts of two objects', times: 3, tamper: swapPages(['parts']) },
  { name: 'page: swap the MACs of two objects', times: 3, tamper: swapPages(['page_mac']) },
  { name: 'page: swap the pages of two objects', times: 3, tamper: swapPages(['parts', 'page_mac']) },
  {
    name: 'page: delete',
    times: 3,
    tamper: ({ lane, places, db }) => ({
      targets: [lane.parts],
      expectation: 'refuse',
      undo: db.replace('body_parts', [places.page(lane.parts)], []),
    }),
  },
];
