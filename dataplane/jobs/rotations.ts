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

export interface RotationsOptions {
  readonly making: KeyMaking;
  readonly metrics: Pick<KeyJobMetrics, 'rotated'>;
  readonly log: JobLog;
}

export class Rotations {
  readonly #options: RotationsOptions;
  readonly #running = new Map<Id, Promise<unknown>>();

  constructor(options: RotationsOptions) {
    this.#options = options;
  }

  isRunning(bucketUid: Id): boolean {
    return this.#running.has(bucketUid);
  }

  /** See rotateBucketKey. */
  async rotate(name: string, request: RotationRequest): Promise<KeyVersionDocument> {
    const { making } = this.#options;
    const bucket = await making.metadata.bucket(name);
    if (bucket === null) throw new RotationError('NoSuchBucket', `there is no bucket ${name}`);
    return await this.#alone(bucket, () => rotateBucketKey(making, name, request));
  }

  /** See finishRotation. */
  async finish(bucket: BucketDocument, row: KeyVersionDocument): Promise<KeyVersionDocument> {
    return await this.#alone(bucket, () => finishRotation(this.#options.making, bucket, row));
  }

  /** See giveUp. */
  async giveUp(row: KeyVersionDocument): Promise<KeyVersionDocument> {
    return await giveUp(this.#options.making, row);
  }

  async #alone(
    { name, bucketUid }: BucketDocument,
    work: () => Promise<KeyVersionDocument>,
  ): Promise<KeyVersionDocument> {
    const { log, metrics } = this.#options;
    const before = this.#running.get(bucketUid) ?? Promise.resolve();
    // Whoever waits before us has been told how their rotation ended; ours does not depend on it.
    const mine = before.then(work, work);
    this.#running.set(bucketUid, mine);
    try {
      const made = await mine;
      metrics.rotated('ok');
      const { n, kmsConnection, kmsId } = made;
      log.info({ bucket: name, n, connection: kmsConnection, kmsId }, 'bucket key rotated');
      return made;
    } catch (error) {
      metrics.rotated('failed');
      throw error;
    } finally {
      if (this.#running.get(bucketUid) === mine) this.#running.delete(bucketUid);
    }
  }
}
