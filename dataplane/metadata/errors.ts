/** The error of the metadata room: one class, a stable code. */

export type MetadataErrorCode =
  | 'NoSuchBucket'
  | 'NotEmpty'
  | 'Conflict'
  | 'PreconditionFailed'
  | 'SourceChanged'
  | 'NoSuchUpload'
  | 'UploadChanged'
  /** The key version that the commit seals under is retired: seal again under the bucket's current one. */
  | 'KeyRetired'
  /** The writer's queue is full: 503 SlowDown. */
  | 'Busy'
  /** The free-space reserve is reached: 503, DELETE still works. */
  | 'NoSpace'
  /** A MAC did not verify, or a row is missing where it must be. */
  | 'Integrity'
  /** The engine failed; nothing of the operation is in force. */
  | 'Unavailable';

export class MetadataError extends Error {
  readonly code: MetadataErrorCode;
  constructor(code: MetadataErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
    this.code = code;
  }
}
