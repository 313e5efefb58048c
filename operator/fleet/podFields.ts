/**
 * Fields that the fleet takes over into a pod or a Service as Kubernetes defines them (core/v1), as zod schemas.
 *
 * Must not offer a field that is not passed on. What is deeper than these schemas look is judged by the API server.
 */
import { z } from 'zod';

const QUANTITY = /^(\d{1,12}(\.\d{1,9})?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

/** An amount such as 500m, 2 or 4Gi (apimachinery, resource.Quantity). */
export const quantity = z
  .union([z.number().min(0), z.string().regex(QUANTITY, 'must be an amount such as 500m, 2 or 4Gi')])
  .transform(String);

const amounts = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });

/** requests and limits of a container. */
export const resources = z.strictObject({
  requests: amounts.prefault({}),
  limits: amounts.prefault({}),
});

/** DNS-1123 label. */
export const dnsLabel = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and "-", at most 63');

/** Name of most objects: DNS-1123 subdomain. */
export const objectName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a Kubernetes object');

const qualifiedName = z
  .string()
  .max(317)
  .regex(
    /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'must be the name of a label or annotation, such as example.com/team',
  );

export const labelMap = z.record(
  qualifiedName,
  z
    .string()
    .max(63)
    .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'must be the value of a label'),
);

export const annotationMap = z.record(qualifiedName, z.string());

export const tolerations = z.array(
  z.strictObject({
    key: z.string().optional(),
    operator: z.enum(['Exists', 'Equal']).optional(),
    value: z.string().optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
    tolerationSeconds: z.int().optional(),
  }),
);

const openObject = z.record(z.string(), z.unknown());

export const affinity = z.strictObject({
  nodeAffinity: openObject.optional(),
  podAffinity: openObject.optional(),
  podAntiAffinity: openObject.optional(),
});

const labelSelector = z.strictObject({
  matchLabels: labelMap.optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: qualifiedName,
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

/** An address range such as 10.20.0.0/16 or fd00::/8. */
export const cidr = z.union([z.cidrv4(), z.cidrv6()], 'must be an address range such as 10.20.0.0/16');

/** NetworkPolicyPeer (networking.k8s.io/v1). */
export const networkPeer = z
  .strictObject({
    podSelector: labelSelector.optional(),
    namespaceSelector: labelSelector.optional(),
    ipBlock: z.strictObject({ cidr, except: z.array(cidr).optional() }).optional(),
  })
  .refine(
    ({ podSelector, namespaceSelector, ipBlock }) =>
      (ipBlock !== undefined) !== (podSelector !== undefined || namespaceSelector !== undefined),
    { error: 'must have either ipBlock, or podSelector and/or namespaceSelector' },
  );

export const port = z.int().min(1).max(65_535);
