/**
 * Writes statuses, and only those that differ from what the API server is known to hold.
 *
 * A cache may show less than what was just written. So the last answer counts until the cache has caught up with it;
 * otherwise a write would be repeated, or one that is needed left out.
 */
import { isDeepStrictEqual } from 'node:util';
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { KubeObject, ResourceType } from '../kube/resource.ts';

/** Answers that no cache caught up with are few; this is only a bound. */
const REMEMBERED = 10_000;

export class StatusWriter {
  readonly #api: Pick<KubeApi, 'apply'>;
  /** By uid. */
  readonly #answers = new Map<string, KubeObject>();

  constructor(api: Pick<KubeApi, 'apply'>) {
    this.#api = api;
  }

  /** The newer of what the cache shows and what was last answered: build the next status on this one's. */
  newest(cached: KubeObject): KubeObject {
    const { uid } = cached.metadata;
    const answer = uid === undefined ? undefined : this.#answers.get(uid);
    if (uid === undefined || answer === undefined) return cached;
    if (isNewer(answer, cached)) return answer;
    this.#answers.delete(uid);
    return cached;
  }

  /**
   * Applies the status unless it is there already. True: it was written. False also when the object is gone. Rejects
   * with KubeError; Conflict when the object is another version by now than was read, or another of the same name:
   * what was found out may not be true of it. Pass the answer of a write to the object, where there was one.
   */
  async write(
    type: ResourceType,
    cached: KubeObject,
    status: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const wanted: unknown = JSON.parse(JSON.stringify(status));
    const newest = this.newest(cached);
    if (isDeepStrictEqual(newest['status'] ?? {}, wanted)) return false;
    const { name, namespace, resourceVersion } = newest.metadata;
    const metadata = {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      // The uid would not do: under /status the API server does not compare it.
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const object = { apiVersion: cached.apiVersion, kind: cached.kind, metadata, status: wanted };
    try {
      this.#remember(await this.#api.apply(type, object, { subresource: 'status', signal }));
    } catch (error) {
      if (error instanceof KubeError && error.code === 'NotFound') return false;
      throw error;
    }
    return true;
  }

  /** After its deletion. */
  forget(uid: string): void {
    this.#answers.delete(uid);
  }

  #remember(answer: KubeObject): void {
    const { uid } = answer.metadata;
    if (uid === undefined) return;
    this.#answers.delete(uid);
    this.#answers.set(uid, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > REMEMBERED && oldest !== undefined) this.#answers.delete(oldest);
  }
}

/** resourceVersions of one kind are decimal numbers in order (KEP-5504); anything else counts as not newer. */
function isNewer(a: KubeObject, b: KubeObject): boolean {
  const [left = '', right = ''] = [a.metadata.resourceVersion, b.metadata.resourceVersion];
  return /^\d+$/.test(left) && /^\d+$/.test(right) && BigInt(left) > BigInt(right);
}
