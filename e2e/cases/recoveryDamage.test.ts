import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RecoveryStand, startRecoveryStand, type VerifyLine } from '../harness/recoveryStand.ts';

let stand: RecoveryStand;
beforeAll(async () => {
  stand = await startRecoveryStand();
  await stand.deployment.server.stop();
});
afterAll(() => stand.close());

function first(files: readonly string[]): string {
  const [file] = files;
  if (file === undefined) throw new Error('there is no file');
  return file;
}

/** Flips a bit of the byte that stands `fromEnd` bytes before the end. */
function flip(file: string, fromEnd: number): void {
  const bytes = readFileSync(file);
  const at = bytes.length - fromEnd;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

/** Damage to one thing, and what has to be found of it. */
interface Damage {
  readonly name: string;
  readonly harm: () => void;
  readonly found: readonly Partial<VerifyLine>[];
  /** What is not put back with the data folder. */
  readonly heal?: () => void;
}

/** The same damage to an object of each bucket, told apart by what is found. Buckets are verified by name. */
function twins(
  name: string,
  harm: (bucket: string) => void,
  found: (bucket: string) => readonly Partial<VerifyLine>[],
): Damage {
  const buckets = ['clear', 'sealed'];
  return { name, harm: () => buckets.forEach(harm), found: buckets.flatMap(found) };
}

const inBucket = (bucket: string, key: string) =>
  `bucket_uid = (SELECT bucket_uid FROM bucket WHERE name = '${bucket}') AND CAST(key AS TEXT) = '${key}'`;

const bodyOf = (bucket: string, key: string) =>
  `(SELECT body_id FROM object_version WHERE ${inBucket(bucket, key)})`;

/** Damage to which the installation as a whole adds findings, behind those of its buckets. */
function withMore(damage: Damage, more: readonly Partial<VerifyLine>[]): Damage {
  return { ...damage, found: [...damage.found, ...more] };
}

const counted = { what: expect.stringContaining('counts 1 references, 0 versions name it') };

const zeroed = new Uint8Array(48);

const damages: Damage[] = [
  twins(
    'a bit of a blob',
    (bucket) => flip(first(stand.filesOf(bucket, 'blob-1')), 20),
    (bucket) => [{ bucket, key: 'blob-1' }],
  ),
  twins(
    'a blob that was cut',
    (bucket) => truncateSync(first(stand.filesOf(bucket, 'blob-1')), 131_072),
    (bucket) => [{ bucket, key: 'blob-1', what: expect.stringContaining('wrong length') }],
  ),
  twins(
    'a blob that is gone',
    (bucket) => rmSync(first(stand.filesOf(bucket, 'blob-2'))),
    (bucket) => [{ bucket, key: 'blob-2', what: expect.stringContaining('missing') }],
  ),
  twins(
    'two blobs that changed places',
    (bucket) => {
      const [a, b] = [first(stand.filesOf(bucket, 'blob-1')), first(stand.filesOf(bucket, 'blob-2'))];
      const content = readFileSync(a);
      copyFileSync(b, a);
      writeFileSync(b, content);
    },
    (bucket) => [
      { bucket, key: 'blob-1' },
      { bucket, key: 'blob-2' },
    ],
  ),
  twins(
    'a bit of the second part',
    (bucket) => flip(stand.filesOf(bucket, 'parts')[1] ?? '', 20),
    (bucket) => [{ bucket, key: 'parts', partNumber: 2 }],
  ),
  twins(
    'the bytes of an inline body',
    (bucket) =>
      stand.edit(
        `UPDATE inline_body SET stored = zeroblob(length(stored)) WHERE body_no =
           (SELECT body_no FROM object_version WHERE ${inBucket(bucket, 'inline')})`,
      ),
    (bucket) => [{ bucket, key: 'inline' }],
  ),
  twins(
    'the row of a blob',
    (bucket) =>
      stand.edit('DELETE FROM blob WHERE blob_id = ?', (stand.filesOf(bucket, 'parts')[0] ?? '').slice(-32)),
    (bucket) => [{ bucket, key: 'parts', partNumber: 1, what: 'the blob has no row' }],
  ),
  twins(
    'the ETag in listings',
    (bucket) =>
      stand.edit(`UPDATE object_current SET etag = zeroblob(16) WHERE ${inBucket(bucket, 'inline')}`),
    (bucket) => [{ bucket, key: 'inline', what: 'the ETag in listings is not that of the record' }],
  ),
  twins(
    'the size in listings',
    (bucket) => stand.edit(`UPDATE object_current SET size = size + 1 WHERE ${inBucket(bucket, 'inline')}`),
    (bucket) => [{ bucket, key: 'inline', what: 'listings say something else than the newest version' }],
  ),
  twins(
    'an object that listings do not show',
    (bucket) => stand.edit(`DELETE FROM object_current WHERE ${inBucket(bucket, 'inline')}`),
    (bucket) => [{ bucket, key: 'inline', what: 'listings do not show the object' }],
  ),
  withMore(
    twins(
      'an object whose version was deleted',
      (bucket) => stand.edit(`DELETE FROM object_version WHERE ${inBucket(bucket, 'inline')}`),
      (bucket) => [
        { bucket, what: expect.stringContaining('usage says 5 objects') },
        ...(bucket === 'sealed'
          ? [{ bucket, keyVersion: 1, what: expect.stringContaining('said to be under the key version') }]
          : []),
        { bucket, key: 'inline', what: 'listings show a version that is not there' },
      ],
    ),
    [counted, counted],
  ),
  twins(
    'the usage',
    (bucket) =>
      stand.edit(
        'UPDATE bucket_usage SET bytes = bytes + 1 WHERE bucket_uid = (SELECT bucket_uid FROM bucket WHERE name = ?)',
        bucket,
      ),
    (bucket) => [{ bucket, what: expect.stringContaining('usage says') }],
  ),
  twins(
    'the settings of a bucket',
    (bucket) =>
      stand.edit(
        `UPDATE bucket SET document = CAST(replace(CAST(document AS TEXT), 'us-east-1', 'us-east-2') AS BLOB)
         WHERE name = ?`,
        bucket,
      ),
    (bucket) => [{ bucket, what: expect.stringContaining('a bucket row is not authentic') }],
  ),
  twins(
    'the row of an open upload',
    (bucket) =>
      stand.edit(
        `UPDATE upload SET document = CAST(replace(CAST(document AS TEXT), 'owner', 'Owner') AS BLOB)
         WHERE ${inBucket(bucket, 'open')}`,
      ),
    (bucket) => [{ bucket, key: 'open', what: 'a upload row is not authentic' }],
  ),
  {
    name: 'a sealed record',
    harm: () =>
      stand.edit(`UPDATE object_version SET sealed_record = ? WHERE ${inBucket('sealed', 'blob-1')}`, zeroed),
    found: [{ bucket: 'sealed', key: 'blob-1', what: expect.stringContaining('object record') }],
  },
  {
    name: 'a sealed data key',
    harm: () =>
      stand.edit(`UPDATE object_version SET sealed_key = ? WHERE ${inBucket('sealed', 'blob-1')}`, zeroed),
    found: [{ bucket: 'sealed', key: 'blob-1', what: expect.stringContaining('sealed data key') }],
  },
  {
    name: 'a record in clear',
    harm: () =>
      stand.edit(`UPDATE object_version SET clear_record = ? WHERE ${inBucket('clear', 'blob-1')}`, zeroed),
    found: [{ bucket: 'clear', key: 'blob-1' }],
  },
  {
    name: 'the MAC of a page',
    harm: () =>
      stand.edit(
        `UPDATE body_parts SET page_mac = zeroblob(32) WHERE body_id = ${bodyOf('sealed', 'parts')}`,
      ),
    found: [{ bucket: 'sealed', key: 'parts', what: expect.stringContaining('page of parts') }],
  },
  {
    name: 'the index of a page',
    harm: () =>
      stand.edit(`UPDATE body_parts SET last_part = 1 WHERE body_id = ${bodyOf('sealed', 'parts')}`),
    found: [{ bucket: 'sealed', key: 'parts', what: 'the index of page 0 leads elsewhere' }],
  },
  {
    name: 'the MAC of an uploaded part',
    harm: () =>
      stand.edit(
        'UPDATE upload_part SET part_mac = zeroblob(32) WHERE upload_id = ? AND part_number = 2',
        stand.uploadId,
      ),
    found: [{ bucket: 'sealed', key: 'open', partNumber: 2, what: expect.stringContaining('upload part') }],
  },
  {
    name: 'the blob of an uploaded part',
    harm: () => rmSync(stand.fileOfUpload(1)),
    found: [{ bucket: 'sealed', key: 'open', partNumber: 1, what: expect.stringContaining('missing') }],
  },
  {
    name: 'the key version',
    harm: () =>
      stand.edit(
        `UPDATE key_version SET document = CAST(replace(CAST(document AS TEXT), '"kmsId":"1"', '"kmsId":"2"') AS BLOB)`,
      ),
    found: [{ bucket: 'sealed', keyVersion: 1, what: 'a key_version row is not authentic' }],
  },
  {
    name: 'the CRCs of a plain blob',
    harm: () =>
      stand.edit(
        'UPDATE blob_crc SET crcs = zeroblob(length(crcs)) WHERE blob_id = ?',
        first(stand.filesOf('clear', 'blob-2')).slice(-32),
      ),
    found: [{ bucket: 'clear', key: 'blob-2', what: expect.stringContaining('CRC') }],
  },
  {
    name: 'the count of what is under a key version',
    harm: () => stand.edit('UPDATE key_usage SET versions = 0'),
    found: [
      {
        bucket: 'sealed',
        keyVersion: 1,
        what: expect.stringMatching(
          /^0 objects and 1 uploads are said to be under the key version, there are \d and 1$/,
        ),
      },
    ],
  },
  {
    name: 'the key in the KMS',
    harm: () => stand.deployment.kms.alterKeyBytes('1'),
    found: [{ bucket: 'sealed', keyVersion: 1, what: expect.stringContaining('other bytes') }],
    heal: () => stand.deployment.kms.alterKeyBytes('1'),
  },
];

describe('verify of what is damaged', () => {
  // Without a server, so that nothing repairs, caches or writes between the damage and the look.
  it.each(damages)('names $name, and nothing else', async ({ harm, found, heal }) => {
    const { dataFolder } = stand.deployment.server;
    const saved = join(stand.folder, 'saved');
    cpSync(dataFolder, saved, { recursive: true });
    harm();
    try {
      const { code, findings } = await stand.verify();
      expect(findings).toEqual(found.map((one) => expect.objectContaining({ type: 'finding', ...one })));
      expect(code).toBe(1);
    } finally {
      heal?.();
      rmSync(dataFolder, { recursive: true });
      renameSync(saved, dataFolder);
    }
  });
});
