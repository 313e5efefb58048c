import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataKey } from '../../dataplane/crypto/dataKey.ts';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { kmsIdentifiers, storedDocuments, storedRows } from '../harness/storedRows.ts';

const BUCKET = 'secret-bucket';
const CONTROL_BUCKET = 'plain-bucket';
const METADATA_VALUE = 'a-user-metadata-value-nobody-else-has';
const PART_BYTES = 5 * 1024 * 1024;

let temp = '';
let deployment: Deployment;

beforeAll(async () => {
  temp = await mkdtemp(join(tmpdir(), 'sealgate-secrecy-'));
  mkdirSync(join(temp, 'tmp'));
  // Trace: the most that the log can be made to say.
  deployment = await startDeployment({
    parent: temp,
    env: { TMPDIR: join(temp, 'tmp') },
    configPatch: (config) => {
      config['log'] = { level: 'trace' };
    },
  });
  await createBucket(deployment.server, BUCKET, true);
  await createBucket(deployment.server, CONTROL_BUCKET, false);
  for (const bucket of [BUCKET, CONTROL_BUCKET]) await writeObjects(bucket);
});
afterAll(async () => {
  await deployment.close();
  await rm(temp, { recursive: true });
});

const small = Buffer.alloc(5000, 'small ');
const large = Buffer.alloc(300_000, 'large ');
const part = Buffer.alloc(PART_BYTES, 'part ');

/** One inline object, one blob, one multipart object and one open upload, each with user metadata and checksums. */
async function writeObjects(bucket: string): Promise<void> {
  const { s3 } = deployment;
  const object = {
    Bucket: bucket,
    Metadata: { secret: METADATA_VALUE },
    ChecksumAlgorithm: 'SHA256',
  } as const;
  await s3.send(new PutObjectCommand({ ...object, Key: 'small', Body: small }));
  await s3.send(new PutObjectCommand({ ...object, Key: 'large', Body: large }));
  for (const key of ['multipart', 'open']) {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...object, Key: key }));
    const upload = { Bucket: bucket, Key: key, UploadId };
    const { ETag, ChecksumSHA256 } = await s3.send(
      new UploadPartCommand({ ...upload, PartNumber: 1, Body: part, ChecksumAlgorithm: 'SHA256' }),
    );
    if (key === 'open') continue;
    const Parts = [{ PartNumber: 1, ETag, ChecksumSHA256 }];
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
  }
}

/** A secret as it could have been written: raw, hex, base64 at each of the three alignments. */
function spellings(secret: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), secret]).toString('base64');
    // The characters that mix with what stands before and after are left out.
    return text.slice(shift === 0 ? 0 : 4, Math.floor(((shift + secret.length) * 8) / 24) * 4);
  });
  const hex = secret.toString('hex');
  return [
    secret,
    ...[
      hex,
      hex.toUpperCase(),
      ...base64,
      ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    ].map((text) => Buffer.from(text)),
  ];
}

/** Everything of ours on the disk: configuration, metadata with its log, blobs, the server's log, temporary files. */
function filesOnDisk(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  return [join(deployment.folder, 'sealgate'), join(temp, 'tmp')].flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((name) => ({ name: relative(folder, name), bytes: readFileSync(name) })),
  );
}

function whereFound(secret: Buffer): string[] {
  const needles = spellings(secret);
  return filesOnDisk()
    .filter(({ bytes }) => needles.some((needle) => bytes.includes(needle)))
    .map(({ name }) => name);
}

interface SealedRow {
  readonly bucket_uid: string;
  readonly key: Uint8Array;
  readonly id: string;
  readonly n: number;
  readonly wrap_salt: Uint8Array;
  readonly sealed_key: Uint8Array;
  readonly purpose: 'object' | 'upload';
}

/** The KMS identifier of the bucket's key and its bytes, read out of the KMIP server's own database. */
function bucketKey(): { readonly kmsId: string; readonly bytes: Buffer } {
  const [kmsId = ''] = kmsIdentifiers(deployment.server.dataFolder);
  return { kmsId, bytes: deployment.kms.keyBytes(kmsId) };
}

