/**
 * The data-plane pods as the operator reaches them: which there are, and one admin client for each as long as it runs.
 *
 * Owns the clients' lives. It must not decide what is asked.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Cache } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import type { AdminApi } from './adminApi.ts';
import type { AdminTarget } from './adminClient.ts';

/** A pod of the fleet that is not being deleted. */
export interface FleetPod {
  readonly key: ObjectKey;
  readonly annotations: Readonly<Record<string, string>>;
  /** null: its container does not run yet, or the fleet's secrets are not known yet. */
  readonly admin: AdminApi | null;
}

/** What reconcilers ask about the fleet. */
export interface Fleet {
  everyPod(): readonly FleetPod[];
  /** The admin API of a pod that runs, for what all pods share; null: none runs. */
  anyPod(): AdminApi | null;
}

export interface ClosableAdminApi extends AdminApi {
  close(): Promise<void>;
}

export interface FleetPodsDeps {
  /** Pods of the operator's namespace, whole objects. */
  readonly pods: Cache;
  readonly namespace: string;
  /** NAME of the installation. */
  readonly fleetName: string;
  /** PEM of the admin API's authorities; null: the fleet has not been rendered yet. */
  readonly caBundle: () => string | null;
  readonly connect: (target: AdminTarget) => ClosableAdminApi;
  /** Told when closing a client failed. */
  readonly onCloseError: (error: unknown) => void;
}

const podView = z.object({
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        ports: z.array(z.object({ name: z.string().optional(), containerPort: z.int() })).optional(),
      }),
    ),
  }),
  status: z
    .object({
      podIP: z.string().optional(),
      containerStatuses: z
        .array(z.object({ name: z.string(), state: z.object({ running: z.unknown() }).partial().optional() }))
        .optional(),
    })
    .optional(),
});

export class FleetPods implements Fleet {
  #deps: FleetPodsDeps;
  /** By pod, with what it was made for. */
  #clients = new Map<string, { readonly target: string; readonly client: ClosableAdminApi }>();

  constructor(deps: FleetPodsDeps) {
    this.#deps = deps;
  }

  everyPod(): readonly FleetPod[] {
    const { pods, namespace, fleetName, caBundle } = this.#deps;
    const ca = caBundle();
    const found = pods
      .list(namespace)
      .filter((pod) => isOfFleet(pod, fleetName) && pod.metadata.deletionTimestamp === undefined);
    const kept = new Set<string>();
    const fleet = found.map(({ metadata, ...rest }): FleetPod => {
      const address = ca === null ? null : adminAddress(rest);
      const admin = ca === null || address === null ? null : this.#client(metadata.name, address, ca);
      if (admin !== null) kept.add(metadata.name);
      return {
        key: { namespace, name: metadata.name },
        annotations: metadata.annotations ?? {},
        admin,
      };
    });
    for (const name of this.#clients.keys()) if (!kept.has(name)) this.#drop(name);
    return fleet;
  }

  anyPod(): AdminApi | null {
    return this.everyPod().find(({ admin }) => admin !== null)?.admin ?? null;
  }

  /** Closes all clients. */
  close(): void {
    for (const name of this.#clients.keys()) this.#drop(name);
  }

  #client(name: string, address: { readonly host: string; readonly port: number }, ca: string): AdminApi {
    const target = `${address.host} ${address.port} ${createHash('sha256').update(ca).digest('hex')}`;
    const present = this.#clients.get(name);
    if (present?.target === target) return present.client;
    this.#drop(name);
    const client = this.#deps.connect({ ...address, caBundle: ca });
    this.#clients.set(name, { target, client });
    return client;
  }

  #drop(name: string): void {
    const present = this.#clients.get(name);
    this.#clients.delete(name);
    present?.client.close().catch(this.#deps.onCloseError);
  }
}

function isOfFleet({ metadata: { labels = {} } }: KubeObject, fleetName: string): boolean {
  return (
    labels['app.kubernetes.io/name'] === 'sealgate' &&
    labels['app.kubernetes.io/instance'] === fleetName &&
    labels['app.kubernetes.io/component'] === 'dataplane'
  );
}

/** Where the container with the port named admin listens, once it runs. */
function adminAddress(pod: unknown): { readonly host: string; readonly port: number } | null {
  const parsed = podView.safeParse(pod);
  if (!parsed.success) return null;
  const { spec, status } = parsed.data;
  for (const { name, ports = [] } of spec.containers) {
    const port = ports.find((port) => port.name === 'admin')?.containerPort;
    if (port === undefined) continue;
    const runs = status?.containerStatuses?.find((container) => container.name === name)?.state?.running;
    if (runs === undefined || status?.podIP === undefined) return null;
    return { host: status.podIP, port };
  }
  return null;
}
