import type { PrivateRecord } from '../crypto/record.ts';

/** x-amz-checksum-<algorithm> and x-amz-checksum-type for what is known of an object or part. */
export function checksumHeaders(
  checksums: PrivateRecord['checksums'],
  partCount = 0,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { algorithm, type, value } of checksums) {
    headers[`x-amz-checksum-${algorithm.toLowerCase()}`] = checksumText({ type, value }, partCount);
    headers['x-amz-checksum-type'] = type;
  }
  return headers;
}

/** Base64; a composite checksum carries the number of its parts, as S3 writes it. */
export function checksumText(
  checksum: Pick<PrivateRecord['checksums'][number], 'type' | 'value'>,
  partCount: number,
): string {
  const base64 = Buffer.from(checksum.value).toString('base64');
  return checksum.type === 'COMPOSITE' ? `${base64}-${partCount}` : base64;
}
