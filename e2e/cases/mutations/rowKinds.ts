/** Tampering with the rows of objects: what somebody can do who writes the metadata database. */
import { randomBytes } from 'node:crypto';
import { encodePrivate } from '../../../dataplane/crypto/record.ts';
import { type Row, undoAll } from './liveDatabase.ts';
import { type Expectation, family, type Kind, type Scene, type Tamper, type Tampering } from './mutation.ts';
import type { Specimen, VersionRows } from './specimens.ts';
import { changeColumn } from './values.ts';

type Part = keyof VersionRows;
const TABLES: Readonly<Record<Part, string>> = {
  current: 'object_current',
  version: 'object_version',
  body: 'body',
  inline: 'inline_body',
  blob: 'blob',
};

function inlineOne({ lane, random }: Scene): Specimen {
  return random.pick([...lane.inline, lane.elsewhere.inline]);
}

function blobOne({ lane, random }: Scene): Specimen {
  return random.pick([
    ...lane.blobs,
    lane.overwritten.specimen,
    lane.original,
    lane.copy,
    lane.elsewhere.blob,
  ]);
}

function anyOne(scene: Scene): Specimen {
  return scene.random.pick([inlineOne, inlineOne, blobOne, () => scene.lane.parts])(scene);
}

/** Changes one column of one row of an object. */
function edit(
  part: Part,
  column: string,
  choose: (scene: Scene) => Specimen,
  expectation: Expectation,
): Kind {
  const table = TABLES[part];
  const tamper: Tamper = (scene) => {
    const specimen = choose(scene);
    const row = scene.places.rows(specimen)[part];
    if (row === null) throw new Error(`${specimen.key} has no row in ${table}`);
    const { undo } = changeColumn(scene.db, table, row, column, scene.random);
    const shared = part !== 'current' && part !== 'version';
    return { targets: shared ? family(specimen) : [specimen], expectation, undo };
  };
  return { name: `row: ${table}.${column}`, times: 5, tamper };
}

/** What a GET reads of object_version is authentic, but for the seal of the data key, which is so by itself. */
const VERSION_COLUMNS = [
  ['bucket_uid', 'refuse'],
  ['key', 'refuse'],
  ['seq', 'refuse'],
  ['version_id', 'refuse'],
  ['last_modified_ms', 'refuse'],
  ['body_id', 'refuse'],
  ['body_no', 'refuse'],
  ['size', 'refuse'],
  ['part_count', 'refuse'],
  ['is_null', 'refuse'],
  ['suite', 'refuse'],
  ['chunk_log2', 'refuse'],
  ['n', 'refuse'],
  ['wrap_salt', 'refuse'],
  ['sealed_key', 'refuse'],
  ['record_salt', 'refuse'],
  ['sealed_record', 'refuse'],
  ['clear_record', 'refuse'],
] as const;

/** For listings; a GET finds its version by the first four. */
const CURRENT_COLUMNS = [
  ['bucket_uid', 'vanish'],
  ['key', 'vanish'],
  ['seq', 'refuse'],
  ['version_id', 'refuse'],
  ['size', 'serve'],
  ['last_modified_ms', 'serve'],
  ['etag', 'serve'],
  ['etag_parts', 'serve'],
  ['n', 'serve'],
  ['wrap_salt', 'serve'],
] as const;

/** Columns of the same row of two objects exchanged; without `columns` all but the place of the row. */
function swap(part: 'version' | 'current' | 'body' | 'inline', columns: readonly string[] | null): Tamper {
  return (scene) => {
    const { lane, random, places, db } = scene;
    const [one, other] = random.pick<() => readonly Specimen[]>([
      () => random.pickTwo([...lane.inline, lane.elsewhere.inline]),
      () => (part === 'inline' ? lane.inline : random.pickTwo([...lane.blobs, lane.elsewhere.blob])),
      // Bodies of parts name nothing, and inline bodies are what the others do not have.
      () => (part === 'version' ? [lane.parts, lane.elsewhere.parts] : lane.inline),
    ])();
    if (one === undefined || other === undefined) throw new Error('there are no two objects');
    const [a, b] = [places.rows(one)[part], places.rows(other)[part]];
    if (a === null || b === null) throw new Error('an object lacks a row');
    const table = TABLES[part];
    const placed = new Set(['bucket_uid', 'key', 'seq', 'body_no']);
    const moved = columns ?? Object.keys(a).filter((name) => !placed.has(name));
    const taken = (into: Row, from: Row): Row => ({
      ...into,
      ...Object.fromEntries(moved.map((name) => [name, from[name] ?? null])),
    });
    const undo = db.replace(table, [a, b], [taken(a, b), taken(b, a)]);
    return { targets: [one, other], expectation: 'refuse', undo };
  };
}

