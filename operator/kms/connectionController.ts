/** The controller of KMSConnections: which changes lead to which connections, and what probes them. */
import { systemClock } from '../../dataplane/keys/clock.ts';
import { ofPod, ofResource } from '../changes.ts';
import type { ObservedCache } from '../kube/cache.ts';
import { keyOf } from '../kube/paths.ts';
import { Controller, type ControllerOptions } from '../runtime/controller.ts';
import { type KmsConnectionDeps, KmsConnectionReconciler } from './kmsConnectionReconciler.ts';
import { probeConnection } from './probe.ts';
import type { ProbeMetrics } from './probeMetrics.ts';
import { Prober } from './prober.ts';
import { connectionsReferringTo } from './references.ts';

export interface ConnectionControllerDeps extends Omit<KmsConnectionDeps, 'prober'> {
  /** With CONNECTION_INDEXES. */
  readonly connections: ObservedCache;
  readonly secrets: ObservedCache;
  readonly configMaps: ObservedCache;
  /** Pods of the fleet. */
  readonly pods: ObservedCache;
  readonly probeMetrics: ProbeMetrics;
}

/** For one term of leading. */
export function connectionController(
  deps: ConnectionControllerDeps,
  parts: Omit<ControllerOptions, 'reconciler' | 'caches'>,
): Controller {
  const { connections, secrets, configMaps, pods, clock, random, probeMetrics } = deps;
  const prober = new Prober({
    clock,
    random,
    enqueue: (key) => controller.enqueue(key),
    onError: (error) => parts.log.error({ err: error }, 'a probe of a KMS failed'),
    keepOnly: (connection, endpoints) => probeMetrics.keepOnly(connection, endpoints),
    probe: async (settings) =>
      await probeConnection(settings, {
        clock: systemClock,
        wallNow: () => clock.wallMs(),
        observe: (endpoint, verdict, durationMs) =>
          probeMetrics.probed(settings.name, endpoint, verdict, durationMs),
      }),
  });
  const controller = new Controller({
    ...parts,
    reconciler: new KmsConnectionReconciler({ ...deps, prober }),
    caches: [connections, secrets, configMaps, pods],
  });
  controller.watch(connections, undefined, ofResource);
  controller.watch(secrets, (object) => connectionsReferringTo(connections, 'secret', object));
  controller.watch(configMaps, (object) => connectionsReferringTo(connections, 'configMap', object));
  // A pod that comes, goes or starts anew changes how far every connection has come.
  controller.watch(pods, () => connections.list().map(keyOf), ofPod);
  return controller;
}
