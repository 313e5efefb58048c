/**
 * Reads multipart/form-data from a request: small fields, one file as a stream, and what stands behind it.
 *
 * Owns the way of the bytes, with back-pressure from the file's reader to the socket, and the limits on everything
 * that is not the file. It must not know what the fields mean. Built on Dicer alone: a parser that skips parts it
 * does not understand could skip an encryption field.
 */
import type { Readable } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { S3Error } from '../errors.ts';
import { type PartHead, partHead } from './partHead.ts';

/** All names and values together, as S3. */
const MAX_FIELD_BYTES = 20 * 1024;
/** Everything but the file, boundaries and part heads included; pieces from the socket are counted whole. */
const MAX_OVERHEAD_BYTES = 256 * 1024;
const MAX_PART_HEADERS = 16;

export interface FormField {
  /** Lower-case. */
  readonly name: string;
  readonly value: Buffer;
}

export interface FormFile {
  /** As the client calls it, without folders; may be empty. */
  readonly filename: string;
  /** Read it once. Rejects with S3Error when the form ends early, is malformed or stops coming. */
  readonly pieces: AsyncIterable<Buffer>;
}

/** The request that brings a form: an Exchange, as far as it is needed. */
export interface FormSource {
  readonly req: Readable;
  bytesIn: number;
  waitingForClient: boolean;
  failBody: ((error: S3Error) => void) | null;
  readonly brokenBody: S3Error | null;
  acceptBody(): void;
}

export class FormReader {
  readonly #exchange: FormSource;
  readonly #dicer: Dicer;
  readonly #failed = Promise.withResolvers<never>();
  readonly #file = Promise.withResolvers<FormFile | null>();
  readonly #finished = Promise.withResolvers<void>();
  readonly #before: Promise<FormField>[] = [];
  readonly #behind: Promise<FormField>[] = [];
  #fieldBytes = 0;
  #overheadBytes = 0;
  #filePart: Dicer.PartStream | null = null;
  #inFile = false;
  #headMissing = false;
  #ended = false;
  readonly #onData = (chunk: Buffer): void => this.#push(chunk);
  readonly #onEnd = (): void => this.#end();
  readonly #onError = (cause: Error): void => this.#fail(new S3Error('IncompleteBody', undefined, { cause }));
  readonly #onClose = (): void => this.#fail(new S3Error('IncompleteBody'));

  /** Starts reading; 100 Continue goes out. */
  constructor(exchange: FormSource, boundary: string) {
    this.#exchange = exchange;
    this.#failed.promise.catch(() => undefined);
    this.#dicer = new Dicer({ boundary, maxHeaderPairs: MAX_PART_HEADERS });
    this.#dicer.on('part', (part) => this.#take(part));
    this.#dicer.on('finish', () => this.#finish());
    this.#dicer.on('error', (cause) => this.#fail(new S3Error('MalformedPOSTRequest', undefined, { cause })));
    exchange.acceptBody();
    exchange.failBody = (error) => this.#fail(error);
    exchange.waitingForClient = true;
    const { req } = exchange;
    req.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
    // The client went away before anybody listened: none of these events will come.
    if (req.destroyed) this.#onClose();
    else if (exchange.brokenBody !== null) this.#fail(exchange.brokenBody);
  }

  /** The fields before the file, and the file; null when the form has none. */
  async start(): Promise<{ readonly fields: readonly FormField[]; readonly file: FormFile | null }> {
    const file = await Promise.race([this.#failed.promise, this.#file.promise]);
    const fields = await Promise.race([this.#failed.promise, Promise.all(this.#before)]);
    return { fields, file };
  }

  /** Reads to the end of the form, once the file was read: the fields behind it. */
  async rest(): Promise<readonly FormField[]> {
    await Promise.race([this.#failed.promise, this.#finished.promise]);
    return await Promise.race([this.#failed.promise, Promise.all(this.#behind)]);
  }

  /** Takes the hands off the request, whatever was read of it. */
  close(): void {
    const { req } = this.#exchange;
    this.#exchange.failBody = null;
    this.#exchange.waitingForClient = false;
    req.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError);
    req.off('close', this.#onClose);
    if (!this.#ended) req.pause();
  }

  #push(chunk: Buffer): void {
    const { req } = this.#exchange;
    this.#exchange.bytesIn += chunk.length;
    if (!this.#inFile) this.#overheadBytes += chunk.length;
    if (this.#overheadBytes > MAX_OVERHEAD_BYTES) {
      this.#fail(new S3Error('MaxPostPreDataLengthExceeded'));
      return;
    }
    if (this.#dicer.write(chunk)) return;
    req.pause();
    this.#exchange.waitingForClient = false;
    this.#dicer.once('drain', () => {
      if (this.#exchange.failBody === null) return;
      this.#exchange.waitingForClient = true;
      req.resume();
    });
  }

  #end(): void {
    this.#ended = true;
    this.#exchange.req.off('close', this.#onClose);
    this.#exchange.waitingForClient = false;
    this.#dicer.end();
  }

  #finish(): void {
    if (this.#headMissing) {
      this.#fail(new S3Error('MalformedPOSTRequest'));
      return;
    }
    this.#file.resolve(null);
    this.#finished.resolve();
  }

  #fail(error: S3Error): void {
    this.close();
    this.#failed.reject(error);
    this.#filePart?.destroy(error);
  }

  #take(part: Dicer.PartStream): void {
    if (this.#headMissing) this.#fail(new S3Error('MalformedPOSTRequest'));
    this.#headMissing = true;
    // Ends early: the parser's own error says so.
    part.on('error', () => undefined);
    part.on('header', (header) => {
      this.#headMissing = false;
      try {
        this.#read(part, partHead(contentDisposition(header)));
      } catch (error) {
        part.resume();
        this.#fail(error instanceof S3Error ? error : new S3Error('MalformedPOSTRequest'));
      }
    });
  }

  #read(part: Dicer.PartStream, head: PartHead): void {
    this.#inFile = false;
    if (head.name !== 'file') {
      this.#count(head.name.length);
      const fields = this.#filePart === null ? this.#before : this.#behind;
      fields.push(this.#fieldOf(part, head.name));
      return;
    }
    if (this.#filePart !== null) {
      // S3 ignores what stands behind the file.
      part.resume();
      return;
    }
    this.#inFile = true;
    this.#filePart = part;
    this.#file.resolve({ filename: head.filename, pieces: part });
  }

  #fieldOf(part: Dicer.PartStream, name: string): Promise<FormField> {
    const pieces: Buffer[] = [];
    return new Promise((resolve) => {
      part.on('data', (piece: Buffer | string) => {
        this.#count(piece.length);
        if (this.#fieldBytes <= MAX_FIELD_BYTES) pieces.push(Buffer.from(piece));
      });
      part.on('end', () => resolve({ name, value: Buffer.concat(pieces) }));
    });
  }

  #count(bytes: number): void {
    this.#fieldBytes += bytes;
    if (this.#fieldBytes > MAX_FIELD_BYTES) this.#fail(new S3Error('MaxPostPreDataLengthExceeded'));
  }
}

function contentDisposition(header: object): string | undefined {
  const values: unknown = 'content-disposition' in header ? header['content-disposition'] : undefined;
  if (!Array.isArray(values) || values.length !== 1) return undefined;
  const [value] = values as readonly unknown[];
  return typeof value === 'string' ? value : undefined;
}
