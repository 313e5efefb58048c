/** Whole bodies through a decoder, as a wire may deliver them. Used by tests only. */
import { S3Error } from '../errors.ts';
import type { PayloadForm } from '../request.ts';
import { chunksOf, SIGNING } from './chunkEncoder.testkit.ts';
import { createBodyDecoder } from './decoder.ts';

export const UNSIGNED: PayloadForm = { kind: 'unsigned' };
export const SIGNED: PayloadForm = { kind: 'aws-chunked', signing: SIGNING, trailer: false };
export const SIGNED_TRAILER: PayloadForm = { kind: 'aws-chunked', signing: SIGNING, trailer: true };
export const UNSIGNED_TRAILER: PayloadForm = { kind: 'aws-chunked', signing: null, trailer: true };

export interface Decoded {
  readonly content: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
}

interface Options {
  readonly decodedLength?: number | null;
  readonly expectedTrailers?: readonly string[];
  /** Lengths of the pieces in which the wire delivers the body; the rest comes as one. */
  readonly splits?: readonly number[];
}

export function decode(payload: PayloadForm, wire: Buffer, options: Options = {}): Decoded {
  const decoder = createBodyDecoder(payload, options.decodedLength ?? null, options.expectedTrailers ?? []);
  const content = chunksOf(wire, options.splits ?? []).flatMap((piece) => decoder.push(piece));
  return { content: Buffer.concat(content), trailers: decoder.end().trailers };
}

export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

export const CRC: readonly [string, string] = ['x-amz-checksum-crc32c', 'sOO8/Q=='];
