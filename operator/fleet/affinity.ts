/**
 * Affinity of a pod (core/v1), as a zod schema: what a pod is refused for.
 *
 * Fields that are not known here pass: the API server knows those of its version, and refuses others when the StatefulSet
 * is written.
 */
import { z } from 'zod';
import { dnsLabel, labelSelector, qualifiedName, VALUES_DO_NOT_FIT, valuesFit } from './podFields.ts';

const weight = z.int().min(1).max(100);

const nodeSelectorTerm = z.looseObject({
  matchExpressions: z
    .array(
      z
        .looseObject({
          key: qualifiedName,
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']),
          values: z.array(z.string()).optional(),
        })
        .refine(valuesFit, VALUES_DO_NOT_FIT),
    )
    .optional(),
  matchFields: z
    .array(
      z.looseObject({
        key: z.literal('metadata.name'),
        operator: z.enum(['In', 'NotIn']),
        values: z.array(z.string()).length(1),
      }),
    )
    .optional(),
});

const podAffinityTerm = z.looseObject({
  labelSelector: labelSelector.optional(),
  namespaces: z.array(dnsLabel).optional(),
  namespaceSelector: labelSelector.optional(),
  topologyKey: qualifiedName,
});

const podAffinity = z.looseObject({
  requiredDuringSchedulingIgnoredDuringExecution: z.array(podAffinityTerm).optional(),
  preferredDuringSchedulingIgnoredDuringExecution: z
    .array(z.looseObject({ weight, podAffinityTerm }))
    .optional(),
});

export const affinity = z.strictObject({
  nodeAffinity: z
    .looseObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .looseObject({ nodeSelectorTerms: z.array(nodeSelectorTerm).min(1) })
        .optional(),
      preferredDuringSchedulingIgnoredDuringExecution: z
        .array(z.looseObject({ weight, preference: nodeSelectorTerm }))
        .optional(),
    })
    .optional(),
  podAffinity: podAffinity.optional(),
  podAntiAffinity: podAffinity.optional(),
});
