import { createHash } from 'node:crypto';
import { pageMac } from '../crypto/parts.ts';
import type { PartEntry, PartPage, UploadPart } from '../metadata/metadata.ts';
import { PARTS_PER_PAGE } from './partPages.ts';
import type { OpenedUpload } from './uploads.ts';

/** A body put together from parts. */
export interface AssembledBody {
  readonly pages: readonly PartPage[];
  readonly partCount: number;
  /** Plaintext bytes. */
  readonly size: number;
  /** MD5 of the parts' MD5s in order: what the -N form of an ETag shows. */
  readonly md5: Buffer;
}

/** Lines the verified parts of an upload up as pages of its body, each page under its MAC. */
export class PartAssembly {
  readonly #opened: OpenedUpload;
  readonly #md5 = createHash('md5');
  readonly #pages: PartPage[] = [];
  #entries: PartEntry[] = [];
  #partCount = 0;
  #size = 0;

  constructor(opened: OpenedUpload) {
    this.#opened = opened;
  }

  /** The next part in order, opened and verified by the caller; `md5` is its own. */
  add(part: UploadPart, md5: Uint8Array): void {
    const { partNumber, size, location, salt, digestSalt, digests } = part;
    this.#entries.push({ partNumber, offset: this.#size, size, location, salt, digestSalt, digests });
    this.#md5.update(md5);
    this.#size += size;
    this.#partCount += 1;
    if (this.#entries.length === PARTS_PER_PAGE) this.#closePage();
  }

  /** Call it once, last. */
  finish(): AssembledBody {
    if (this.#entries.length > 0) this.#closePage();
    return {
      pages: this.#pages,
      partCount: this.#partCount,
      size: this.#size,
      md5: this.#md5.digest(),
    };
  }

  #closePage(): void {
    const { dataKey, upload } = this.#opened;
    const page = this.#pages.length;
    const parts = this.#entries;
    const mac = dataKey === null ? null : pageMac(dataKey, upload.bodyId, page, parts);
    this.#pages.push({ page, parts, pageMac: mac });
    this.#entries = [];
  }
}
