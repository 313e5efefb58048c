/** What the work of a leading operator counts. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { AdminRequest } from './admin/adminClient.ts';
import type { FleetReason, FleetState } from './fleet/fleetState.ts';
import { createProbeMetrics, type ProbeMetrics } from './kms/probeMetrics.ts';

const FLEET_REASONS: readonly FleetReason[] = [
  'Ready',
  'Progressing',
  'FleetInvalid',
  'InstallationKeyMissing',
  'ConfigRefused',
];

export interface WorkMetrics {
  /** How the fleet is, at each visit. */
  fleet(state: FleetState): void;
  /** The last state; null: not visited in this process. */
  lastFleet(): FleetState | null;
  readonly probes: ProbeMetrics;
  /** A request to a pod's admin port. */
  adminRequest(request: AdminRequest): void;
}

/** Call it once per registry. */
export function createWorkMetrics(registry: Registry): WorkMetrics {
  const registers = [registry];
  const state = new Gauge({
    name: 'sealgate_operator_fleet_state',
    help: '1 for the state that the fleet is in, in the process that leads.',
    labelNames: ['reason'] as const,
    registers,
  });
  const adminRequests = new Counter({
    name: 'sealgate_operator_admin_requests_total',
    help: 'Requests to the admin ports of data-plane pods; code none: no answer came.',
    labelNames: ['method', 'resource', 'code'] as const,
    registers,
  });
  const probes = createProbeMetrics(registry);
  let last: FleetState | null = null;
  return {
    fleet: (now) => {
      last = now;
      for (const reason of FLEET_REASONS) state.set({ reason }, reason === now.reason ? 1 : 0);
    },
    lastFleet: () => last,
    probes,
    adminRequest: ({ method, resource, code }) => adminRequests.inc({ method, resource, code }),
  };
}
