/**
 * Objects of the custom resources as programs hold them: read from the API server, defaults filled in. Owns reading;
 * what the fields are stands with each kind.
 */
import { z } from 'zod';

export const GROUP = 'sealgate.io';
export const VERSION = 'v1alpha1';

/** A type whose parts are read only, down to the last. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Field in keyof T]: Frozen<T[Field]> }
    : T;

const texts = z.record(z.string(), z.string());

/** The part of ObjectMeta that is read; everything else is kept as it is. */
const metadata = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string().exactOptional(),
  resourceVersion: z.string().exactOptional(),
  generation: z.int().exactOptional(),
  creationTimestamp: z.string().exactOptional(),
  deletionTimestamp: z.string().exactOptional(),
  finalizers: z.array(z.string()).exactOptional(),
  labels: texts.exactOptional(),
  annotations: texts.exactOptional(),
});

/**
 * Schema of a whole object; `status` must take undefined for one that is not there. A status that cannot be read counts as none: it is never relied on, and another version of
 * the operator may have written it.
 */
export function objectOf<const Kind extends string, Spec extends z.ZodType, Status extends z.ZodType>(
  kind: Kind,
  spec: Spec,
  status: Status,
) {
  return z.object({
    apiVersion: z.literal(`${GROUP}/${VERSION}`),
    kind: z.literal(kind),
    metadata,
    spec,
    status: status.catch(() => status.parse(undefined)),
  });
}

/** An object that the API server holds and that cannot be read: it was made under another version of the schema. */
export class InvalidResourceError extends Error {
  readonly code = 'InvalidResource';
  /** One line per problem, each beginning with the field's path. */
  readonly problems: readonly string[];
  constructor(kind: string, problems: readonly string[], options: ErrorOptions) {
    super(`not a valid ${kind}: ${problems.join('; ')}`, options);
    this.name = 'InvalidResourceError';
    this.problems = problems;
  }
}

/** @throws InvalidResourceError */
export function readObject<Output>(kind: string, schema: z.ZodType<Output>, object: unknown): Output {
  const read = schema.safeParse(object);
  if (read.success) return read.data;
  const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new InvalidResourceError(kind, problems, { cause: read.error });
}
