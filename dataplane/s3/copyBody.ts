import type { ChecksumAlgorithm } from '../metadata/metadata.ts';
import { sendBody } from '../objects/bodyReader.ts';
import type { BodyWriter } from '../objects/bodyWriter.ts';
import type { OpenedVersion } from '../objects/version.ts';
import { BodyDigests } from './body/bodyDigests.ts';
import { S3Error } from './errors.ts';
import type { S3Services } from './services.ts';
import type { PartBytes } from './writePart.ts';

export interface CopiedRange {
  /** Inclusive plaintext offsets; last < first copies nothing. */
  readonly first: number;
  readonly last: number;
  /** Computed on the way; null: none. */
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/**
 * Streams plaintext of an opened version, every byte verified, into a writer that seals it anew or stores it plain.
 * FormatError when bytes do not verify, BlobError, OperationAborted when nobody waits for the copy any more.
 */
export async function copyBody(
  services: S3Services,
  opened: OpenedVersion,
  range: CopiedRange,
  writer: BodyWriter,
): Promise<PartBytes & { readonly md5: Buffer }> {
  const { first, last, signal } = range;
  const digests = new BodyDigests(range.checksumAlgorithm);
  const complete = await sendBody(services, opened, first, last, {
    write: async (chunks) => {
      for (const chunk of chunks) {
        digests.update(chunk);
        // The reader uses its buffers again.
        await writer.write(writer.keepsPieces ? Buffer.from(chunk) : chunk);
      }
      return !signal.aborted;
    },
  });
  if (!complete) throw new S3Error('OperationAborted', 'The client went away.');
  return digests.finish();
}
