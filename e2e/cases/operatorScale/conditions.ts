/** What a resource says of itself. */
import { z } from 'zod';
import type { KubeObject } from '../../../operator/kube/resource.ts';

const view = z.object({
  status: z
    .object({
      buckets: z.int().optional(),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), observedGeneration: z.int().optional() }))
        .default([]),
    })
    .optional(),
});

/** Status and the generation that it was found for, such as `True 2`; empty: it is not there. */
export function readCondition(object: KubeObject, type: string): string {
  const found = view.parse(object).status?.conditions.find((one) => one.type === type);
  return found === undefined ? '' : `${found.status} ${found.observedGeneration}`;
}

/** How many buckets a KMSConnection says that it has. */
export function readBuckets(object: KubeObject): number {
  return view.parse(object).status?.buckets ?? 0;
}
