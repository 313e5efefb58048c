/** values.schema.json: the values as JSON Schema (draft 7, which every Helm 3 and 4 knows), without what Helm cannot read. */
import { z } from 'zod';
import { chartValues } from './values.ts';

const schemaNode = z.record(z.string(), z.unknown());
export type SchemaNode = z.output<typeof schemaNode>;

/** Formats that Helm's validator knows; an unknown one would only be noise. */
const FORMATS = new Set(['uri']);

/** Rules of fleetSpec that a schema can tell, but zod does not by itself. */
function adapted(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(adapted);
  const parsed = schemaNode.safeParse(node);
  if (!parsed.success) return node;
  const kept = Object.entries(parsed.data).filter(
    ([key, value]) =>
      !(key === 'format' && !FORMATS.has(String(value))) &&
      // The bounds of exact numbers in JavaScript say nothing of the value.
      !((key === 'minimum' || key === 'maximum') && Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, adapted(value)]));
}

/** The schema of values.yaml. */
export function valuesSchema(): SchemaNode {
  return schemaNode.parse(adapted(z.toJSONSchema(chartValues, { target: 'draft-7', io: 'input' })));
}
