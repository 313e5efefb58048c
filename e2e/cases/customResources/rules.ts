/** What a rule of the custom resources lets through and what it refuses. The tables name every rule of the schemas. */
import type { StructuralSchema } from '../../../crds/structural.ts';
import type { Json } from './samples.ts';

/** Merge patches on the full object; each of `refuses` breaks this rule and, but for `beside`, no other. */
export interface RuleCase {
  /** Field that the refusal blames. */
  readonly field: string;
  /** What it says, from its beginning or after the value. */
  readonly says: string;
  /** Fields that are blamed before it, when no refusal can be had without them. */
  readonly beside?: readonly string[];
  /** For a rule on changes: what the object was before. */
  readonly before?: Json;
  readonly passes: readonly Json[];
  readonly refuses: readonly Json[];
}

/** A rule's place and message. */
export interface NamedRule {
  readonly field: string;
  readonly says: string;
}

/** The API server's name for a refusal of a whole object. */
export const WHOLE_OBJECT = '<nil>';

/** All rules of a schema, list positions left out. */
export function rulesOf(schema: StructuralSchema, path = ''): NamedRule[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message, fieldPath = '' }) => ({
    field: `${path}${fieldPath}`.replace(/^\./, '') || WHOLE_OBJECT,
    says: message,
  }));
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    rulesOf(child, `${path}.${name}`),
  );
  return [...own, ...inner, ...(schema.items === undefined ? [] : rulesOf(schema.items, `${path}[]`))];
}
