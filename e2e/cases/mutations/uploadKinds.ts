/** Tampering with the rows of an open multipart upload. */
import { bytesOf, type LiveDatabase, type Row, type Undo } from './liveDatabase.ts';
import type { Random } from './random.ts';
import { changeColumn } from './values.ts';

/** An open encrypted upload with two parts. */
export interface OpenUpload {
  readonly path: string;
  readonly uploadId: string;
  readonly etags: readonly string[];
}

export interface UploadScene {
  readonly db: LiveDatabase;
  readonly random: Random;
  readonly upload: OpenUpload;
  readonly other: OpenUpload;
}

/** gone: 404, or a part that is not there any more. */
export interface UploadKind {
  readonly name: string;
  readonly times: number;
  readonly expectation: 'refuse' | 'gone';
  readonly tamper: (scene: UploadScene) => Undo;
}

const uploadRow = ({ db }: UploadScene, { uploadId }: OpenUpload): Row =>
  db.row('upload', { upload_id: uploadId });
const partRow = ({ db }: UploadScene, { uploadId }: OpenUpload, number: number): Row =>
  db.row('upload_part', { upload_id: uploadId, part_number: number });

function editColumn(
  table: 'upload' | 'upload_part',
  column: string,
  expectation: UploadKind['expectation'],
): UploadKind {
  return {
    name: `upload: ${table}.${column}`,
    times: 4,
    expectation,
    tamper: (scene) => {
      const { db, upload, random } = scene;
      const row = table === 'upload' ? uploadRow(scene, upload) : partRow(scene, upload, 1 + random.int(2));
      return changeColumn(db, table, row, column, random).undo;
    },
  };
}

function swapColumns(
  table: 'upload' | 'upload_part',
  columns: readonly string[],
  rows: (scene: UploadScene) => readonly [Row, Row],
): UploadKind {
  return {
    name: `upload: swap ${columns.join(', ')} of two rows of ${table}`,
    times: 3,
    expectation: 'refuse',
    tamper: (scene) => {
      const [a, b] = rows(scene);
      const taken = (into: Row, from: Row): Row => ({
        ...into,
        ...Object.fromEntries(columns.map((name) => [name, from[name] ?? null])),
      });
      return scene.db.replace(table, [a, b], [taken(a, b), taken(b, a)]);
    },
  };
}

const twoUploads = (scene: UploadScene): [Row, Row] => [
  uploadRow(scene, scene.upload),
  uploadRow(scene, scene.other),
];
const twoParts = (scene: UploadScene): [Row, Row] => {
  const second = scene.random.int(2) === 0 ? partRow(scene, scene.upload, 2) : partRow(scene, scene.other, 1);
  return [partRow(scene, scene.upload, 1), second];
};

export const UPLOAD_KINDS: readonly UploadKind[] = [
  editColumn('upload', 'upload_id', 'gone'),
  editColumn('upload', 'document', 'refuse'),
  editColumn('upload', 'control_mac', 'refuse'),
  editColumn('upload', 'n', 'refuse'),
  editColumn('upload', 'wrap_salt', 'refuse'),
  editColumn('upload', 'sealed_key', 'refuse'),
  editColumn('upload_part', 'size', 'refuse'),
  editColumn('upload_part', 'salt', 'refuse'),
  editColumn('upload_part', 'digest_salt', 'refuse'),
  editColumn('upload_part', 'digests', 'refuse'),
  editColumn('upload_part', 'part_mac', 'refuse'),
  editColumn('upload_part', 'part_number', 'gone'),
  editColumn('upload_part', 'upload_id', 'gone'),
  editColumn('upload_part', 'blob_id', 'gone'),
  swapColumns('upload', ['document', 'control_mac'], twoUploads),
  swapColumns('upload', ['n', 'wrap_salt', 'sealed_key'], twoUploads),
  swapColumns('upload_part', ['blob_id'], twoParts),
  swapColumns('upload_part', ['salt', 'digest_salt', 'digests'], twoParts),
  swapColumns('upload_part', ['blob_id', 'size', 'salt', 'digest_salt', 'digests', 'part_mac'], twoParts),
  {
    name: 'upload: made plain',
    times: 4,
    expectation: 'refuse',
    tamper: (scene) => {
      const row = uploadRow(scene, scene.upload);
      const document = JSON.parse(bytesOf(row, 'document').toString()) as Record<string, unknown>;
      const plain = {
        ...document,
        encrypted: false,
        uploadSalt: null,
        sealedMeta: null,
        clearMeta: 'AAAAAAAAAAA=',
      };
      const edited = {
        ...row,
        document: Buffer.from(JSON.stringify(plain)),
        n: null,
        wrap_salt: null,
        sealed_key: null,
      };
      return scene.db.replace('upload', [row], [edited]);
    },
  },
  {
    name: 'upload: delete of a part',
    times: 2,
    expectation: 'gone',
    tamper: (scene) => scene.db.replace('upload_part', [partRow(scene, scene.upload, 1)], []),
  },
  {
    name: 'upload: delete',
    times: 2,
    expectation: 'gone',
    tamper: (scene) => scene.db.replace('upload', [uploadRow(scene, scene.upload)], []),
  },
];
