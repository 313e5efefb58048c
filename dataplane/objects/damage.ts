import { FormatError, type FormatErrorCode } from '../crypto/errors.ts';
import { type Id, MetadataError } from '../metadata/metadata.ts';

/** What does not verify, as the metric tells it, and where it lies. */
export interface DamagedPlace {
  readonly subject: 'blob' | 'record' | 'parts' | 'upload';
  readonly versionId?: Id;
  readonly uploadId?: Id;
  readonly blobId?: Id;
}

/** A FormatError that says of what. */
export class DamageError extends FormatError {
  readonly place: DamagedPlace;
  constructor(code: FormatErrorCode, message: string, place: DamagedPlace, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'DamageError';
    this.place = place;
  }
}

/** The error with its place if it is a FormatError, else as it was. What is known of the place already stays. */
export function damageAt(place: DamagedPlace, error: unknown): unknown {
  if (error instanceof DamageError) {
    return new DamageError(error.code, error.message, { ...place, ...error.place }, { cause: error.cause });
  }
  return error instanceof FormatError
    ? new DamageError(error.code, error.message, place, { cause: error })
    : error;
}

/** Runs what verifies stored bytes: a FormatError of it comes with its place. */
export async function verifying<T>(place: DamagedPlace, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw damageAt(place, error);
  }
}

/** Runs a read of rows that are no control rows: what is wrong with them is damage at this place. */
export async function readingRows<T>(place: DamagedPlace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'Integrity') {
      throw new DamageError('Integrity', error.message, place, { cause: error });
    }
    throw error;
  }
}
