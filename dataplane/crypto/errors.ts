/** Why bytes of the stored format were refused. */
export type FormatErrorCode =
  /** Stored bytes do not verify: altered, exchanged, cut, or sealed under another key. Never a client's fault. */
  | 'Integrity'
  /** The bytes are not an encoding of this format, or the values given cannot be written in it. */
  | 'Malformed';

/** The one error of crypto/. Messages name the structure and never contain keys or content. */
export class FormatError extends Error {
  readonly code: FormatErrorCode;
  constructor(code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FormatError';
    this.code = code;
  }
}

/**
 * Encodes fields that were read from storage. What the format cannot even write was not written by us, so there
 * 'Malformed' means tampering: it becomes 'Integrity'.
 */
export function encodeStored(what: string, encode: () => Buffer): Buffer {
  try {
    return encode();
  } catch (error) {
    if (error instanceof FormatError) {
      throw new FormatError('Integrity', `${what}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
