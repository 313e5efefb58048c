import { S3Error } from '../s3/errors.ts';

/** Sizes of the file that a policy allows, in bytes, both ends included. */
export interface ContentLengthRange {
  readonly min: number;
  readonly max: number;
}

type Operator = 'eq' | 'starts-with';

interface FieldCondition {
  readonly operator: Operator;
  /** Lower-case form field. */
  readonly field: string;
  readonly value: string;
}

export interface PostPolicy {
  /** Unix milliseconds. */
  readonly expirationMs: number;
  readonly conditions: readonly FieldCondition[];
  /** The narrowest of all that were given; null: any size. */
  readonly contentLengthRange: ContentLengthRange | null;
}

/**
 * Parses the policy document of a POST form (base64 of JSON). Source: S3 API, "Creating a POST policy".
 * @throws S3Error InvalidPolicyDocument
 */
export function parsePostPolicy(policyBase64: string): PostPolicy {
  const document = parseJson(policyBase64);
  if (!isRecord(document)) throw invalid('Invalid JSON: expected an object.');
  const { expiration, conditions } = document;
  if (expiration === undefined) throw invalid('Policy missing expiration.');
  if (conditions === undefined) throw invalid('Policy missing conditions.');
  if (typeof expiration !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(expiration)) {
    throw invalid(`Invalid 'expiration' value: ${JSON.stringify(expiration)}`);
  }
  const expirationMs = Date.parse(expiration);
  if (Number.isNaN(expirationMs)) throw invalid(`Invalid 'expiration' value: ${JSON.stringify(expiration)}`);
  if (!Array.isArray(conditions)) throw invalid("Invalid 'conditions' value: must be a List.");

  const fields: FieldCondition[] = [];
  const ranges: ContentLengthRange[] = [];
  for (const condition of conditions as readonly unknown[]) {
    if (isLengthRange(condition)) {
      ranges.push(parseLengthRange(condition));
    } else {
      fields.push(Array.isArray(condition) ? parseMatch(condition) : parseExactMatch(condition));
    }
  }
  return { expirationMs, conditions: fields, contentLengthRange: narrowest(ranges) };
}

/**
 * Checks every field of the form against the policy, and that the policy speaks of every field.
 * `fields` have lower-case names, `${filename}` already replaced, and the bucket of the request as `bucket`.
 * @throws S3Error AccessDenied "Invalid according to Policy: …"
 */
export function checkPostPolicy(
  policy: PostPolicy,
  fields: ReadonlyMap<string, string>,
  nowMs: number,
): void {
  if (nowMs >= policy.expirationMs) throw denied('Policy expired.');
  const covered = new Set<string>();
  for (const condition of policy.conditions) {
    covered.add(condition.field);
    if (!isMet(condition, fields.get(condition.field))) {
      const { operator, field, value } = condition;
      throw denied(`Policy Condition failed: ${JSON.stringify([operator, `$${field}`, value])}`);
    }
  }
  const extra = [...fields.keys()].filter((name) => !covered.has(name) && !isExempt(name));
  if (extra.length > 0) throw denied(`Extra input fields: ${extra.join(', ')}`);
}

/** Fields that no condition needs to name. */
function isExempt(name: string): boolean {
  return name === 'x-amz-signature' || name === 'file' || name === 'policy' || name.startsWith('x-ignore-');
}

function isMet(condition: FieldCondition, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (condition.operator === 'eq') return value === condition.value;
  // A Content-Type may be a list, and then each of its values must begin so.
  const values = condition.field === 'content-type' ? value.split(',') : [value];
  return values.every(
    (one) => one.trimStart().startsWith(condition.value) || one.startsWith(condition.value),
  );
}

function parseJson(policyBase64: string): unknown {
  const compact = policyBase64.replace(/[\r\n\t ]/g, '');
  const bytes = Buffer.from(compact, 'base64');
  // Buffer skips what is not base64; a policy that does not encode back is not what the client meant.
  if (bytes.toString('base64').replace(/=+$/, '') !== compact.replace(/=+$/, '')) {
    throw invalid('Policy must be base64 encoded.');
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // Besides JSON's own escapes S3 has \$ for a dollar sign and \v for a vertical tab.
    return JSON.parse(
      text.replace(/\\([\s\S])/g, (escape: string, character: string) => {
        if (character === '$') return '$';
        return character === 'v' ? '\\u000b' : escape;
      }),
    );
  } catch (cause) {
    throw invalid('Invalid JSON.', cause);
  }
}

function isLengthRange(condition: unknown): condition is readonly unknown[] {
  return (
    Array.isArray(condition) &&
    typeof condition[0] === 'string' &&
    condition[0].toLowerCase() === 'content-length-range'
  );
}

function parseLengthRange(condition: readonly unknown[]): ContentLengthRange {
  const [, min, max] = condition.map(parseLength);
  if (condition.length !== 3 || min === null || min === undefined || max === null || max === undefined) {
    throw invalid('Invalid content-length-range: it takes two non-negative integers.');
  }
  return { min, max };
}

function parseLength(value: unknown): number | null {
  const length = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof length === 'number' && Number.isSafeInteger(length) && length >= 0 ? length : null;
}

function narrowest(ranges: readonly ContentLengthRange[]): ContentLengthRange | null {
  if (ranges.length === 0) return null;
  return {
    min: Math.max(...ranges.map((range) => range.min)),
    max: Math.min(...ranges.map((range) => range.max)),
  };
}

/** `["eq" | "starts-with", "$field", "value"]` */
function parseMatch(condition: readonly unknown[]): FieldCondition {
  const [operator, field, value] = condition;
  if (
    condition.length !== 3 ||
    typeof operator !== 'string' ||
    typeof field !== 'string' ||
    typeof value !== 'string'
  ) {
    throw invalid('Invalid Condition: expected an operator, a field and a value.');
  }
  const folded = operator.toLowerCase();
  if (folded !== 'eq' && folded !== 'starts-with') {
    throw invalid(`Invalid Condition: unknown operation '${operator}'.`);
  }
  if (!field.startsWith('$') || field.length === 1) {
    throw invalid(`Invalid Condition: the field '${field}' must begin with '$'.`);
  }
  return { operator: folded, field: field.slice(1).toLowerCase(), value };
}

/** `{"field": "value"}` */
function parseExactMatch(condition: unknown): FieldCondition {
  if (!isRecord(condition)) throw invalid('Invalid Condition: expected a list or an object.');
  const entries = Object.entries(condition);
  const [entry] = entries;
  if (entries.length !== 1 || entry === undefined) {
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.');
  }
  const [field, value] = entry;
  if (typeof value !== 'string') {
    throw invalid('Invalid Simple-Condition: value must be a string.');
  }
  return { operator: 'eq', field: field.toLowerCase(), value };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function denied(problem: string): S3Error {
  return new S3Error('AccessDenied', `Invalid according to Policy: ${problem}`);
}

function invalid(problem: string, cause?: unknown): S3Error {
  return new S3Error('InvalidPolicyDocument', `Invalid Policy: ${problem}`, { cause });
}