const SEAL = ['n', 'wrap_salt', 'sealed_key'];
const RECORD = ['record_salt', 'sealed_record'];

/** One object's version row, whole and with everything it names, under the key of another. */
const transplant: Tamper = ({ lane, random, places, db }) => {
  const [from, to] = random.pick([
    lane.inline,
    [lane.elsewhere.inline, lane.inline[0]] as const,
    lane.blobs,
    [lane.elsewhere.blob, lane.blobs[0]] as const,
    [lane.original, lane.blobs[1]] as const,
  ]);
  const [source, target] = [places.rows(from), places.rows(to)];
  const { bucket_uid = null, key = null, seq = null } = target.version;
  const version = { ...source.version, bucket_uid, key, seq };
  const current = { ...source.current, bucket_uid, key, seq };
  const undo = undoAll(
    db.replace('object_version', [target.version], [version]),
    db.replace('object_current', [target.current], [current]),
  );
  return { targets: [to], expectation: 'refuse', undo };
};

/** A sealed object made to look plain, with content of the intruder's own. */
const makePlain: Tamper = ({ lane, random, places, db }) => {
  const specimen = random.pick([...lane.inline, lane.elsewhere.inline]);
  const { version, current, inline, body } = places.rows(specimen);
  if (inline === null) throw new Error('an inline object has no inline body');
  const forged = randomBytes(Number(version['size']));
  const record = encodePrivate({
    md5: randomBytes(16),
    checksums: [],
    contentHeaders: new Map(),
    userMetadata: new Map(),
  });
  const bare: Row = {
    ...version,
    suite: null,
    chunk_log2: null,
    n: null,
    wrap_salt: null,
    sealed_key: null,
    record_salt: null,
    sealed_record: null,
  };
  const undo = undoAll(
    db.replace('object_version', [version], [{ ...bare, clear_record: random.pick([record, record, null]) }]),
    db.replace('object_current', [current], [{ ...current, n: null, wrap_salt: null }]),
    db.replace('inline_body', [inline], [{ ...inline, stored: forged }]),
    db.replace('body', [body], [{ ...body, salt: null }]),
  );
  return { targets: [specimen], expectation: 'refuse', undo };
};

/** The row and body of a plain object under the key of an encrypted one. */
const plantPlain: Tamper = ({ lane, random, places, db }) => {
  const [from, to] = random.pick([
    [lane.plain.inline, lane.inline[1]],
    [lane.plain.blob, lane.blobs[1]],
  ] as const);
  const [source, target] = [places.rows(from), places.rows(to)];
  const { bucket_uid = null, key = null, seq = null, version_id = null } = target.version;
  const version = { ...source.version, bucket_uid, key, seq, version_id };
  return {
    targets: [to],
    expectation: 'refuse',
    undo: db.replace('object_version', [target.version], [version]),
  };
};

/** Everything that an older version consisted of, back in its place. */
const rollBack: Tamper = ({ lane, places, db }): Tampering => {
  const { specimen, before } = lane.overwritten;
  const now = places.rows(specimen);
  const [body] = db.rows('body', { body_no: before.body['body_no'] ?? null });
  const [blob] = db.rows('blob', { blob_id: before.body['blob_id'] ?? null });
  const undo = undoAll(
    db.replace('object_version', [now.version], [before.version]),
    db.replace('object_current', [now.current], [before.current]),
    db.replace('body', body === undefined ? [] : [body], [before.body]),
    db.replace('blob', blob === undefined ? [] : [blob], before.blob === null ? [] : [before.blob]),
  );
  return { targets: [specimen], expectation: 'serve', undo };
};

