import type { KeyObject } from 'node:crypto';
import { listKey } from '../crypto/listEtag.ts';

/** List keys, derived once for each bucket key that is in memory, and forgotten with it. */
export class ListKeys {
  readonly #derived = new WeakMap<KeyObject, KeyObject>();

  of(bucketKey: KeyObject): KeyObject {
    const known = this.#derived.get(bucketKey);
    if (known !== undefined) return known;
    const derived = listKey(bucketKey);
    this.#derived.set(bucketKey, derived);
    return derived;
  }
}
