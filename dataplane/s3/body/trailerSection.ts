import { S3Error } from '../errors.ts';
import type { ChunkSignatures } from './chunkSignatures.ts';
import { incompleteBody } from './decodedLength.ts';

const SIGNATURE_NAME = 'x-amz-trailer-signature';
const MAX_TRAILERS = 64;

/** The lines between the last chunk of an aws-chunked body and its end. */
export class TrailerSection {
  readonly #allowed: boolean;
  readonly #signatures: ChunkSignatures | null;
  readonly #expected: readonly string[];
  readonly #trailers: (readonly [string, string])[] = [];
  #signature: string | null = null;

  /** `signatures`: null when trailers are not signed. `expected`: names that must come, in any letter case. */
  constructor(allowed: boolean, signatures: ChunkSignatures | null, expected: readonly string[]) {
    this.#allowed = allowed;
    this.#signatures = signatures;
    this.#expected = expected;
  }

  /**
   * Takes one `name:value` line without its CRLF. Several may be parted by bare LFs: minio-go ends each trailer
   * with LF and then adds the CRLF, which S3 accepts.
   * @throws S3Error IncompleteBody when the payload form has no trailers, MalformedTrailerError.
   */
  add(line: string): void {
    if (!this.#allowed) throw incompleteBody();
    for (const field of line.split('\n')) {
      if (field !== '') this.#addField(field);
    }
  }

  /**
   * Verifies the signature of the section and that nothing announced is missing.
   * @throws S3Error SignatureDoesNotMatch, MalformedTrailerError.
   */
  end(): readonly (readonly [string, string])[] {
    if (this.#allowed && this.#signatures !== null) {
      if (this.#signature === null) throw malformedTrailer();
      this.#signatures.verifyTrailers(this.#trailers, this.#signature);
    }
    const names = new Set(this.#trailers.map(([name]) => name));
    if (this.#expected.some((name) => !names.has(name.toLowerCase()))) throw malformedTrailer();
    return this.#trailers;
  }

  #addField(field: string): void {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\s\S]*?)[ \t\r]*$/.exec(field);
    const [, name = '', value = ''] = match ?? [];
    // Nothing may follow the signature: it would not be covered by it.
    if (match === null || this.#signature !== null || this.#trailers.length === MAX_TRAILERS) {
      throw malformedTrailer();
    }
    const folded = name.toLowerCase();
    if (folded === SIGNATURE_NAME && this.#signatures !== null) {
      this.#signature = value;
    } else {
      this.#trailers.push([folded, value]);
    }
  }
}

function malformedTrailer(): S3Error {
  return new S3Error('MalformedTrailerError');
}
