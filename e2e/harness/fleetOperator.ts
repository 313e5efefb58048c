/** The part of the operator that makes the fleet, run by itself against a real API server with a kubeconfig's rights. */
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { Status } from '../../dataplane/admin/schema/status.ts';
import { systemClock } from '../../operator/clock.ts';
import { FleetReconciler } from '../../operator/fleet/fleetController.ts';
import type { FleetState } from '../../operator/fleet/fleetState.ts';
import { createApiAccess } from '../../operator/kube/access.ts';
import { createApiMetrics } from '../../operator/kube/apiMetrics.ts';
import { KubeClient } from '../../operator/kube/client.ts';
import { Transport } from '../../operator/kube/transport.ts';

export interface FleetOperator {
  /** One reconcile; resolves to the state that it reports. */
  visit(): Promise<FleetState>;
  /** Kind, name and field of every write since the last call. */
  takeWrites(): string[];
  readonly events: readonly string[];
  close(): Promise<void>;
}

export interface FleetOperatorOptions {
  readonly kubeconfig: string;
  readonly fleet: { readonly name: string; readonly namespace: string };
  /** What each pod says of itself. */
  readonly podStatus: () => Promise<Status | null>;
}

export function startFleetOperator({ kubeconfig, fleet, podStatus }: FleetOperatorOptions): FleetOperator {
  const log = pino({ enabled: false });
  const access = createApiAccess({ kubeconfig, clock: systemClock, log });
  const metrics = createApiMetrics(new Registry());
  const api = new KubeClient(new Transport({ access, clock: systemClock, random: Math.random, metrics }));
  const writes: string[] = [];
  const events: string[] = [];
  let state: FleetState = { reason: 'Progressing', message: 'not visited' };
  const reconciler = new FleetReconciler({
    api,
    events: { record: (_, { reason }) => events.push(reason) },
    log: {
      info: (said: { kind: string; object: string; field: string }) =>
        writes.push(`${said.kind} ${said.object} ${said.field}`),
    },
    now: Date.now,
    random: randomBytes,
    podStatus,
    facts: () => undefined,
    report: (reported) => {
      state = reported;
    },
    fleet,
  });
  return {
    visit: async () => {
      await reconciler.reconcile(reconciler.key, AbortSignal.timeout(60_000));
      return state;
    },
    takeWrites: () => writes.splice(0),
    events,
    close: () => access.close(),
  };
}
