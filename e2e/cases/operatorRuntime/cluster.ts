/** What the operator's runtime is made of, on a real API server. */
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { systemClock, wait } from '../../../operator/clock.ts';
import { createApiAccess } from '../../../operator/kube/access.ts';
import { createApiMetrics } from '../../../operator/kube/apiMetrics.ts';
import { ObjectCache } from '../../../operator/kube/cache.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { KubeError } from '../../../operator/kube/kubeApi.ts';
import { Reflector } from '../../../operator/kube/reflector.ts';
import type { KubeObject, ResourceType } from '../../../operator/kube/resource.ts';
import { Transport } from '../../../operator/kube/transport.ts';

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export const log = pino({ level: 'silent' });

export function configMap(namespace: string, name: string, data: Record<string, string>): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data };
}

export class Runtime {
  readonly registry = new Registry();
  readonly metrics = createApiMetrics(this.registry);
  readonly client: KubeClient;
  readonly #access;
  readonly #end = new AbortController();
  readonly #running: Promise<void>[] = [];

  constructor(kubeconfig: string) {
    this.#access = createApiAccess({ kubeconfig, clock: systemClock, log });
    this.client = new KubeClient(
      new Transport({ access: this.#access, clock: systemClock, random: Math.random, metrics: this.metrics }),
    );
  }

  /** A cache, of ConfigMaps unless told otherwise, that is kept up to now. */
  async cache(options: {
    readonly type?: ResourceType;
    readonly namespaces?: readonly string[];
    readonly metadataOnly?: boolean;
  }): Promise<ObjectCache> {
    const { type = CONFIG_MAPS, namespaces, metadataOnly = false } = options;
    const cache = new ObjectCache({ type, namespaces });
    const reflector = new Reflector({
      api: this.client,
      cache,
      namespaces,
      metadataOnly,
      clock: systemClock,
      random: Math.random,
      log,
      metrics: this.metrics,
    });
    this.#running.push(reflector.run(this.#end.signal));
    await cache.whenSynced(this.#end.signal);
    return cache;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
    await this.#access.close();
  }
}

/** Resolves as soon as the cache is so. */
export function until(cache: ObjectCache, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    let end: () => void = () => undefined;
    const check = (): void => {
      if (!isSo()) return;
      end();
      resolve();
    };
    end = cache.subscribe(() => queueMicrotask(check));
    queueMicrotask(check);
  });
}

/**
 * Repeats a write until the API server, which may be away, has taken it or says that it was taken before. Rejects with
 * the last KubeError after a minute and a half.
 */
export async function written(write: () => Promise<unknown>): Promise<void> {
  const untilMs = systemClock.steadyMs() + 90_000;
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.code === 'AlreadyExists' || error.code === 'NotFound') return;
      const passes = ['Unavailable', 'TooManyRequests', 'Forbidden'].includes(error.code);
      if (!passes || systemClock.steadyMs() > untilMs) throw error;
      await wait(systemClock, 100, new AbortController().signal);
    }
  }
}
