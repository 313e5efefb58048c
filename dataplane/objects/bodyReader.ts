/**
 * Streams a range of a stored body to a sink, every byte verified before it is handed over.
 *
 * docs/format.md, "Blob" and "Parts". Sizes, chunk counts and part lists come from the authenticated record, never
 * from the store. Memory: two batches of about 1 MiB for each body being read.
 */
import type { KeyObject } from 'node:crypto';
import type { BlobReader, BlobStore } from '../blobs/blobs.ts';
import { BlobError } from '../blobs/blobs.ts';
import { BlobOpener, openWholeBlob } from '../crypto/blob.ts';
import { FormatError } from '../crypto/errors.ts';
import { HEADER_BYTES, storedSize, TAG_BYTES } from '../crypto/sizes.ts';
import type { BlobLocation, Metadata } from '../metadata/metadata.ts';
import { CRC_BLOCK_BYTES } from './bodyWriter.ts';
import { readingRows, verifying } from './damage.ts';
import { freeBuffer } from './freeBuffer.ts';
import { partsInRange } from './partPages.ts';
import { PlainBlocks } from './plainBlocks.ts';
import type { OpenedVersion } from './version.ts';

const BATCH_BYTES = 1024 * 1024;

/** Where verified bytes go. */
export interface ByteSink {
  /** Takes the chunks in order; resolves to true when their memory may be reused, to false when nobody reads on. */
  write(chunks: readonly Uint8Array[]): Promise<boolean>;
}

export interface BodySources {
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly metadata: Pick<Metadata, 'blobCrcs' | 'findPage' | 'partPages'>;
}

/** What the blobs of an encrypted body are sealed with. */
export interface BodyCipher {
  readonly dataKey: KeyObject;
  readonly suite: number;
  readonly chunkLog2: number;
}

/**
 * Writes the plaintext bytes first..last (inclusive; last < first writes nothing) of an opened version. Resolves to
 * false when the sink gave up. FormatError 'Integrity' when bytes do not verify or are missing.
 */
export async function sendBody(
  sources: BodySources,
  opened: OpenedVersion,
  first: number,
  last: number,
  sink: ByteSink,
): Promise<boolean> {
  const place = { subject: 'blob', versionId: opened.version.versionId } as const;
  return await verifying(place, () => sendVerified(sources, opened, first, last, sink));
}

async function sendVerified(
  sources: BodySources,
  opened: OpenedVersion,
  first: number,
  last: number,
  sink: ByteSink,
): Promise<boolean> {
  const { version, keys } = opened;
  const { body, descriptor } = version;
  const cipher = keys === null || descriptor === null ? null : { ...descriptor, dataKey: keys.dataKey };
  if (body.kind === 'inline') {
    const whole = inlineBytes(cipher, version.size, body.stored, body.salt);
    return first > last ? true : await sink.write([whole.subarray(first, last + 1)]);
  }
  if (body.kind === 'blob') {
    const { location, storedBytes, salt } = body;
    const blob = { location, salt, size: version.size, storedBytes };
    return await sendBlob(sources, cipher, blob, first, last, sink);
  }
  for await (const { part, from, to } of partsInRange(
    sources.metadata,
    version,
    keys?.dataKey ?? null,
    first,
    last,
  )) {
    const blob = { location: part.location, salt: part.salt, size: part.size, storedBytes: null };
    if (!(await sendBlob(sources, cipher, blob, from, to, sink))) return false;
  }
  return true;
}

function inlineBytes(
  cipher: BodyCipher | null,
  size: number,
  stored: Uint8Array,
  salt: Uint8Array | null,
): Uint8Array {
  if (cipher === null) {
    if (stored.length !== size) throw new FormatError('Integrity', 'inline body has the wrong length');
    return stored;
  }
  const { dataKey, suite, chunkLog2 } = cipher;
  const facts = { suite, chunkLog2, salt: salt ?? new Uint8Array(0), plaintextSize: size };
  return openWholeBlob(dataKey, facts, stored);
}

/** One blob of a body. */
export interface BlobOfBody {
  readonly location: BlobLocation;
  readonly salt: Uint8Array | null;
  /** Plaintext bytes. */
  readonly size: number;
  /** As the row says; null where only the closed form is known. */
  readonly storedBytes: number | null;
}

/** How a blob is cut and verified: sealed chunks with header and tags, or plain blocks with CRCs. */
interface ChunkOpener {
  readonly headerBytes: number;
  readonly chunkBytes: number;
  readonly overheadBytes: number;
  /** Whether open() returns memory of the buffer that it was given. */
  readonly aliases: boolean;
  checkHeader(stored: Uint8Array): void;
  open(index: number, stored: Uint8Array): Uint8Array;
}

/** sendBody() for one blob: first..last are offsets inside of it. `cipher` is null for plain blobs. */
export async function sendBlob(
  sources: Pick<BodySources, 'blobs'> & { readonly metadata: Pick<Metadata, 'blobCrcs'> },
  cipher: BodyCipher | null,
  blob: BlobOfBody,
  first: number,
  last: number,
  sink: ByteSink,
): Promise<boolean> {
  const place = { subject: 'blob', blobId: blob.location.blobId } as const;
  return await verifying(place, () => sendStored(sources, cipher, blob, first, last, sink));
}

async function sendStored(
  sources: Parameters<typeof sendBlob>[0],
  cipher: BodyCipher | null,
  blob: BlobOfBody,
  first: number,
  last: number,
  sink: ByteSink,
): Promise<boolean> {
  const opener = await openerOf(sources.metadata, cipher, blob, first, last);
  const reader = await openStored(sources.blobs, blob.location);
  try {
    const expected = cipher === null ? blob.size : storedSize(blob.size, cipher.chunkLog2);
    if (reader.storedBytes !== expected || (blob.storedBytes !== null && blob.storedBytes !== expected)) {
      throw new FormatError('Integrity', `blob ${blob.location.blobId} has the wrong length`);
    }
    return await sendChunks(reader, opener, blob.size, first, last, sink);
  } finally {
    await reader.close();
  }
}

