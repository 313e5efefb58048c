/** Rotations of this process, one at a time for each bucket, whoever asks: a person, the schedule, a restart. */
import type { KeyMaking } from '../buckets/makeBucketKey.ts';
import {
  finishRotation,
  giveUp,
  RotationError,
  type RotationRequest,
  rotateBucketKey,
} from '../buckets/rotateBucketKey.ts';
import type { BucketDocument, Id, KeyVersionDocument } from '../metadata/metadata.ts';
import type { JobLog } from './jobLog.ts';
import type { KeyJobMetrics } from './keyJobMetrics.ts';
import { Turns } from './turns.ts';

export interface RotationsOptions {
  readonly making: KeyMaking;
  readonly metrics: Pick<KeyJobMetrics, 'rotated'>;
  readonly log: JobLog;
}

export class Rotations {
  readonly #options: RotationsOptions;
  readonly #turns = new Turns();

  constructor(options: RotationsOptions) {
    this.#options = options;
  }

  isRunning(bucketUid: Id): boolean {
    return this.#turns.has(bucketUid);
  }

  /** See rotateBucketKey. */
  async rotate(name: string, request: RotationRequest): Promise<KeyVersionDocument> {
    const { making } = this.#options;
    const bucket = await making.metadata.bucket(name);
    if (bucket === null) throw new RotationError('NoSuchBucket', `there is no bucket ${name}`);
    return await this.#alone(bucket, async () => {
      const before = await making.metadata.bucket(name);
      const made = await rotateBucketKey(making, name, request);
      // A repeated request is answered with what it made before.
      if (made.n > (before?.keyVersion ?? 0)) this.#rotated(bucket, made);
      return made;
    });
  }

  /** See finishRotation. */
  async finish(bucket: BucketDocument, row: KeyVersionDocument): Promise<KeyVersionDocument> {
    return await this.#alone(bucket, async () => {
      const made = await finishRotation(this.#options.making, bucket, row);
      this.#rotated(bucket, made);
      return made;
    });
  }

  /** See giveUp. */
  async giveUp(row: KeyVersionDocument): Promise<KeyVersionDocument> {
    return await giveUp(this.#options.making, row);
  }

  #rotated({ name }: BucketDocument, { n, kmsConnection: connection, kmsId }: KeyVersionDocument): void {
    const { log, metrics } = this.#options;
    metrics.rotated('ok');
    log.info({ bucket: name, n, connection, kmsId }, 'bucket key rotated');
  }

  async #alone(
    { bucketUid }: BucketDocument,
    work: () => Promise<KeyVersionDocument>,
  ): Promise<KeyVersionDocument> {
    try {
      return await this.#turns.take(bucketUid, work);
    } catch (error) {
      this.#options.metrics.rotated('failed');
      throw error;
    }
  }
}
