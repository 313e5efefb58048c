import type { BodyDecoder, DecodedEnd } from './bodyDecoder.ts';
import type { ChunkSignatures } from './chunkSignatures.ts';
import { DecodedLength, incompleteBody } from './decodedLength.ts';
import { TrailerSection } from './trailerSection.ts';

/** A chunk is never larger than what one PUT may hold. */
const MAX_CHUNK_BYTES = 5 * 2 ** 30;
/** Size line of a chunk, or one line of trailers. The longest honest one has about a hundred bytes. */
const MAX_LINE_BYTES = 4096;

const CR = 0x0d;
const LF = 0x0a;

type State = 'size' | 'content' | 'content-end' | 'trailers' | 'done';

/**
 * `<hex size>[;chunk-signature=<hex>]\r\n<bytes>\r\n`, repeated, closed by a chunk of size 0, trailers and an empty
 * line. Source: S3 API, "Transferring payload in multiple chunks" and "Including trailing headers".
 *
 * Chunks below 8 KiB are taken too, although S3 refuses them: nothing depends on their size here.
 */
export class AwsChunkedDecoder implements BodyDecoder {
  readonly #signatures: ChunkSignatures | null;
  readonly #length: DecodedLength;
  readonly #trailers: TrailerSection;

  #state: State = 'size';
  /** Start of a line whose end has not come yet, latin1. */
  #pendingLine = '';
  /** Bytes of the chunk at hand that have not come yet. */
  #remainingBytes = 0;
  #chunkSignature = '';

  constructor(
    signatures: ChunkSignatures | null,
    withTrailers: boolean,
    decodedLength: number | null,
    expectedTrailers: readonly string[],
  ) {
    this.#signatures = signatures;
    this.#length = new DecodedLength(decodedLength);
    this.#trailers = new TrailerSection(withTrailers, signatures, expectedTrailers);
  }

  push(chunk: Buffer): Buffer[] {
    const content: Buffer[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#state === 'done') throw incompleteBody();
      if (this.#state === 'content') {
        const slice = chunk.subarray(offset, offset + this.#remainingBytes);
        this.#takeContent(slice);
        content.push(slice);
        offset += slice.length;
      } else {
        offset = this.#readLine(chunk, offset);
      }
    }
    return content;
  }

  end(): DecodedEnd {
    if (this.#state !== 'done') throw incompleteBody();
    this.#length.end();
    return { trailers: this.#trailers.end() };
  }

  #takeContent(slice: Buffer): void {
    this.#signatures?.update(slice);
    this.#remainingBytes -= slice.length;
    if (this.#remainingBytes > 0) return;
    this.#signatures?.verifyChunk(this.#chunkSignature);
    this.#state = 'content-end';
  }

  /** Reads up to the end of the line or of the bytes; returns where it stopped. */
  #readLine(chunk: Buffer, offset: number): number {
    const lineFeed = chunk.indexOf(LF, offset);
    const next = lineFeed < 0 ? chunk.length : lineFeed + 1;
    if (this.#pendingLine.length + next - offset > MAX_LINE_BYTES) throw incompleteBody();
    const line = this.#pendingLine + chunk.toString('latin1', offset, next);
    if (lineFeed < 0 || line.charCodeAt(line.length - 2) !== CR) {
      // A line ends in CR LF: a bare LF is part of it.
      this.#pendingLine = line;
    } else {
      this.#pendingLine = '';
      this.#takeLine(line.slice(0, -2));
    }
    return next;
  }

  #takeLine(line: string): void {
    if (this.#state === 'size') {
      this.#takeSize(line);
    } else if (this.#state === 'content-end') {
      if (line !== '') throw incompleteBody();
      this.#state = 'size';
    } else if (line === '') {
      this.#state = 'done';
    } else {
      this.#trailers.add(line);
    }
  }

  #takeSize(line: string): void {
    const match = (this.#signatures === null ? UNSIGNED_SIZE : SIGNED_SIZE).exec(line);
    const [, size = '', signature = ''] = match ?? [];
    const sizeBytes = Number.parseInt(size, 16);
    if (match === null || sizeBytes > MAX_CHUNK_BYTES) throw incompleteBody();
    this.#length.add(sizeBytes);
    this.#remainingBytes = sizeBytes;
    this.#chunkSignature = signature;
    if (sizeBytes > 0) {
      this.#state = 'content';
    } else {
      this.#signatures?.verifyChunk(signature);
      this.#state = 'trailers';
    }
  }
}

const UNSIGNED_SIZE = /^([0-9a-fA-F]{1,16})$/;
const SIGNED_SIZE = /^([0-9a-fA-F]{1,16});chunk-signature=([0-9a-fA-F]{1,64})$/;
