import { S3Error } from '../errors.ts';

/** Holds a body to the length that was announced for it. */
export class DecodedLength {
  readonly #announced: number | null;
  #received = 0;

  constructor(announced: number | null) {
    this.#announced = announced;
  }

  /** @throws S3Error IncompleteBody as soon as there are more bytes than announced. */
  add(sizeBytes: number): void {
    this.#received += sizeBytes;
    if (this.#announced !== null && this.#received > this.#announced) throw incompleteBody();
  }

  /** @throws S3Error IncompleteBody when there were fewer. */
  end(): void {
    if (this.#announced !== null && this.#received !== this.#announced) throw incompleteBody();
  }
}

/** What S3 answers to any body that does not end as its framing or length said. */
export function incompleteBody(): S3Error {
  return new S3Error('IncompleteBody', 'The request body terminated unexpectedly');
}
