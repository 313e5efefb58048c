/** Explains every version of an object, and the uploads that are open for its key. */
import { join } from 'node:path';
import type { BlobLocation } from '../metadata/metadata.ts';
import {
  type BucketDocument,
  MetadataError,
  type ObjectVersion,
  type PartPage,
} from '../metadata/metadata.ts';
import type { AuditedVersion } from '../metadata/sqlite/reads.ts';
import { PARTS_PER_PAGE, verifiedPage } from '../objects/partPages.ts';
import { etagText, type OpenedVersion, openVersion } from '../objects/version.ts';
import { type Explanation, type Shown, Verdicts } from './explanation.ts';
import { type InspectOptions, requireBucketEntry } from './inspectBucket.ts';
import { BucketKeys, NotFoundError, type Stores } from './stores.ts';

const ROWS_PER_PAGE = 64;

interface Inspection {
  readonly stores: Stores;
  readonly bucket: BucketDocument;
  readonly keys: BucketKeys;
  readonly verdicts: Verdicts;
  readonly options: InspectOptions;
}

/** NotFoundError when the bucket or the key has nothing. */
export async function inspectObject(
  stores: Stores,
  bucketName: string,
  key: string,
  options: InspectOptions,
): Promise<Explanation> {
  const { bucket, bucketUid } = await requireBucketEntry(stores, bucketName);
  // Whether its objects may be plain hangs on the bucket's row.
  if (bucket instanceof MetadataError) throw bucket;
  const verdicts = new Verdicts();
  const inspection = { stores, bucket, keys: new BucketKeys(stores, bucketUid), verdicts, options };
  const keyBytes = Buffer.from(key);
  const versions: Shown[] = [];
  for await (const entry of versionsOf(stores, bucketUid, keyBytes))
    versions.push(await describeEntry(inspection, entry));
  const openUploads = await describeUploads(inspection, keyBytes);
  if (versions.length + openUploads.length === 0)
    throw new NotFoundError(`bucket ${bucketName} has no object and no upload of this key`);
  const report = { bucket: bucketName, bucketUid, object: key, versions, openUploads };
  return { report, wrong: verdicts.wrong, unknown: verdicts.unknown };
}

async function* versionsOf(
  { metadata }: Stores,
  bucketUid: string,
  key: Buffer,
): AsyncGenerator<AuditedVersion> {
  for (let seq: number | undefined = -1; seq !== undefined; ) {
    const after: { key: Uint8Array; seq: number } = { key, seq };
    const page: readonly AuditedVersion[] = await metadata.versions({
      bucketUid,
      after,
      limit: ROWS_PER_PAGE,
    });
    const own = page.filter((entry) => key.equals(entry.key));
    yield* own;
    seq = own.at(-1)?.seq;
  }
}

async function describeEntry(inspection: Inspection, entry: AuditedVersion): Promise<Shown> {
  const { seq, version, listed } = entry;
  if (version instanceof MetadataError)
    return { seq, record: inspection.verdicts.fault(`row ${seq}`, version.message) };
  const { versionId, isNull, lastModifiedMs, bodyId, size, partCount, descriptor, body } = version;
  const { opened, record } = await openForShow(inspection, version);
  return {
    versionId,
    seq,
    current: listed?.seq === seq,
    shownAsNull: isNull,
    lastModifiedMs,
    sizeBytes: size,
    protection: descriptor === null ? 'plain' : 'sealed',
    ...(descriptor === null
      ? {}
      : {
          suite: descriptor.suite,
          chunkBytes: 2 ** descriptor.chunkLog2,
          keyVersion: await describeKey(inspection, descriptor.n),
        }),
    record,
    bodyId,
    body:
      body.kind === 'inline'
        ? { place: 'in the metadata', storedBytes: body.stored.byteLength }
        : body.kind === 'blob'
          ? await describeBlob(inspection, body.location, body.storedBytes)
          : { partCount, parts: await describeParts(inspection, version, opened) },
    ...(inspection.options.showPrivate && opened !== null ? { private: privateOf(opened) } : {}),
  };
}

