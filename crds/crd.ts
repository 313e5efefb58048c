/** CustomResourceDefinitions, made of what each kind says of itself. */
import type { z } from 'zod';
import { GROUP, VERSION } from './resource.ts';
import { type StructuralSchema, structural } from './structural.ts';
import type { Rule } from './validation.ts';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  /** 1: only with `-o wide`. */
  readonly priority?: 1;
}

/** A kind of resource. */
export interface CustomResource {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  /** Rules over the whole object; of its metadata they see only the name. */
  readonly rules: readonly Rule[];
  readonly printerColumns: readonly PrinterColumn[];
  /** Fields by which objects can be selected. */
  readonly selectableFields: readonly string[];
}

/** The schema of a whole object. */
export function resourceSchema(resource: CustomResource): StructuralSchema {
  return {
    type: 'object',
    description: resource.description,
    required: ['spec'],
    'x-kubernetes-validations': [...resource.rules],
    properties: { spec: structural(resource.spec), status: structural(resource.status) },
  };
}

/** The CustomResourceDefinition, ready to be written as YAML. */
export function customResourceDefinition(resource: CustomResource): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        singular: resource.kind.toLowerCase(),
        shortNames: [resource.shortName],
        categories: ['sealgate'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          selectableFields: resource.selectableFields.map((jsonPath) => ({ jsonPath })),
          additionalPrinterColumns: resource.printerColumns,
          schema: { openAPIV3Schema: resourceSchema(resource) },
        },
      ],
    },
  };
}
