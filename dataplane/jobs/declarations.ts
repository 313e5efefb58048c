/** Declarations and removals of buckets in this process, one at a time for each name. */
import { type Declaration, declareBucket } from '../buckets/declareBucket.ts';
import type { KeyMaking } from '../buckets/makeBucketKey.ts';
import { type RemovalWish, removeBucket } from '../buckets/removeBucket.ts';
import type { BucketDocument } from '../metadata/metadata.ts';
import type { JobLog } from './jobLog.ts';
import type { Purges } from './purge.ts';
import { Turns } from './turns.ts';

export interface DeclarationsOptions {
  readonly making: KeyMaking;
  readonly purges: Pick<Purges, 'add'>;
  readonly log: JobLog;
}

export class Declarations {
  readonly #options: DeclarationsOptions;
  readonly #turns = new Turns();

  constructor(options: DeclarationsOptions) {
    this.#options = options;
  }

  /** See declareBucket. */
  async declare(wish: Declaration): Promise<BucketDocument> {
    return await this.#turns.take(wish.name, async () => await declareBucket(this.#options.making, wish));
  }

  /** See removeBucket; what is to be purged is begun. True when the bucket is gone. */
  async remove(wish: RemovalWish): Promise<boolean> {
    const { log, making, purges } = this.#options;
    return await this.#turns.take(wish.name, async () => {
      const left = await removeBucket(making, wish);
      if (left === null) log.info({ bucket: wish.name, owner: wish.owner }, 'a bucket was removed');
      else purges.add(left);
      return left === null;
    });
  }
}
