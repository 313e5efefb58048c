/**
 * The life of the operator's process: access to the API server, probes and metrics, and the work while it leads.
 *
 * Owns the order of start and end. What the work is, it is told.
 */
import type { Logger } from 'pino';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Clock, Random } from './clock.ts';
import { createApiAccess } from './kube/access.ts';
import { type ApiMetrics, createApiMetrics } from './kube/apiMetrics.ts';
import { KubeClient } from './kube/client.ts';
import { EventWriter } from './kube/events.ts';
import { LeaderElection } from './kube/lease.ts';
import { Transport } from './kube/transport.ts';
import type { OperatorOptions } from './options.ts';
import { createHealthServer } from './runtime/health.ts';
import { createQueueMetrics, type QueueMetrics } from './runtime/queueMetrics.ts';
import type { EventRecorder } from './runtime/reconciler.ts';

/** What controllers are made of. */
export interface OperatorContext {
  readonly options: OperatorOptions;
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly registry: Registry;
  readonly apiMetrics: ApiMetrics;
  readonly queueMetrics: QueueMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The parts of the work; each resolves soon after its signal aborts. */
export interface OperatorWork {
  /** From the start on, in every process: keeps the caches. */
  observe(signal: AbortSignal): Promise<void>;
  /** While this process leads. */
  lead(signal: AbortSignal): Promise<void>;
  /** Why the operator is not ready; empty: it is. */
  unready(): readonly string[];
}

export interface OperatorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called once; the address of the port for probes. */
  readonly listening?: (address: string) => void;
}

/**
 * Runs until the signal aborts or the lease is lost. The process's exit code: 0 when it was told to end; 1 otherwise, so
 * that it is started anew and takes nothing over from its former term.
 */
export async function runOperator(
  options: OperatorOptions,
  parts: OperatorParts,
  makeWork: (context: OperatorContext) => OperatorWork,
  signal: AbortSignal,
): Promise<number> {
  const { clock, random, log } = parts;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const apiMetrics = createApiMetrics(registry);
  const access = createApiAccess({ kubeconfig: options.kubeconfig, clock, log });
  const client = new KubeClient(new Transport({ access, clock, random, metrics: apiMetrics }));
  const events = new EventWriter({ api: client, clock, log, registry, identity: options.identity });
  const queueMetrics = createQueueMetrics(registry);
  const work = makeWork({ options, client, events, registry, apiMetrics, queueMetrics, clock, random, log });
  const health = createHealthServer({ unready: () => work.unready(), registry });
  const observing = new AbortController();
  const election = new LeaderElection({
    api: client,
    namespace: options.namespace,
    name: `${options.name}-operator`,
    identity: options.identity,
    times: options.lease,
    clock,
    random,
    log,
    onStarted: (term) => work.lead(term),
  });
  leaderGauge(registry, election);
  try {
    const address = await health.listen(options.healthListen);
    parts.listening?.(address);
    const observed = work.observe(observing.signal);
    const end = await Promise.race([election.run(signal), observed.then(() => failed('the caches ended'))]);
    observing.abort();
    await observed;
    log.info({ end }, 'ended');
    return end === 'stopped' ? 0 : 1;
  } finally {
    observing.abort();
    await events.close();
    await health.close();
    await access.close();
  }
}

function failed(what: string): never {
  throw new Error(what);
}

function leaderGauge(registry: Registry, election: LeaderElection): void {
  new Gauge({
    name: 'sealgate_operator_leader',
    help: '1 while this process leads.',
    registers: [registry],
    collect() {
      this.set(election.isLeader ? 1 : 0);
    },
  });
}
