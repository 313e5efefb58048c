/** The coordination.k8s.io/v1 Lease as the election reads and writes it. */
import { z } from 'zod';
import { microTime } from './microTime.ts';
import type { KubeObject, ResourceType } from './resource.ts';

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

const schema = z.looseObject({
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .optional(),
});

export interface LeaseRecord {
  readonly resourceVersion: string;
  /** Empty: nobody holds it. */
  readonly holder: string;
  readonly durationMs: number;
  readonly acquireTime: string | undefined;
  readonly transitions: number;
}

/** Throws ZodError. */
export function readLease(object: KubeObject): LeaseRecord {
  const spec = schema.parse(object).spec ?? {};
  return {
    resourceVersion: object.metadata.resourceVersion ?? '',
    holder: spec.holderIdentity ?? '',
    durationMs: (spec.leaseDurationSeconds ?? 0) * 1_000,
    acquireTime: spec.acquireTime ?? undefined,
    transitions: spec.leaseTransitions ?? 0,
  };
}

/** The spec with which `identity` takes or keeps a lease that stood as `found`. */
export function heldBy(
  identity: string,
  found: LeaseRecord | null,
  durationMs: number,
  wallMs: number,
): object {
  const now = microTime(wallMs);
  const keeps = found?.holder === identity;
  const changes = found === null || keeps || found.holder === '' ? 0 : 1;
  return {
    holderIdentity: identity,
    // The API takes whole seconds, at least one.
    leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1_000)),
    acquireTime: keeps ? (found.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: (found?.transitions ?? 0) + changes,
  };
}
