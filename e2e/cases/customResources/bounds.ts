/** What the schema itself refuses: for each bound of each field, the full object with that one field beyond it. */
import type { StructuralSchema } from '../../../crds/structural.ts';
import { isObject, type Json } from './samples.ts';

/** An object that is valid but for one field. */
export interface Overstepped {
  /** As the API server names it. */
  readonly field: string;
  readonly bound: string;
  readonly object: Json;
  /** How the API server's word on it begins. */
  readonly says: RegExp;
}

type Steps = readonly (string | number)[];

/** One object per bound of each field that the sample has; `sample` must have every field. */
export function overstepped(schema: StructuralSchema, sample: Json): Overstepped[] {
  return walk(schema, sample, [], sample);
}

function fieldName(steps: Steps): string {
  return steps
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1);
}

function walk(schema: StructuralSchema, value: unknown, steps: Steps, sample: Json): Overstepped[] {
  const beyond = (bound: string, to: unknown, says: RegExp, at: Steps = steps): Overstepped => ({
    field: fieldName(at),
    bound,
    object: changed(sample, at, to),
    says,
  });
  const found: Overstepped[] = [];
  if (schema.enum !== undefined) found.push(beyond('enum', 'Nonsense', /^Unsupported value/));
  if (schema.minimum !== undefined) {
    found.push(beyond('minimum', schema.minimum - 1, /should be greater than or equal to/));
  }
  if (schema.maximum !== undefined) {
    found.push(beyond('maximum', schema.maximum + 1, /should be less than or equal to/));
  }
  if (schema.minLength !== undefined) {
    found.push(beyond('minLength', 'a'.repeat(schema.minLength - 1), /should be at least/));
  }
  if (schema.maxLength !== undefined) {
    found.push(beyond('maxLength', 'a'.repeat(schema.maxLength + 1), /^Too long/));
  }
  if (schema.minItems !== undefined) found.push(beyond('minItems', [], /should have at least/));
  if (schema.maxItems !== undefined && Array.isArray(value)) {
    const items = Array.from({ length: schema.maxItems + 1 }, (): unknown => value[0]);
    found.push(beyond('maxItems', items, /^Too many/));
  }
  if (schema.maxProperties !== undefined) {
    const many = Array.from({ length: schema.maxProperties + 1 }, (_, i) => [`label-${i}`, 'x'] as const);
    found.push(beyond('maxProperties', Object.fromEntries(many), /^Too many/));
  }
  if (schema.type === 'boolean') found.push(beyond('type', 'yes', /must be of type boolean/));
  if (isObject(value)) {
    for (const name of schema.required ?? []) {
      found.push(beyond('required', undefined, /^Required value/, [...steps, name]));
    }
    for (const [name, child] of Object.entries(schema.properties ?? {})) {
      found.push(...walk(child, value[name], [...steps, name], sample));
    }
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    found.push(...walk(schema.items, value[0], [...steps, 0], sample));
  }
  return found;
}

/** A copy with one place replaced; undefined removes it. */
function changed(object: Json, [step, ...rest]: Steps, to: unknown): Json {
  return step === undefined ? object : { ...object, [step]: replaced(object[step], rest, to) };
}

function replaced(value: unknown, steps: Steps, to: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return to;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (index === step ? replaced(item, rest, to) : item));
  }
  if (!isObject(value)) throw new Error(`the sample has no ${fieldName(steps)}`);
  return changed(value, steps, to);
}
