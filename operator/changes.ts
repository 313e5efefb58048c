/** Which changes of cached objects are worth a reconcile. A change that is the operator's own doing is not. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { CacheEvent } from './kube/cache.ts';
import { FINALIZER } from './kube/kinds.ts';
import type { KubeObject } from './kube/resource.ts';
import type { ChangeFilter } from './runtime/controller.ts';

const conditions = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })) })
    .partial()
    .optional(),
});

function conditionOf(object: KubeObject, type: string): string | undefined {
  const found = conditions.safeParse(object).data?.status?.conditions?.find((one) => one.type === type);
  return found === undefined ? undefined : `${found.status} ${found.reason}`;
}

/** What people and other controllers change of a resource: all but its status. */
function isRedeclared({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return (
    a.generation !== b.generation ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !isDeepStrictEqual(a.annotations ?? {}, b.annotations ?? {}) ||
    // Our own coming is the reconcile's doing, and others' are no concern of ours.
    ((a.finalizers ?? []).includes(FINALIZER) && !(b.finalizers ?? []).includes(FINALIZER))
  );
}

function updated(of: (old: KubeObject, object: KubeObject) => boolean): ChangeFilter {
  return (event: CacheEvent) => event.type !== 'updated' || of(event.old, event.object);
}

/** Of a resource itself. A status that somebody emptied is written anew. */
export const ofResource = updated((old, object) => {
  const ready = conditionOf(object, 'Ready');
  const emptied = [undefined, 'Unknown Pending'].includes(ready) && ready !== conditionOf(old, 'Ready');
  return isRedeclared(old, object) || emptied;
});

/** Of a KMSConnection, for the buckets that refer to it: what it permits, and whether the pods have it. */
export const ofConnection = updated((old, object) => {
  const synced = conditionOf(object, 'FleetSynced');
  // That pods do not have it any more changes nothing for a bucket: a restart must not lead to two looks at each.
  const arrived = synced?.startsWith('True ') === true && synced !== conditionOf(old, 'FleetSynced');
  return (
    old.metadata.generation !== object.metadata.generation ||
    old.metadata.deletionTimestamp !== object.metadata.deletionTimestamp ||
    arrived
  );
});

/**
 * Of an access Secret: that somebody changed or deleted it. One that comes was made by the reconcile that goes on, or is
 * there when this one begins; of one that another put in its place the end of the former is told.
 */
export const ofAccessSecret: ChangeFilter = ({ type }) => type !== 'added';

/** Of a Namespace: what selectors look at. */
export const ofNamespace = updated(
  (old, object) => !isDeepStrictEqual(old.metadata.labels ?? {}, object.metadata.labels ?? {}),
);

const place = z.object({
  status: z
    .object({
      podIP: z.string(),
      containerStatuses: z.array(
        z.object({ state: z.record(z.string(), z.unknown()), restartCount: z.int() }).partial(),
      ),
    })
    .partial()
    .optional(),
});

/** Of a pod: that it came, went, moved, or that a container of it started or ended. */
export const ofPod = updated((old, object) => {
  const [before, after] = [place.safeParse(old).data, place.safeParse(object).data];
  return (
    old.metadata.deletionTimestamp !== object.metadata.deletionTimestamp || !isDeepStrictEqual(before, after)
  );
});