async function openForShow(
  { bucket, keys, verdicts, options }: Inspection,
  version: ObjectVersion,
): Promise<{ opened: OpenedVersion | null; record: string }> {
  if (version.descriptor !== null && !options.askKms)
    return { opened: null, record: 'not checked: the KMS was not asked for the key' };
  let opened: OpenedVersion | null = null;
  const good = version.descriptor === null ? 'readable, in clear' : 'verifies';
  const record = await verdicts.of(`record of version ${version.versionId}`, good, async () => {
    opened = await openVersion(bucket, version, (n) => keys.key(n));
  });
  return { opened, record };
}

async function describeKey({ stores, bucket }: Inspection, n: number): Promise<Shown> {
  const row = (await stores.metadata.keyVersionEntries(bucket.bucketUid)).find(
    (entry) => entry.n === n,
  )?.keyVersion;
  if (row === undefined || row instanceof MetadataError) return { n, row: 'missing or not authentic' };
  return { n, kmsConnection: row.kmsConnection, kmsId: row.kmsId, state: row.state };
}

async function describeBlob(
  { stores, verdicts }: Inspection,
  location: BlobLocation,
  storedBytes: number | null,
): Promise<{ readonly [name: string]: Shown }> {
  const { incarnation, blobId } = location;
  const file = join(stores.blobsPath, incarnation, blobId);
  const state = await verdicts.of(`blob ${blobId}`, 'there', async () => {
    const reader = await stores.blobs.open(location);
    await reader.close();
    if (storedBytes !== null && reader.storedBytes !== storedBytes)
      throw new MetadataError('Integrity', `the file has ${reader.storedBytes} bytes`);
  });
  return { blobId, ...(storedBytes === null ? {} : { storedBytes }), file, fileState: state };
}

async function describeParts(
  inspection: Inspection,
  version: ObjectVersion,
  opened: OpenedVersion | null,
): Promise<Shown[]> {
  const { stores, verdicts } = inspection;
  const parts: Shown[] = [];
  const dataKey = opened?.keys?.dataKey ?? null;
  for (let page = 0; page * PARTS_PER_PAGE < version.partCount; page += 1) {
    let found: PartPage | null = null;
    const state = await verdicts.of(`page ${page} of version ${version.versionId}`, '', async () => {
      found = await verifiedPage(stores.metadata, version, dataKey, page);
    });
    if (state !== '') parts.push({ page, state });
    for (const { partNumber, offset, size, location } of pageParts(found)) {
      const row = await stores.metadata.storedBlob(location.blobId);
      const blob = await describeBlob(inspection, location, row?.storedBytes ?? null);
      parts.push({ partNumber, offset, sizeBytes: size, ...blob });
    }
  }
  return parts;
}

function pageParts(page: PartPage | null): PartPage['parts'] {
  return page?.parts ?? [];
}

async function describeUploads({ stores, bucket, verdicts }: Inspection, key: Buffer): Promise<Shown[]> {
  const { metadata } = stores;
  const page = await metadata.uploads(bucket.bucketUid, { key, uploadId: '' }, ROWS_PER_PAGE);
  return page
    .filter((entry) => key.equals(entry.key))
    .map(({ uploadId, upload }) => {
      if (upload instanceof MetadataError)
        return { uploadId, controlMac: verdicts.fault(`upload ${uploadId}`, upload.message) };
      const { createdMs, encrypted, bodyId, revision, sealed } = upload;
      const protection = encrypted ? 'sealed' : 'plain';
      const partCommits = revision;
      return {
        uploadId,
        controlMac: 'authentic',
        createdMs,
        protection,
        keyVersion: sealed?.n ?? null,
        bodyId,
        partCommits,
      };
    });
}

function privateOf({ record, version }: OpenedVersion): Shown {
  return {
    etag: etagText(record.md5, version.partCount),
    checksums: record.checksums.map(({ algorithm, type, value }) => ({
      algorithm,
      type,
      value: Buffer.from(value).toString('base64'),
    })),
    contentHeaders: [...record.contentHeaders].map(([name, value]) => ({ name, value })),
    userMetadata: [...record.userMetadata].map(([name, value]) => ({ name, value })),
  };
}
