import type { ContentLengthRange } from '../../auth/postPolicy.ts';
import type { BodyWriter } from '../../objects/bodyWriter.ts';
import { BodyDigests } from '../body/bodyDigests.ts';
import type { ReceivedBody } from '../body/receive.ts';
import { S3Error } from '../errors.ts';
import { requestedContentMd5 } from '../integrity/contentMd5.ts';
import { parseChecksumAlgorithm, requestedChecksum } from '../integrity/requestedChecksum.ts';
import type { HeaderBag } from '../request.ts';
import { MAX_PUT_BYTES } from '../requestBody.ts';
import type { FormFile } from './formReader.ts';

/**
 * Receives the file of a form into a writer; size and digests are those that the policy and the fields (as headers)
 * demand. Rejects with S3Error EntityTooLarge, EntityTooSmall, BadDigest, InvalidDigest, InvalidRequest, and with what
 * reading and writing reject with.
 */
export async function receiveFile(
  file: FormFile,
  writer: BodyWriter,
  fields: HeaderBag,
  range: ContentLengthRange | null,
): Promise<Pick<ReceivedBody, 'size' | 'md5' | 'checksum'>> {
  const contentMd5 = requestedContentMd5(fields);
  const requested = requestedChecksum(fields);
  if (requested?.inTrailer === true) throw new S3Error('InvalidRequest', 'A form has no trailers.');
  const added = fields.get('x-amz-checksum-algorithm');
  const algorithm = requested?.algorithm ?? (added === undefined ? null : parseChecksumAlgorithm(added));
  const most = Math.min(range?.max ?? MAX_PUT_BYTES, MAX_PUT_BYTES);
  const least = range?.min ?? 0;

  const digests = new BodyDigests(algorithm);
  for await (const piece of file.pieces) {
    if (digests.size + piece.length > most) {
      const details = {
        ProposedSize: String(digests.size + piece.length),
        MaxSizeAllowed: String(most),
      };
      throw new S3Error('EntityTooLarge', undefined, { details });
    }
    digests.update(piece);
    await writer.write(piece);
  }
  const { size, md5, checksum } = digests.finish();
  if (size < least) {
    const details = { ProposedSize: String(size), MinSizeAllowed: String(least) };
    throw new S3Error('EntityTooSmall', undefined, { details });
  }
  if (contentMd5 !== null && !contentMd5.equals(md5)) throw new S3Error('BadDigest');
  const expected = requested?.expected ?? null;
  if (expected !== null && checksum !== null && !expected.equals(checksum.value)) {
    throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
  }
  const value =
    checksum === null ? null : { algorithm: checksum.algorithm, value: Buffer.from(checksum.value) };
  return { size, md5, checksum: value };
}
