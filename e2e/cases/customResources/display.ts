/** What the API server tells kubectl about a kind: its columns, and its documentation. */
import { z } from 'zod';
import type { StructuralSchema } from '../../../crds/structural.ts';
import { isObject, type Json } from './samples.ts';

const table = z.object({
  columnDefinitions: z.array(z.object({ name: z.string(), priority: z.int() })),
  rows: z.array(z.object({ cells: z.array(z.unknown()) })),
});

/** The list that `kubectl get` prints. */
export interface Listing {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /** Names of those that only `-o wide` prints. */
  readonly wide: readonly string[];
  /** Cells by column. */
  readonly rows: readonly Json[];
}

export function tableOf(body: unknown): Listing {
  const { columnDefinitions, rows } = table.parse(body);
  const names = (wide: boolean) =>
    columnDefinitions.filter(({ priority }) => priority > 0 === wide).map(({ name }) => name);
  return {
    columns: names(false),
    wide: names(true),
    rows: rows.map(({ cells }) =>
      Object.fromEntries(cells.map((cell, at) => [columnDefinitions[at]?.name ?? `column ${at}`, cell])),
    ),
  };
}

interface DescribedField {
  readonly path: string;
  readonly description: string | undefined;
}

/** Every field of a schema with its description. */
export function fieldsOf(schema: StructuralSchema, path = ''): DescribedField[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    { path: `${path}.${name}`, description: field.description },
    ...fieldsOf(field.items ?? field, `${path}.${name}`),
  ]);
}

/** The same from the OpenAPI document that the API server publishes. */
export function publishedFields(document: unknown, kind: string): DescribedField[] {
  const { components } = z
    .object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
    .parse(document);
  return published(components.schemas[`io.sealgate.v1alpha1.${kind}`], '');
}

function published(schema: unknown, path: string): DescribedField[] {
  if (!isObject(schema)) return [];
  const { properties } = schema;
  return Object.entries(isObject(properties) ? properties : {}).flatMap(([name, field]) => {
    if (!isObject(field)) return [];
    const description = typeof field['description'] === 'string' ? field['description'] : undefined;
    return [
      { path: `${path}.${name}`, description },
      ...published(field['items'] ?? field, `${path}.${name}`),
    ];
  });
}