async function openStored(blobs: Pick<BlobStore, 'open'>, location: BlobLocation): Promise<BlobReader> {
  try {
    return await blobs.open(location);
  } catch (cause) {
    if (cause instanceof BlobError && cause.code === 'NotFound') {
      throw new FormatError('Integrity', `blob ${location.blobId} is missing`, { cause });
    }
    throw cause;
  }
}

async function openerOf(
  metadata: Pick<Metadata, 'blobCrcs'>,
  cipher: BodyCipher | null,
  blob: BlobOfBody,
  first: number,
  last: number,
): Promise<ChunkOpener> {
  if (cipher === null) {
    const firstBlock = Math.floor(first / CRC_BLOCK_BYTES);
    const lastBlock = Math.floor(Math.max(first, last) / CRC_BLOCK_BYTES);
    const crcs =
      blob.size === 0
        ? new Uint8Array(0)
        : await readingRows({ subject: 'blob', blobId: blob.location.blobId }, () =>
            metadata.blobCrcs(blob.location.blobId, firstBlock, lastBlock),
          );
    return new PlainBlocks(blob.location.blobId, firstBlock, crcs);
  }
  const { dataKey, suite, chunkLog2 } = cipher;
  const salt = blob.salt ?? new Uint8Array(0);
  const sealed = new BlobOpener(dataKey, { suite, chunkLog2, salt, plaintextSize: blob.size });
  return {
    headerBytes: HEADER_BYTES,
    chunkBytes: 2 ** chunkLog2,
    overheadBytes: TAG_BYTES,
    aliases: false,
    checkHeader: (stored) => sealed.checkHeader(stored),
    open: (index, stored) => sealed.openChunk(index, stored),
  };
}

/**
 * Double-buffered: one batch is read while the one before is verified and sent. Memory is given back as soon as the
 * sink is done with it; after a failure it may still be in use and is left to the collector.
 */
async function sendChunks(
  reader: BlobReader,
  opener: ChunkOpener,
  size: number,
  first: number,
  last: number,
  sink: ByteSink,
): Promise<boolean> {
  const { chunkBytes, overheadBytes, headerBytes } = opener;
  const storedChunk = chunkBytes + overheadBytes;
  const firstChunk = Math.floor(first / chunkBytes);
  // An empty body still has its one, empty, sealed chunk to verify.
  const lastChunk = Math.floor(Math.max(first, last) / chunkBytes);
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / chunkBytes));
  const count = lastChunk - firstChunk + 1;
  const bufferBytes = Math.min(count, perBatch) * storedChunk;

  if (headerBytes > 0) opener.checkHeader(await readExactly(reader, Buffer.allocUnsafe(headerBytes), 0));
  if (size === 0 && overheadBytes === 0) return true;

  const buffers = [
    Buffer.allocUnsafe(bufferBytes),
    count > perBatch ? Buffer.allocUnsafe(bufferBytes) : Buffer.alloc(0),
  ];
  const startRead = (chunk: number, turn: number): Promise<Uint8Array> => {
    const chunks = Math.min(perBatch, lastChunk - chunk + 1);
    const begin = chunk * chunkBytes;
    const plaintext = Math.min(size, begin + chunks * chunkBytes) - begin;
    const into = (buffers[turn % 2] ?? Buffer.alloc(0)).subarray(0, plaintext + chunks * overheadBytes);
    return readExactly(reader, into, headerBytes + chunk * storedChunk);
  };

  let reading: Promise<Uint8Array> | null = startRead(firstChunk, 0);
  let sent: Promise<boolean> = Promise.resolve(true);
  try {
    for (let chunk = firstChunk, turn = 0; chunk <= lastChunk; chunk += perBatch, turn += 1) {
      const next = chunk + perBatch;
      const stored: Uint8Array = await (reading ?? startRead(chunk, turn));
      reading = !opener.aliases && next <= lastChunk ? startRead(next, turn + 1) : null;
      const out: Uint8Array[] = [];
      const opened: Uint8Array[] = [];
      for (let at = 0, index = chunk; at < stored.length; at += storedChunk, index += 1) {
        const plain = opener.open(index, stored.subarray(at, at + storedChunk));
        if (!opener.aliases) opened.push(plain);
        const begin = index * chunkBytes;
        const slice = plain.subarray(Math.max(0, first - begin), Math.max(0, last + 1 - begin));
        if (slice.length > 0) out.push(slice);
      }
      // Plain blocks are sent from the read buffer: it is free again once the batch before was taken.
      if (!(await sent)) return false;
      if (opener.aliases && next <= lastChunk) reading = startRead(next, turn + 1);
      if (out.length > 0) sent = sendAndFree(sink, out, opened);
    }
    if (!(await sent)) return false;
    for (const buffer of buffers) freeBuffer(buffer);
    return true;
  } finally {
    await Promise.allSettled([reading, sent]);
  }
}

/** Writes slices of the opened chunks, and gives the chunks' memory back once the sink is done with them. */
async function sendAndFree(
  sink: ByteSink,
  slices: readonly Uint8Array[],
  opened: readonly Uint8Array[],
): Promise<boolean> {
  const taken = await sink.write(slices);
  if (taken) for (const chunk of opened) freeBuffer(chunk);
  return taken;
}

async function readExactly(reader: BlobReader, into: Buffer, position: number): Promise<Buffer> {
  if ((await reader.read(into, position)) !== into.length)
    throw new FormatError('Integrity', 'blob ends too early');
  return into;
}
