/**
 * Fields that the fleet takes over into a pod or a Service as Kubernetes defines them (core/v1), as zod schemas.
 *
 * Must not offer a field that is not passed on. The API server does not judge a StatefulSet's pod template, only the pods
 * made of it, and by then the pod before is gone: so what a pod must obey is checked here.
 */
import { z } from 'zod';
import { quantityValue } from './quantity.ts';

const QUANTITY = /^(\d{1,12}(\.\d{1,9})?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

/** An amount such as 500m, 2 or 4Gi (apimachinery, resource.Quantity). */
export const quantity = z
  .union([z.number().min(0), z.string().regex(QUANTITY, 'must be an amount such as 500m, 2 or 4Gi')])
  .transform(String)
  .refine((text) => quantityValue(text) !== null, { error: 'must be an amount such as 500m, 2 or 4Gi' });

const amounts = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });

/** requests and limits of a container. */
export const resources = z
  .strictObject({
    requests: amounts.prefault({}),
    limits: amounts.prefault({}),
  })
  .superRefine(({ requests, limits }, context) => {
    for (const name of ['cpu', 'memory'] as const) {
      const [request, limit] = [requests[name], limits[name]];
      if (request === undefined || limit === undefined) continue;
      if ((quantityValue(request) ?? 0) <= (quantityValue(limit) ?? 0)) continue;
      const message = `${request} is more than the limit, ${limit}`;
      context.addIssue({ code: 'custom', path: ['requests', name], message });
    }
  });

/** DNS-1123 label. */
export const dnsLabel = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and "-", at most 63');

const SUBDOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

/** Name of most objects: DNS-1123 subdomain. */
export const objectName = z
  .string()
  .max(253)
  .regex(new RegExp(`^${SUBDOMAIN}$`), 'must be the name of a Kubernetes object');

const QUALIFIED_NAME = `(${SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`;
const NOT_QUALIFIED = 'must be the name of a label or annotation, such as example.com/team';

/** Name of a label, an annotation or a taint; before the slash a DNS-1123 subdomain. */
export const qualifiedName = z
  .string()
  .max(317)
  .regex(new RegExp(`^${QUALIFIED_NAME}$`), NOT_QUALIFIED)
  .refine((name) => name.indexOf('/') <= 253, { error: NOT_QUALIFIED });

const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'must be the value of a label');

export const labelMap = z.record(qualifiedName, labelValue);

export const annotationMap = z.record(qualifiedName, z.string());

/** User and group of a process: what Linux and Kubernetes take for one, but not root. */
export const userId = z.int().min(1).max(2_147_483_647);

const withOperator = (operator: string): object => ({
  properties: { operator: { const: operator } },
  required: ['operator'],
});

const toleration = z
  .strictObject({
    key: z
      .string()
      .max(317)
      .regex(new RegExp(`^(${QUALIFIED_NAME})?$`), 'must be the name of a taint')
      .optional(),
    operator: z.enum(['Exists', 'Equal']).optional(),
    value: labelValue.optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
    tolerationSeconds: z.int().optional(),
  })
  .refine(({ operator, value }) => operator !== 'Exists' || (value ?? '') === '', {
    path: ['value'],
    error: 'must be empty with the operator Exists',
  })
  .refine(({ key, operator }) => operator === 'Exists' || (key ?? '') !== '', {
    path: ['operator'],
    error: 'must be Exists where there is no key',
  })
  .refine(({ effect, tolerationSeconds }) => tolerationSeconds === undefined || effect === 'NoExecute', {
    path: ['effect'],
    error: 'must be NoExecute where tolerationSeconds is set',
  })
  // The same as JSON Schema, so that Helm refuses it before anything is changed.
  .meta({
    allOf: [
      { anyOf: [{ not: withOperator('Exists') }, { properties: { value: { maxLength: 0 } } }] },
      { anyOf: [withOperator('Exists'), { properties: { key: { minLength: 1 } }, required: ['key'] }] },
      {
        anyOf: [
          { not: { required: ['tolerationSeconds'] } },
          { properties: { effect: { const: 'NoExecute' } }, required: ['effect'] },
        ],
      },
    ],
  });

export const tolerations = z.array(toleration);

/** Whether a requirement of a selector has as many values as its operator takes. */
export function valuesFit({
  operator,
  values,
}: {
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
}): boolean {
  const count = values?.length ?? 0;
  if (operator === 'In' || operator === 'NotIn') return count > 0;
  return count === (operator === 'Gt' || operator === 'Lt' ? 1 : 0);
}

export const VALUES_DO_NOT_FIT = {
  path: ['values'],
  error: 'must hold values for In and NotIn, one for Gt and Lt, and none for Exists and DoesNotExist',
};

/** LabelSelector (meta/v1). */
export const labelSelector = z.strictObject({
  matchLabels: labelMap.optional(),
  matchExpressions: z
    .array(
      z
        .strictObject({
          key: qualifiedName,
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: z.array(labelValue).optional(),
        })
        .refine(valuesFit, VALUES_DO_NOT_FIT),
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