/** Row and content of an older version half mixed with the current one. */
const rollBackPartly: Tamper = ({ lane, random, places, db }): Tampering => {
  const { specimen, before } = lane.overwritten;
  const { version } = places.rows(specimen);
  // Without n, which is the same in both.
  const names = [
    'version_id',
    'wrap_salt',
    'sealed_key',
    ...RECORD,
    'body_id',
    'body_no',
    'last_modified_ms',
  ];
  // At least one of each, or it would be the one version or the other.
  const chosen = names.slice(random.int(2), 2 + random.int(names.length - 3));
  const mixed = {
    ...version,
    ...Object.fromEntries(chosen.map((name) => [name, before.version[name] ?? null])),
  };
  return {
    targets: [specimen],
    expectation: 'refuse',
    undo: db.replace('object_version', [version], [mixed]),
  };
};

function remove(part: Part, choose: (scene: Scene) => Specimen, expectation: Expectation): Kind {
  const table = TABLES[part];
  const tamper: Tamper = (scene) => {
    const specimen = choose(scene);
    const row = scene.places.rows(specimen)[part];
    if (row === null) throw new Error(`${specimen.key} has no row in ${table}`);
    const shared = part !== 'current' && part !== 'version';
    const targets = shared ? family(specimen) : [specimen];
    return { targets, expectation, undo: scene.db.replace(table, [row], []) };
  };
  return { name: `row: delete of ${table}`, times: 3, tamper };
}

export const ROW_KINDS: readonly Kind[] = [
  ...VERSION_COLUMNS.map(([column, expectation]) => edit('version', column, anyOne, expectation)),
  ...CURRENT_COLUMNS.map(([column, expectation]) => edit('current', column, anyOne, expectation)),
  edit('body', 'body_no', anyOne, 'refuse'),
  edit('body', 'body_id', anyOne, 'refuse'),
  edit('body', 'refs', anyOne, 'either'),
  edit('body', 'kind', anyOne, 'refuse'),
  edit('body', 'blob_id', blobOne, 'refuse'),
  edit('body', 'salt', (scene) => scene.random.pick([inlineOne, blobOne])(scene), 'refuse'),
  { ...edit('inline', 'stored', inlineOne, 'refuse'), times: 12 },
  edit('inline', 'body_no', inlineOne, 'refuse'),
  edit('blob', 'blob_id', blobOne, 'refuse'),
  edit('blob', 'incarnation', blobOne, 'refuse'),
  edit('blob', 'stored_bytes', blobOne, 'refuse'),
  { name: 'row: swap the sealed keys of two objects', times: 6, tamper: swap('version', SEAL) },
  { name: 'row: swap the records of two objects', times: 6, tamper: swap('version', RECORD) },
  { name: 'row: swap both', times: 6, tamper: swap('version', [...SEAL, ...RECORD]) },
  { name: 'row: swap the bodies of two objects', times: 6, tamper: swap('version', ['body_id', 'body_no']) },
  { name: 'row: swap what two bodies name', times: 6, tamper: swap('body', ['blob_id', 'salt', 'kind']) },
  { name: 'row: swap all of two version rows', times: 6, tamper: swap('version', null) },
  { name: 'row: swap two inline bodies', times: 6, tamper: swap('inline', ['stored']) },
  { name: 'row: an object under the key of another', times: 8, tamper: transplant },
  { name: 'row: sealed object made plain', times: 8, tamper: makePlain },
  { name: 'row: plain object in place of a sealed one', times: 6, tamper: plantPlain },
  { name: 'row: roll back', times: 4, tamper: rollBack },
  { name: 'row: roll back partly', times: 6, tamper: rollBackPartly },
  remove('current', anyOne, 'vanish'),
  remove('version', anyOne, 'refuse'),
  remove('body', anyOne, 'refuse'),
  remove('inline', inlineOne, 'refuse'),
  remove('blob', blobOne, 'refuse'),
];
