/** The Range header, as S3 reads it: one range of bytes; several ranges or another syntax mean the whole object. */
import { S3Error } from './errors.ts';

/** Inclusive plaintext offsets. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** The range asked for, clipped to the object; null = the whole object. InvalidRange when nothing of it exists. */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null) return null;
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return null;
  const details = { RangeRequested: header?.trim() ?? '', ActualObjectSize: String(sizeBytes) };
  if (from === '') {
    const suffix = Number(to);
    if (suffix === 0 || sizeBytes === 0) throw new S3Error('InvalidRange', undefined, { details });
    return { first: Math.max(0, sizeBytes - suffix), last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (to !== '' && Number(to) < first) return null;
  if (first >= sizeBytes) throw new S3Error('InvalidRange', undefined, { details });
  return { first, last };
}
