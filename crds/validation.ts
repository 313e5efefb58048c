/**
 * Validation rules of the custom resources: CEL expressions that the API server evaluates, each with a message for the
 * person whose object is refused. They travel through zod's metadata; zod itself does not know them.
 */

/** One entry of x-kubernetes-validations. */
export interface Rule {
  /** CEL; `self` is the value, and a rule that names `oldSelf` judges updates only. */
  readonly rule: string;
  readonly message: string;
  /** `oldSelf` is an optional that has no value while the object is made, so that the rule judges that as well. */
  readonly optionalOldSelf?: true;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
  /** The field to blame, from the place of the rule. */
  readonly fieldPath?: string;
}

/** Rules as metadata of a zod schema. */
export function rules(...list: readonly Rule[]): { readonly 'x-kubernetes-validations': readonly Rule[] } {
  return { 'x-kubernetes-validations': list };
}

/** The value never changes. Sound only for a field that is required or has a default: absence escapes it. */
export const IMMUTABLE: Rule = {
  rule: 'self == oldSelf',
  message: 'cannot be changed',
  reason: 'FieldValueForbidden',
};

/** A CEL string or list literal. */
export function literal(value: string | readonly string[]): string {
  if (typeof value !== 'string') return `[${value.map((one) => literal(one)).join(', ')}]`;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
