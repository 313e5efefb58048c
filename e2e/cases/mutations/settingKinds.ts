/** Tampering with the control rows of a bucket: its settings and the versions of its key. */
import { bytesOf, type LiveDatabase, type Row, type Undo } from './liveDatabase.ts';
import type { Random } from './random.ts';
import { changeColumn, otherBytes } from './values.ts';

/** What requests to the bucket must end in. `requests`: all, or those that need its key. */
export interface SettingTampering {
  readonly undo: Undo;
  readonly expectation: 'refuse' | 'refuse without key' | 'vanish' | 'serve';
}

export interface SettingScene {
  readonly db: LiveDatabase;
  readonly random: Random;
  readonly bucket: string;
  /** Encrypted as well. */
  readonly otherBucket: string;
  /** Its row when it was plain: a past that was authentic. */
  readonly past: Row;
}

export interface SettingKind {
  readonly name: string;
  readonly times: number;
  readonly tamper: (scene: SettingScene) => SettingTampering;
}

const bucketRow = ({ db, bucket }: SettingScene): Row => db.row('bucket', { name: bucket });
const keyRow = ({ db, bucket }: SettingScene, name = bucket): Row =>
  db.row('key_version', { bucket_uid: db.row('bucket', { name })['bucket_uid'] ?? null });

/** Another document under the MAC that is there. */
function editDocument(
  table: 'bucket' | 'key_version',
  name: string,
  edit: (document: Record<string, unknown>, random: Random) => object,
): SettingKind {
  return {
    name: `setting: ${table}: ${name}`,
    times: 5,
    tamper: (scene) => {
      const row = table === 'bucket' ? bucketRow(scene) : keyRow(scene);
      const document = JSON.parse(bytesOf(row, 'document').toString()) as Record<string, unknown>;
      const edited = Buffer.from(JSON.stringify(edit(document, scene.random)));
      return {
        undo: scene.db.replace(table, [row], [{ ...row, document: edited }]),
        expectation: table === 'bucket' ? 'refuse' : 'refuse without key',
      };
    },
  };
}

function editColumn(
  table: 'bucket' | 'key_version',
  column: string,
  expectation: SettingTampering['expectation'],
): SettingKind {
  return {
    name: `setting: ${table}.${column}`,
    times: 6,
    tamper: (scene) => {
      const row = table === 'bucket' ? bucketRow(scene) : keyRow(scene);
      return { undo: changeColumn(scene.db, table, row, column, scene.random).undo, expectation };
    },
  };
}

/** Columns of two buckets' rows exchanged. */
function swap(table: 'bucket' | 'key_version', columns: readonly string[]): SettingKind {
  return {
    name: `setting: ${table}: ${columns.join(' and ')} of another bucket`,
    times: 4,
    tamper: (scene) => {
      const { db, otherBucket } = scene;
      const [a, b] =
        table === 'bucket'
          ? [bucketRow(scene), db.row('bucket', { name: otherBucket })]
          : [keyRow(scene), keyRow(scene, otherBucket)];
      const taken = (into: Row, from: Row): Row => ({
        ...into,
        ...Object.fromEntries(columns.map((name) => [name, from[name] ?? null])),
      });
      return {
        undo: db.replace(table, [a, b], [taken(a, b), taken(b, a)]),
        expectation: table === 'bucket' ? 'refuse' : 'refuse without key',
      };
    },
  };
}

export const SETTING_KINDS: readonly SettingKind[] = [
  editDocument('bucket', 'made plain', (document) => ({ ...document, encryption: null })),
  editDocument('bucket', 'plain, as if it always had been', (document) => ({
    ...document,
    encryption: null,
    keyVersion: null,
    everPlain: true,
  })),
  editDocument('bucket', 'plain once', (document) => ({ ...document, everPlain: !document['everPlain'] })),
  editDocument('bucket', 'another key version', (document, random) => ({
    ...document,
    keyVersion: random.pick([0, 2, null]),
  })),
  editDocument('bucket', 'another owner', (document) => ({ ...document, ownerId: 'somebody else' })),
  editDocument('bucket', 'another state', (document) => ({ ...document, state: 'Creating' })),
  editDocument('bucket', 'a field more', (document) => ({ ...document, more: true })),
  editDocument('key_version', 'another connection', (document) => ({ ...document, kmsConnection: 'other' })),
  editDocument('key_version', 'another key of the KMS', (document) => ({ ...document, kmsId: '1' })),
  editDocument('key_version', 'another check value', (document, random) => ({
    ...document,
    keyCheckValue: random.bytes(8).toString('hex'),
  })),
  editColumn('bucket', 'document', 'refuse'),
  editColumn('bucket', 'control_mac', 'refuse'),
  editColumn('bucket', 'bucket_uid', 'refuse'),
  editColumn('bucket', 'name', 'vanish'),
  // Only finds the buckets of an owner for ListBuckets.
  editColumn('bucket', 'owner_id', 'serve'),
  editColumn('key_version', 'document', 'refuse without key'),
  editColumn('key_version', 'control_mac', 'refuse without key'),
  editColumn('key_version', 'bucket_uid', 'refuse without key'),
  editColumn('key_version', 'n', 'refuse without key'),
  swap('bucket', ['document']),
  swap('bucket', ['control_mac']),
  swap('bucket', ['document', 'control_mac']),
  swap('key_version', ['document']),
  swap('key_version', ['document', 'control_mac']),
  {
    name: 'setting: bucket: the row of another bucket under its name',
    times: 4,
    tamper: (scene) => {
      const { db, bucket, otherBucket } = scene;
      const [own, other] = [bucketRow(scene), db.row('bucket', { name: otherBucket })];
      return {
        undo: db.replace('bucket', [own, other], [{ ...other, name: bucket }]),
        expectation: 'refuse',
      };
    },
  },
  {
    name: 'setting: bucket: its own past under a mistaken MAC',
    times: 4,
    tamper: (scene) => {
      const row = bucketRow(scene);
      const { document = null } = scene.past;
      const control_mac = scene.random.pick([
        row['control_mac'] ?? null,
        otherBytes(bytesOf(row, 'control_mac'), scene.random),
      ]);
      const undo = scene.db.replace('bucket', [row], [{ ...row, document, control_mac }]);
      return { undo, expectation: 'refuse' };
    },
  },
  {
    name: 'setting: bucket: delete',
    times: 2,
    tamper: (scene) => ({ undo: scene.db.replace('bucket', [bucketRow(scene)], []), expectation: 'vanish' }),
  },
  {
    name: 'setting: key_version: delete',
    times: 2,
    tamper: (scene) => ({
      undo: scene.db.replace('key_version', [keyRow(scene)], []),
      expectation: 'refuse without key',
    }),
  },
];
