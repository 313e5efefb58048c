/** Explains a file: what its header says, what its length means, and who names it. */
import { open } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { HEADER_BYTES } from '../crypto/sizes.ts';
import type { BucketEntry, Id } from '../metadata/metadata.ts';
import { type Explanation, type Shown, Verdicts } from './explanation.ts';
import { keyText } from './printable.ts';
import { impliedSize, readHeader, type StoredHeader } from './storedHeader.ts';
import { NotFoundError, type Stores } from './stores.ts';

const BUCKETS_PER_PAGE = 64;

interface FileStart {
  readonly fileBytes: number;
  readonly header: StoredHeader | null;
}

/** NotFoundError when the file cannot be read. The KMS is never asked: who names a blob is not secret. */
export async function inspectBlob(stores: Stores, file: string): Promise<Explanation> {
  const path = resolve(file);
  const verdicts = new Verdicts();
  const { fileBytes, header } = await readStart(path);
  const name = basename(path);
  const report = {
    file: path,
    fileBytes,
    header: header === null ? 'none: a plain blob, or not a blob at all' : describeHeader(header),
    ...(header === null ? {} : describeLength(verdicts, fileBytes, header)),
    namedBy: await describeUse(stores, verdicts, path, { name, fileBytes, header }),
  };
  return { report, wrong: verdicts.wrong, unknown: verdicts.unknown };
}

async function readStart(path: string): Promise<FileStart> {
  try {
    await using file = await open(path, 'r');
    const stats = await file.stat();
    if (!stats.isFile()) throw new NotFoundError(`${path} is not a file`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return { fileBytes: stats.size, header: readHeader(buffer.subarray(0, bytesRead)) };
  } catch (error) {
    if (error instanceof NotFoundError || !(error instanceof Error)) throw error;
    throw new NotFoundError(`${path} cannot be read: ${error.message}`, { cause: error });
  }
}

function describeHeader({ suite, chunkLog2, salt, commitment }: StoredHeader): Shown {
  const chunkBytes = 2 ** chunkLog2;
  return { format: 1, suite, chunkBytes, salt: salt.toString('hex'), commitment: commitment.toString('hex') };
}

function describeLength(
  verdicts: Verdicts,
  fileBytes: number,
  { chunkLog2 }: StoredHeader,
): { readonly [name: string]: Shown } {
  const implied = impliedSize(fileBytes, chunkLog2);
  if (implied === null)
    return { length: verdicts.fault('length', 'no blob of this chunk size has this length') };
  return { impliedPlaintextBytes: implied.plaintextBytes, impliedChunks: implied.chunks };
}

async function describeUse(
  { metadata, blobsPath }: Stores,
  verdicts: Verdicts,
  path: string,
  { name, fileBytes, header }: FileStart & { readonly name: string },
): Promise<Shown> {
  const bySalt = header === null ? null : await metadata.blobIdOfSalt(header.salt);
  const use = (await metadata.blobUse(name)) ?? (bySalt === null ? null : await metadata.blobUse(bySalt));
  if (use === null) return 'nothing: no row of this metadata knows it';
  const { location, storedBytes, body, versions, upload, garbageSinceMs } = use;
  const place = join(blobsPath, location.incarnation, location.blobId);
  if (fileBytes !== storedBytes) verdicts.fault('length', `its row says ${storedBytes} bytes`);
  const expected = body === null ? null : await saltOfPart(metadata, body.bodyId, body.partNumber);
  const foreign =
    (bySalt !== null && bySalt !== location.blobId) ||
    (expected !== null && header !== null && Buffer.compare(expected, header.salt) !== 0);
  if (foreign) verdicts.fault('salt', 'the content is that of another blob');
  const names = await bucketNames(metadata, new Set(versions.map(({ bucketUid }) => bucketUid)));
  return {
    blobId: location.blobId,
    place: path === place ? 'this is the file that is read' : `a copy: what is read is ${place}`,
    storedBytes,
    bodyId: body?.bodyId ?? null,
    partNumber: body?.partNumber ?? upload?.partNumber ?? null,
    objects: versions.map(({ bucketUid, key, versionId }) => ({
      bucket: names.get(bucketUid) ?? bucketUid,
      object: keyText(key),
      versionId,
    })),
    openUpload: upload?.uploadId ?? null,
    ...(garbageSinceMs === null ? {} : { garbageSinceMs }),
  };
}

/** The salt that a finished part must have; null for other blobs. */
async function saltOfPart(
  metadata: Stores['metadata'],
  bodyId: Id,
  partNumber: number | null,
): Promise<Uint8Array | null> {
  if (partNumber === null) return null;
  const number = await metadata.findPage(bodyId, { partNumber });
  if (number === null) return null;
  const [page] = await metadata.partPages(bodyId, number, number);
  return page?.parts.find((part) => part.partNumber === partNumber)?.salt ?? null;
}

async function bucketNames(
  metadata: Stores['metadata'],
  uids: ReadonlySet<Id>,
): Promise<ReadonlyMap<Id, string>> {
  const names = new Map<Id, string>();
  for (let after: string | undefined = ''; after !== undefined && names.size < uids.size; ) {
    const page: readonly BucketEntry[] = await metadata.listEveryBucket({ after, limit: BUCKETS_PER_PAGE });
    for (const { name, bucketUid } of page) if (uids.has(bucketUid)) names.set(bucketUid, name);
    after = page.at(-1)?.name;
  }
  return names;
}
