export interface DecodedEnd {
  /** Lower-case names in the order sent, the trailer signature not among them. */
  readonly trailers: readonly (readonly [string, string])[];
}

export interface BodyDecoder {
  /**
   * Takes the next bytes of the wire and returns what of them is plaintext, as slices without a copy.
   * They are proven only once a later `push` or `end` has not thrown: nothing may become visible before `end`.
   * @throws S3Error; the decoder is of no use afterwards.
   */
  push(chunk: Buffer): Buffer[];
  /**
   * The wire has ended.
   * @throws S3Error IncompleteBody, XAmzContentSHA256Mismatch, SignatureDoesNotMatch, MalformedTrailerError.
   */
  end(): DecodedEnd;
}
