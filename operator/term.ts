/**
 * One term of leading: the controllers of fleet, connections and buckets, and what they share.
 *
 * Owns what belongs together for as long as this process leads. What is done about an object is the reconcilers'.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { isOutage } from './admin/adminApi.ts';
import { AdminClient } from './admin/adminClient.ts';
import { FleetPods } from './admin/fleetPods.ts';
import { bucketController } from './bucket/bucketController.ts';
import type { OperatorCaches } from './caches.ts';
import { ofPod } from './changes.ts';
import { LedFleet } from './epoch.ts';
import { FleetReconciler } from './fleet/fleetController.ts';
import type { FleetFacts } from './fleet/fleetFacts.ts';
import { fleetNames } from './fleet/names.ts';
import type { PodStatus } from './fleet/podRefresh.ts';
import { connectionController } from './kms/connectionController.ts';
import { keyOf } from './kube/paths.ts';
import type { KubeObject, ObjectKey } from './kube/resource.ts';
import type { OperatorContext } from './operator.ts';
import { Controller } from './runtime/controller.ts';
import type { WorkMetrics } from './workMetrics.ts';

/** Connections wait for pods most of the time, buckets for the KMS. */
const CONNECTION_WORKERS = 4;
const BUCKET_WORKERS = 8;

/** Another leader has taken over although the lease was not lost yet: this process must touch nothing more. */
class DeposedError extends Error {
  constructor() {
    super('the data plane has seen the epoch of a later leader');
    this.name = 'DeposedError';
  }
}

/** Works until the signal aborts. Rejects with DeposedError. */
export async function lead(
  context: OperatorContext,
  caches: OperatorCaches,
  metrics: WorkMetrics,
  signal: AbortSignal,
): Promise<void> {
  const { options, log } = context;
  const deposed = new AbortController();
  const ending = AbortSignal.any([signal, deposed.signal]);
  const shared = shareFleet(context, caches, metrics, () => deposed.abort());
  const { pods, led } = shared;
  try {
    // The fleet comes first: without pods nobody gives an epoch.
    const fleet = fleetController(context, caches, metrics, shared).run(ending);
    const resources = led.take(ending).then(async (epoch) => {
      if (epoch === null) return;
      log.info({ epoch, identity: options.identity }, 'leading');
      await Promise.all(resourceControllers(context, caches, metrics, shared).map((one) => one.run(ending)));
    });
    await allOrNone([fleet, resources], () => deposed.abort());
  } finally {
    pods.close();
  }
  if (deposed.signal.aborted) throw new DeposedError();
}

/** Resolves when all have ended; the first that rejects ends the others, and is what is rejected with. */
async function allOrNone(works: readonly Promise<void>[], end: () => void): Promise<void> {
  try {
    await Promise.all(works);
  } catch (error) {
    end();
    await Promise.allSettled(works);
    throw error;
  }
}

interface SharedFleet {
  readonly pods: FleetPods;
  readonly led: LedFleet;
  readonly facts: () => FleetFacts | null;
  readonly learn: (facts: FleetFacts) => void;
  /** Told when S3 is somewhere else than before, or has other certificates. */
  readonly onMove: (told: () => void) => void;
}

function shareFleet(
  context: OperatorContext,
  caches: OperatorCaches,
  metrics: WorkMetrics,
  deposed: () => void,
): SharedFleet {
  const { options, clock, random, log } = context;
  let facts: FleetFacts | null = null;
  const movers: (() => void)[] = [];
  const pods = new FleetPods({
    pods: caches.pods,
    namespace: options.namespace,
    fleetName: options.name,
    caBundle: () => facts?.admin.ca ?? null,
    connect: (target) =>
      new AdminClient(target, {
        token: () => facts?.admin.token ?? '',
        epoch: () => led.epoch,
        deposed,
        observe: (request) => metrics.adminRequest(request),
      }),
    onCloseError: (error) => log.warn({ err: error }, 'a client of the admin port did not close'),
  });
  const led: LedFleet = new LedFleet({ fleet: pods, holder: options.identity, clock, random, log });
  return {
    pods,
    led,
    facts: () => facts,
    learn: (next) => {
      const moved = !isDeepStrictEqual(facts?.endpoint ?? null, next.endpoint);
      facts = next;
      if (moved) for (const told of movers) told();
    },
    onMove: (told) => movers.push(told),
  };
}

function fleetController(
  context: OperatorContext,
  caches: OperatorCaches,
  metrics: WorkMetrics,
  { pods, learn }: SharedFleet,
): Controller {
  const { options, client, events, clock, log } = context;
  const { namespace, name } = options;
  const podStatus: PodStatus = async (pod, asking) => {
    const found = pods.everyPod().find(({ key }) => key.name === pod.metadata.name);
    if (found === undefined || found.admin === null) return null;
    try {
      return await found.admin.status(asking);
    } catch (error) {
      if (isOutage(error)) return null;
      throw error;
    }
  };
  const reconciler = new FleetReconciler({
    api: client,
    events,
    log,
    now: () => clock.wallMs(),
    random: randomBytes,
    podStatus,
    facts: learn,
    report: (state) => metrics.fleet(state),
    fleet: { name, namespace },
  });
  const made = new Controller({
    reconciler,
    caches: [caches.secrets, caches.configMaps, caches.pods],
    workers: 1,
    clock,
    random: context.random,
    log,
    metrics: context.queueMetrics,
  });
  const names = fleetNames(name);
  const own = new Set<string>([
    names.installationSecret,
    names.rootSecret,
    names.caSecret,
    names.configSecret,
    names.fleetConfigMap,
    names.alertsConfigMap,
  ]);
  const ofFleet = ({ metadata }: KubeObject): ObjectKey[] =>
    metadata.namespace === namespace && own.has(metadata.name) ? [reconciler.key] : [];
  made.watch(caches.secrets, ofFleet);
  made.watch(caches.configMaps, ofFleet);
  made.watch(caches.pods, () => [reconciler.key], ofPod);
  made.enqueue(reconciler.key);
  return made;
}

function resourceControllers(
  context: OperatorContext,
  caches: OperatorCaches,
  metrics: WorkMetrics,
  { led, facts, onMove }: SharedFleet,
): readonly Controller[] {
  const { options, client: kube, events, clock, random, log, queueMetrics } = context;
  const { namespace, name: fleetName } = options;
  const common = { kube, events, clock, random, namespace, fleetName, fleet: led, ...caches };
  const parts = { clock, random, log, metrics: queueMetrics };
  const connections = connectionController(
    { ...common, probeMetrics: metrics.probes },
    { ...parts, workers: CONNECTION_WORKERS },
  );
  const buckets = bucketController(
    { ...common, randomBytes, endpoint: () => facts()?.endpoint ?? null },
    { ...parts, workers: BUCKET_WORKERS },
  );
  onMove(() => {
    for (const bucket of caches.buckets.list()) buckets.enqueue(keyOf(bucket));
  });
  return [connections, buckets];
}
