/**
 * Writes an encrypted version anew: another data key, other blobs, another record. What clients see of it stays: bytes,
 * ETag, checksums, parts, metadata, time.
 *
 * docs/format.md, "Re-encryption". The old bytes are verified while they are read, and what was sealed anew has to have the
 * digests of the old record before it may take its place.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { BlobStore } from '../blobs/blobs.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { newId } from '../crypto/ids.ts';
import { openDigests, pageMac, sealDigests } from '../crypto/parts.ts';
import type {
  BlobLocation,
  BucketDocument,
  Descriptor,
  Id,
  Metadata,
  ObjectVersion,
  PartEntry,
  PartPage,
  ReplacementBody,
} from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { type BodyCipher, type ByteSink, sendBlob, sendBody } from './bodyReader.ts';
import { BodyWriter, type StoredBody, sealedBlob } from './bodyWriter.ts';
import { verifying } from './damage.ts';
import { PARTS_PER_PAGE, verifiedPage } from './partPages.ts';
import { type OpenedVersion, openVersion, type SealingTools, sealVersion } from './version.ts';

export interface ReencryptSources {
  readonly metadata: Pick<Metadata, 'blobCrcs' | 'findPage' | 'partPages' | 'replaceBody'>;
  readonly blobs: BlobStore;
  readonly tools: SealingTools;
  /** Version n of the bucket's key, for reading. */
  readonly bucketKeyOf: (n: number) => Promise<KeyObject>;
  /** The bucket's current key version, under which the new data key is sealed. */
  readonly wrapping: { readonly bucketKey: KeyObject; readonly n: number };
  /** Called after each piece of work, of about 1 MiB: to rest, and to say whether to go on. */
  readonly pause: () => Promise<boolean>;
}

/** replaced: done. gone: the version was replaced or removed meanwhile. ended: pause() said so. */
export type ReencryptOutcome = 'replaced' | 'gone' | 'ended';

/**
 * The caller has pinned the version's body. Rejects with FormatError 'Integrity' when stored bytes do not verify, with
 * BlobError, KmsError and MetadataError; whatever was staged is removed then.
 */
export async function reencryptVersion(
  sources: ReencryptSources,
  bucket: BucketDocument,
  version: ObjectVersion,
): Promise<ReencryptOutcome> {
  const opened = await openVersion(bucket, version, sources.bucketKeyOf);
  const { descriptor } = version;
  if (opened.keys === null || descriptor === null) return 'gone';
  const staging = new Staging(sources, opened.keys.dataKey, descriptor);
  try {
    const outcome = await staging.replace(bucket, opened);
    if (outcome !== 'replaced') await staging.remove();
    return outcome;
  } catch (error) {
    // An engine that failed may have committed: then the blobs stay, and the collector decides.
    const undecided = error instanceof MetadataError && error.code === 'Unavailable';
    if (!undecided) await staging.remove();
    throw error;
  }
}

/** Thrown inside of a copy that is to end; never leaves this file. */
class Ended extends Error {}

class Staging {
  readonly #sources: ReencryptSources;
  readonly #oldCipher: BodyCipher;
  readonly #dataKey: KeyObject;
  readonly #bodyId: Id;
  readonly #staged: BlobLocation[] = [];

  constructor(sources: ReencryptSources, oldDataKey: KeyObject, { suite, chunkLog2 }: Descriptor) {
    this.#sources = sources;
    this.#oldCipher = { dataKey: oldDataKey, suite, chunkLog2 };
    this.#dataKey = newDataKey(sources.tools.random);
    this.#bodyId = newId(sources.tools.random);
  }

