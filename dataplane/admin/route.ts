/**
 * What a route of the admin API is: one description, from which it is served (adminServer.ts) and documented (openApi.ts),
 * so that the two cannot differ.
 */
import type { z } from 'zod';
import type { AccessKeyAdministration } from './accessKeyAdministration.ts';
import type { Epochs } from './epochs.ts';
import { AdminError, type AdminErrorCode } from './errors.ts';
import type { KeyAdministration } from './keyAdministration.ts';
import type { Status } from './schema/status.ts';

/** What the routes stand on. */
export interface AdminServices {
  readonly keys: KeyAdministration;
  readonly accessKeys: AccessKeyAdministration;
  readonly epochs: Pick<Epochs, 'mutate' | 'take'>;
  /** `connection`: of the KMS connections that one alone; null: all. */
  readonly status: (connection: string | null) => Promise<Status>;
  /** Forgets the cached keys of a connection on every thread. Rejects with AdminError 'NoSuchConnection'. */
  readonly flush: (connection: string) => Promise<void>;
}

/** An answer that is no refusal. */
export interface RouteAnswer {
  readonly status: number;
  readonly description: string;
  /** null: no body. */
  readonly schema: z.ZodType | null;
}

/** What a request brought, not looked at yet. */
export interface RawRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  /** null: none. */
  readonly body: unknown;
}

interface Description {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With the parameters as `{name}`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly answers: readonly [RouteAnswer, ...RouteAnswer[]];
  /** Beyond those that every route has. */
  readonly errors: readonly AdminErrorCode[];
}

export interface AdminRoute extends Description {
  readonly params: z.ZodObject | null;
  readonly query: z.ZodObject | null;
  readonly body: z.ZodObject | null;
  /** Whether a request with an epoch that is not the newest is refused: all that change something, but the taking itself. */
  readonly fenced: boolean;
  readonly respond: (services: AdminServices, request: RawRequest) => Promise<Reply>;
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** A route with its forms: `handle` is given what they accepted. It may reject with AdminError. */
export function adminRoute<
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodObject | undefined = undefined,
>(
  route: Description & {
    readonly params?: Params;
    readonly query?: Query;
    readonly body?: Body;
    readonly fenced?: boolean;
    readonly handle: (
      services: AdminServices,
      request: {
        readonly params: Parsed<Params>;
        readonly query: Parsed<Query>;
        readonly body: Parsed<Body>;
      },
    ) => Promise<Reply>;
  },
): AdminRoute {
  const { params, query, body, handle, fenced, ...description } = route;
  return {
    ...description,
    params: params ?? null,
    query: query ?? null,
    body: body ?? null,
    fenced: fenced ?? description.method !== 'GET',
    respond: async (services, raw) =>
      await handle(services, {
        params: parsed<Params>(params, raw.params),
        query: parsed<Query>(query, raw.query),
        body: parsed<Body>(body, raw.body),
      }),
  };
}

/** The answer of a route that has one. */
export function ok(body: unknown): Reply {
  return { status: 200, body };
}

/** Throws AdminError 'InvalidArgument' that names the place. */
function parsed<Schema extends z.ZodObject | undefined>(
  schema: Schema | undefined,
  value: unknown,
): Parsed<Schema> {
  // Without a form there is nothing to be parsed, and nothing is handed on.
  if (schema === undefined) return undefined as Parsed<Schema>;
  const result = schema.safeParse(value);
  if (result.success) return result.data as Parsed<Schema>;
  const [issue] = result.error.issues;
  const place = issue?.path.join('.') ?? '';
  throw new AdminError('InvalidArgument', `${place === '' ? 'the request' : place}: ${issue?.message ?? ''}`);
}
