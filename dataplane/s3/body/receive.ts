/**
 * The way of a request body: socket -> aws-chunked decoder -> digests -> sink, one pass over each byte while it is
 * in cache, back-pressure from the sink to the socket. Event-driven instead of an async iterator for speed.
 */
import { createHash, type Hash } from 'node:crypto';
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { freeBuffer } from '../../objects/freeBuffer.ts';
import { S3Error } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { type Checksum, createChecksum } from '../integrity/checksums.ts';
import { type RequestedChecksum, trailerChecksum } from '../integrity/requestedChecksum.ts';
import type { BodyDecoder } from './bodyDecoder.ts';

/** Takes plaintext in order. A returned promise asks the caller to wait. */
export interface PlaintextSink {
  /** Whether the sink goes on using pieces after the call; otherwise their memory is given back. */
  readonly keepsPieces: boolean;
  write(piece: Uint8Array): Promise<void> | undefined;
}

export interface ReceivedBody {
  readonly size: number;
  readonly md5: Buffer;
  /** Of the requested checksum, else of `addedChecksum`, computed and compared; null when none was asked for. */
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: Buffer } | null;
  readonly trailers: readonly (readonly [string, string])[];
}

export interface ReceiveOptions {
  readonly decoder: BodyDecoder;
  /** Decoded bytes that must come. */
  readonly size: number;
  readonly contentMd5: Buffer | null;
  readonly checksum: RequestedChecksum | null;
  /** Computed although the client sent none (multipart uploads created with an algorithm). */
  readonly addedChecksum?: ChecksumAlgorithm | null;
}

/**
 * Receives the whole body. Rejects with S3Error (BadDigest, IncompleteBody, RequestTimeout, what the decoder found)
 * or with what the sink rejected with; nothing more is written to the sink after that.
 */
export async function receiveBody(
  exchange: Exchange,
  sink: PlaintextSink,
  options: ReceiveOptions,
): Promise<ReceivedBody> {
  const algorithm = options.checksum?.algorithm ?? options.addedChecksum ?? null;
  const md5 = createHash('md5');
  const checksum = algorithm === null ? null : createChecksum(algorithm);
  exchange.acceptBody();
  const { size, trailers } = await pump(exchange, sink, options, md5, checksum);
  if (size !== options.size) throw new S3Error('IncompleteBody');

  const md5Digest = md5.digest();
  if (options.contentMd5 !== null && !options.contentMd5.equals(md5Digest)) throw new S3Error('BadDigest');
  const value = checksum?.digest() ?? null;
  const expected = expectedChecksum(options.checksum, trailers);
  if (expected !== null && value !== null && !expected.equals(value)) {
    throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
  }
  return {
    size,
    md5: md5Digest,
    checksum: algorithm === null || value === null ? null : { algorithm, value },
    trailers,
  };
}

function expectedChecksum(
  requested: RequestedChecksum | null,
  trailers: readonly (readonly [string, string])[],
): Buffer | null {
  if (requested === null) return null;
  return requested.inTrailer ? trailerChecksum(requested.algorithm, trailers) : requested.expected;
}

function pump(
  exchange: Exchange,
  sink: PlaintextSink,
  options: ReceiveOptions,
  md5: Hash,
  checksum: Checksum | null,
): Promise<{ size: number; trailers: readonly (readonly [string, string])[] }> {
  const { req } = exchange;
  return new Promise((resolve, reject) => {
    let size = 0;
    let busy: Promise<void> | null = null;
    let ended = false;

    const stop = (): void => {
      exchange.failBody = null;
      exchange.waitingForClient = false;
      req.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      req.pause();
    };
    const fail = (error: unknown): void => {
      stop();
      // What the sink is still writing must settle before the caller may remove it.
      if (busy === null) reject(error);
      else
        void busy.then(
          () => reject(error),
          () => reject(error),
        );
    };
    const finish = (): void => {
      try {
        const { trailers } = options.decoder.end();
        stop();
        resolve({ size, trailers: [...trailers, ...httpTrailers(req.rawTrailers)] });
      } catch (error) {
        fail(error);
      }
    };
    const consume = (chunk: Buffer, pieces: readonly Uint8Array[], from: number): void => {
      for (let i = from; i < pieces.length; i += 1) {
        const piece = pieces[i] ?? new Uint8Array(0);
        size += piece.length;
        if (size > options.size)
          throw new S3Error('IncompleteBody', 'The request body is longer than announced.');
        md5.update(piece);
        checksum?.update(piece);
        const wait = sink.write(piece);
        if (wait === undefined) continue;
        req.pause();
        exchange.waitingForClient = false;
        busy = wait;
        wait.then(
          () => {
            busy = null;
            resume(chunk, pieces, i + 1);
          },
          (error: unknown) => {
            busy = null;
            fail(error);
          },
        );
        return;
      }
      // Decoders keep nothing of a chunk, and node:http made it for us alone.
      if (!sink.keepsPieces) freeBuffer(chunk);
      if (ended) finish();
      else {
        exchange.waitingForClient = true;
        if (req.isPaused()) req.resume();
      }
    };
    const resume = (chunk: Buffer, pieces: readonly Uint8Array[], from: number): void => {
      if (exchange.failBody === null) return;
      try {
        consume(chunk, pieces, from);
      } catch (error) {
        fail(error);
      }
    };
    const onData = (chunk: Buffer): void => {
      exchange.bytesIn += chunk.length;
      try {
        consume(chunk, options.decoder.push(chunk), 0);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => {
      ended = true;
      if (busy === null) finish();
    };
    const onError = (cause: Error): void => fail(new S3Error('IncompleteBody', undefined, { cause }));
    const onClose = (): void => {
      if (!ended) fail(new S3Error('IncompleteBody'));
    };
    exchange.failBody = fail;
    exchange.waitingForClient = true;
    req.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    // The client went away before anybody listened: none of these events will come.
    if (req.destroyed) onClose();
    else if (exchange.brokenBody !== null) fail(exchange.brokenBody);
  });
}

function httpTrailers(raw: readonly string[]): (readonly [string, string])[] {
  const trailers: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2)
    trailers.push([(raw[i] ?? '').toLowerCase(), (raw[i + 1] ?? '').trim()]);
  return trailers;
}