  async replace(bucket: BucketDocument, opened: OpenedVersion): Promise<ReencryptOutcome> {
    const { metadata, tools, wrapping } = this.#sources;
    const { version, record } = opened;
    let body: ReplacementBody;
    let blob: { readonly blobId: string; readonly salt: Uint8Array } | null = null;
    try {
      if (version.body.kind === 'parts') body = await this.#parts(version);
      else {
        const stored = await this.#whole(opened);
        blob = sealedBlob(stored);
        body = stored;
      }
    } catch (error) {
      if (error instanceof Ended) return 'ended';
      throw error;
    }
    const { key, versionId, lastModifiedMs, size, partCount, seq, bodyId } = version;
    const content = { bucket, key, versionId, lastModifiedMs, bodyId: this.#bodyId, size, partCount, blob };
    const replacement = sealVersion({ ...content, record }, { dataKey: this.#dataKey, ...wrapping }, tools);
    const replaced = await metadata.replaceBody(replacement, { seq, bodyId }, body);
    return replaced ? 'replaced' : 'gone';
  }

  /** Removes what was staged. */
  async remove(): Promise<void> {
    for (const location of this.#staged.splice(0)) await this.#sources.blobs.delete(location);
  }

  #whole(opened: OpenedVersion): Promise<StoredBody> {
    const { size, versionId } = opened.version;
    const place = { subject: 'blob', versionId } as const;
    return verifying(place, () =>
      this.#copy(size, true, opened.record.md5, (sink) => sendBody(this.#sources, opened, 0, size - 1, sink)),
    );
  }

  async #parts(version: ObjectVersion): Promise<ReplacementBody> {
    const pages: PartPage[] = [];
    const blobs: { location: BlobLocation; storedBytes: number }[] = [];
    const last = Math.floor((version.partCount - 1) / PARTS_PER_PAGE);
    for (let page = 0; page <= last; page += 1) {
      const old = await verifiedPage(this.#sources.metadata, version, this.#oldCipher.dataKey, page);
      const parts: PartEntry[] = [];
      for (const part of old.parts) {
        const { entry, storedBytes } = await this.#part(version.bodyId, part);
        parts.push(entry);
        blobs.push({ location: entry.location, storedBytes });
      }
      pages.push({ page, parts, pageMac: pageMac(this.#dataKey, this.#bodyId, page, parts) });
    }
    return { kind: 'parts', pages, blobs };
  }

  async #part(
    oldBodyId: Id,
    part: PartEntry,
  ): Promise<{ readonly entry: PartEntry; readonly storedBytes: number }> {
    const { partNumber, offset, size, location, salt, digests } = part;
    const blob = { location, salt, size, storedBytes: null };
    return await verifying({ subject: 'blob', blobId: location.blobId }, async () => {
      const oldBinding = { bodyId: oldBodyId, partNumber, blobId: location.blobId };
      const oldSeal = { digestSalt: part.digestSalt ?? new Uint8Array(0), sealedDigests: digests };
      const opened = openDigests(this.#oldCipher.dataKey, oldBinding, oldSeal);
      const stored = await this.#copy(size, false, opened.md5, (sink) =>
        sendBlob(this.#sources, this.#oldCipher, blob, 0, size - 1, sink),
      );
      if (stored.kind !== 'blob') throw new TypeError('parts are never inline');
      const binding = { bodyId: this.#bodyId, partNumber, blobId: stored.location.blobId };
      const { digestSalt, sealedDigests } = sealDigests(
        this.#dataKey,
        binding,
        opened,
        this.#sources.tools.random,
      );
      const place = { location: stored.location, salt: stored.salt };
      const entry = { partNumber, offset, size, ...place, digestSalt, digests: sealedDigests };
      return { entry, storedBytes: stored.storedBytes };
    });
  }

  /** Seals anew what `send` reads. FormatError 'Integrity' when it has not this MD5. */
  async #copy(
    size: number,
    mayInline: boolean,
    md5: Uint8Array,
    send: (sink: ByteSink) => Promise<boolean>,
  ): Promise<StoredBody> {
    const { blobs, tools, pause } = this.#sources;
    const options = { dataKey: this.#dataKey, plaintextSize: size, mayInline, random: tools.random };
    const writer = new BodyWriter(blobs, options);
    const found = createHash('md5');
    try {
      const complete = await send({
        write: async (chunks) => {
          for (const chunk of chunks) {
            found.update(chunk);
            await writer.write(chunk);
          }
          return await pause();
        },
      });
      if (!complete) throw new Ended('asked to end');
      if (!found.digest().equals(md5)) throw new FormatError('Integrity', 'the bytes have not their own MD5');
      const stored = await writer.finish();
      if (stored.kind === 'blob') this.#staged.push(stored.location);
      return stored;
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
}