/** Every data key that is in use, opened with the bucket key. */
function dataKeys(key: KeyObject): Buffer[] {
  const rows: unknown[] = storedRows(
    deployment.server.dataFolder,
    `SELECT bucket_uid, key, version_id AS id, n, wrap_salt, sealed_key, 'object' AS purpose FROM object_version WHERE n IS NOT NULL
       UNION ALL SELECT bucket_uid, key, upload_id, n, wrap_salt, sealed_key, 'upload' FROM upload WHERE n IS NOT NULL`,
  );
  return (rows as SealedRow[]).map((row) =>
    openDataKey(
      key,
      { purpose: row.purpose, bucketUid: row.bucket_uid, objectKey: row.key, id: row.id, n: row.n },
      { wrapSalt: row.wrap_salt, sealedKey: row.sealed_key },
    ).export(),
  );
}

describe('on our disk', () => {
  it('the bucket key of the KMS and the data keys are nowhere: raw, hex or base64', () => {
    const { bytes } = bucketKey();
    expect(bytes.length).toBe(32);
    const keys = dataKeys(createSecretKey(bytes));
    expect(keys.length).toBe(4);
    for (const secret of [bytes, ...keys]) expect(whereFound(secret)).toEqual([]);
  });

  it('the search finds what is there: the identifier of the key, in the metadata', () => {
    const { kmsId } = bucketKey();
    expect(
      whereFound(Buffer.from(`"kmsId":"${kmsId}"`)).some((name) => name.startsWith('data/metadata.db')),
    ).toBe(true);
    const [salt] = dataKeySalts();
    expect(whereFound(salt ?? Buffer.alloc(0)).some((name) => name.startsWith('data/metadata.db'))).toBe(
      true,
    );
  });

  function dataKeySalts(): Buffer[] {
    const sql = 'SELECT wrap_salt FROM object_version WHERE n IS NOT NULL';
    return storedRows(deployment.server.dataFolder, sql).map((row) =>
      Buffer.from(row['wrap_salt'] as Uint8Array),
    );
  }

  it.each([
    ['the MD5 of an inline object', createHash('md5').update(small).digest(), 'small'],
    ['the SHA-256 of an inline object', createHash('sha256').update(small).digest(), 'small'],
    ['the MD5 of an object in a blob', createHash('md5').update(large).digest(), 'large'],
    ['the SHA-256 of an object in a blob', createHash('sha256').update(large).digest(), 'large'],
    ['the MD5 of a part', createHash('md5').update(part).digest(), 'part'],
    ['the SHA-256 of a part', createHash('sha256').update(part).digest(), 'part'],
    [
      'the MD5 of a multipart object',
      createHash('md5').update(createHash('md5').update(part).digest()).digest(),
      'multipart',
    ],
    ['user metadata', Buffer.from(METADATA_VALUE), 'all'],
  ])('%s is in clear for a plain bucket only', (_, secret) => {
    const { server } = deployment;
    const names = whereFound(secret);
    // The plain bucket proves that the search is able to find it.
    expect(names.length).toBeGreaterThan(0);
    const plain = storedDocuments(server.dataFolder, 'bucket').find(({ name }) => name === CONTROL_BUCKET);
    const rowsOf = (table: string, where: string): unknown[] =>
      storedRows(server.dataFolder, `SELECT * FROM ${table} WHERE ${where}`, String(plain?.['bucketUid']));
    expect(rowsOf('object_version', 'bucket_uid != ?').length).toBeGreaterThan(0);
    for (const [table, where] of [
      ['object_version', 'bucket_uid != ?'],
      ['object_current', 'bucket_uid != ?'],
      ['upload', 'bucket_uid != ?'],
      ['upload_part', 'upload_id IN (SELECT upload_id FROM upload WHERE bucket_uid != ?)'],
      ['body_parts', 'page_mac IS NOT NULL AND ? IS NOT NULL'],
    ] as const) {
      const text = JSON.stringify(rowsOf(table, where), (_key, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
      );
      for (const needle of spellings(secret)) {
        const escaped = JSON.stringify(needle.toString('latin1')).slice(1, -1);
        expect(text.includes(escaped), `${table} holds it`).toBe(false);
      }
    }
  });

  it('nothing of an encrypted object is in the log, however much is logged', async () => {
    await deployment.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'small' }));
    await (
      await deployment.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'small' }))
    ).Body?.transformToByteArray();
    const log = await readFile(deployment.server.logFile, 'utf8');
    expect(log).toContain('"operation":"HeadObject"');
    for (const secret of [
      METADATA_VALUE,
      deployment.server.secretAccessKey,
      deployment.server.adminToken,
      'small small',
    ]) {
      expect(log.includes(secret)).toBe(false);
    }
  });
});
