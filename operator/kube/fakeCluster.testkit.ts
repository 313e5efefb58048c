/** A client over loopback to the fake API server, with what the tests of this folder need around it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Logger, pino } from 'pino';
import { Registry } from 'prom-client';
import { type Clock, systemClock } from '../clock.ts';
import { type ApiAccess, createApiAccess } from './access.ts';
import { type ApiMetrics, createApiMetrics } from './apiMetrics.ts';
import type { ObjectCache } from './cache.ts';
import { KubeClient } from './client.ts';
import { FakeApiServer } from './fakeApiServer.testkit.ts';
import type { KubeObject, ResourceType } from './resource.ts';
import { Transport } from './transport.ts';

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export function configMap(namespace: string, name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data };
}

export const silentLog: Logger = pino({ level: 'silent' });

/** A clock whose waits are over at once, for tries that a test only counts. */
export function hastyClock(waits: number[] = []): Clock {
  return {
    ...systemClock,
    timer: (delayMs, callback) => {
      waits.push(delayMs);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  };
}

/** A kubeconfig of that server with a token in a file, as the pods of a cluster have. */
export async function writeKubeconfig(folder: string, server: string): Promise<string> {
  const file = path.join(folder, 'kubeconfig');
  const user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile: path.join(folder, 'token') } } };
  await writeFile(
    file,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  return file;
}

export interface FakeCluster {
  readonly server: FakeApiServer;
  readonly client: KubeClient;
  readonly access: ApiAccess;
  readonly metrics: ApiMetrics;
  readonly registry: Registry;
  /** Holds `token`. */
  readonly folder: string;
  close(): Promise<void>;
}

export async function startFakeCluster(
  options: { readonly clock?: Clock; readonly requestTimeoutMs?: number } = {},
): Promise<FakeCluster> {
  const server = await FakeApiServer.start();
  const folder = await mkdtemp(path.join(tmpdir(), 'sealgate-kube-'));
  await writeFile(path.join(folder, 'token'), 'first-token\n');
  const clock = options.clock ?? systemClock;
  const kubeconfig = await writeKubeconfig(folder, server.url);
  const access = createApiAccess({ kubeconfig, clock, log: silentLog });
  const registry = new Registry();
  const metrics = createApiMetrics(registry);
  const limit = options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs };
  const client = new KubeClient(new Transport({ access, clock, random: () => 0.5, metrics, ...limit }));
  return {
    server,
    client,
    access,
    metrics,
    registry,
    folder,
    close: async () => {
      await access.close();
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Resolves as soon as the cache is so. */
export function until(cache: ObjectCache, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!isSo()) return;
      end();
      resolve();
    };
    let end: () => void = () => undefined;
    end = cache.subscribe(() => queueMicrotask(check));
    check();
  });
}
