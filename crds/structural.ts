/**
 * From zod to the structural schemas of Kubernetes, which are less than JSON schema: one type per place, no unions, no
 * references, defaults written out, everything bounded. What does not fit ends the generation with the field's path.
 */
import { z } from 'zod';

const rule = z.strictObject({
  rule: z.string().min(1),
  message: z.string().min(1),
  reason: z.string().optional(),
  fieldPath: z.string().optional(),
  optionalOldSelf: z.literal(true).optional(),
});

const keywords = z.strictObject({
  type: z.enum(['object', 'array', 'string', 'integer', 'boolean']),
  description: z.string().min(1).optional(),
  default: z.json().optional(),
  enum: z.array(z.string()).optional(),
  format: z.enum(['int32', 'int64', 'date-time']).optional(),
  pattern: z.string().optional(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  minimum: z.int().optional(),
  maximum: z.int().optional(),
  minItems: z.int().optional(),
  maxItems: z.int().optional(),
  maxProperties: z.int().optional(),
  required: z.array(z.string()).optional(),
  'x-kubernetes-list-type': z.enum(['map', 'atomic']).optional(),
  'x-kubernetes-list-map-keys': z.array(z.string()).optional(),
  'x-kubernetes-map-type': z.enum(['atomic']).optional(),
  'x-kubernetes-validations': z.array(rule).optional(),
});

/** A structural schema, as far as ours need it. */
export interface StructuralSchema extends z.output<typeof keywords> {
  properties?: Record<string, StructuralSchema> | undefined;
  items?: StructuralSchema | undefined;
  /** Values of a map. */
  additionalProperties?: StructuralSchema | undefined;
}

/** A zod schema that has no structural schema; the message names the field. */
export class StructuralError extends Error {
  readonly code = 'NotStructural';
  constructor(path: string, message: string, options?: ErrorOptions) {
    super(`${path === '' ? 'the schema' : path}: ${message}`, options);
    this.name = 'StructuralError';
  }
}

const node = z.record(z.string(), z.unknown());

/**
 * The structural schema of what a client may write.
 *
 * @throws StructuralError
 */
export function structural(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'throw' });
  return convert(node.parse(json), '');
}

function convert(json: Record<string, unknown>, path: string): StructuralSchema {
  const { properties, items, additionalProperties, ...rest } = json;
  const read = keywords.safeParse(withoutZodBounds(rest));
  if (!read.success) {
    const problems = read.error.issues.map((issue) => [issue.path.join('.'), issue.message].join(' ').trim());
    throw new StructuralError(path, problems.join('; '), { cause: read.error });
  }
  const own: StructuralSchema = read.data;
  if (properties !== undefined) {
    own.properties = Object.fromEntries(
      Object.entries(node.parse(properties)).map(([name, child]) => {
        const at = path === '' ? name : `${path}.${name}`;
        const converted = convert(node.parse(child), at);
        if (converted.description === undefined) throw new StructuralError(at, 'has no description');
        return [name, converted];
      }),
    );
  }
  if (items !== undefined) own.items = convert(node.parse(items), `${path}[]`);
  if (additionalProperties !== undefined && properties === undefined) {
    own.additionalProperties = convert(node.parse(additionalProperties), `${path}.*`);
  } else if (additionalProperties !== undefined) {
    throw new StructuralError(path, 'has fields and takes others, too');
  }
  holdBounds(own, path);
  if (own.default !== undefined) own.default = filled(own, own.default);
  return own;
}

/** zod bounds every integer by ±(2^53 - 1), and gives each point in time a pattern that Kubernetes has as a format. */
function withoutZodBounds(json: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(json).filter(
      ([keyword, value]) =>
        !(keyword === 'minimum' && value === Number.MIN_SAFE_INTEGER) &&
        !(keyword === 'maximum' && value === Number.MAX_SAFE_INTEGER) &&
        !(keyword === 'pattern' && json['format'] === 'date-time'),
    ),
  );
}

/** Without bounds the API server takes the cost of a rule for the worst one and refuses the schema. */
function holdBounds(schema: StructuralSchema, path: string): void {
  const { type, enum: values, format, maxLength, maxItems, maxProperties } = schema;
  const unbounded =
    (type === 'string' && values === undefined && format !== 'date-time' && maxLength === undefined) ||
    (type === 'array' && maxItems === undefined) ||
    (schema.additionalProperties !== undefined && maxProperties === undefined);
  if (unbounded) throw new StructuralError(path, 'has no upper bound');
  if (type === 'array' && schema['x-kubernetes-list-type'] === undefined) {
    throw new StructuralError(path, 'does not say how lists are merged (x-kubernetes-list-type)');
  }
  if (type === 'integer' && format === undefined) {
    throw new StructuralError(path, 'does not say how wide the number is (format)');
  }
  if (schema.pattern !== undefined && /\(\?[=!<]/.test(schema.pattern)) {
    throw new StructuralError(path, 'has a pattern that RE2 does not know');
  }
}

/** A default with the defaults inside it: an object whose rules read a field must not be defaulted to less. */
function filled(schema: StructuralSchema, value: z.output<ReturnType<typeof z.json>>): typeof value {
  if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const given = value[name] ?? child.default;
    return given === undefined ? [] : [[name, filled(child, given)] as const];
  });
  return { ...value, ...Object.fromEntries(inner) };
}
