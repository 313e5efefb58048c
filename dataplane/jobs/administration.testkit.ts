/** The administration of a Life, and an admin server on it. */
import { PassThrough } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { type AdminOptions, createAdminServer } from '../admin/adminServer.ts';
import { Epochs } from '../admin/epochs.ts';
import type { KeyAdministration } from '../admin/keyAdministration.ts';
import { errorsOf } from '../admin/openApi.ts';
import type { AdminRoute } from '../admin/route.ts';
import { ADMIN_ROUTES } from '../admin/routes.ts';
import { adminErrorBody } from '../admin/schema/errors.ts';
import { unusedAccessKeys } from '../admin/unused.testkit.ts';
import { createLogger } from '../log.ts';
import { administer } from './administration.ts';
import { Declarations } from './declarations.ts';
import { type Life, noReencryptions } from './life.testkit.ts';
import { Purges } from './purge.ts';

const note = (): void => undefined;
const silent = { info: note, warn: note, error: note };

/** S3's owner of what a Life makes and declares. */
const OWNER_ID = 'owner';

export interface LifeAdministration {
  readonly keys: KeyAdministration;
  readonly purges: Purges;
}

export function administrationOf(life: Life): LifeAdministration {
  const { clock, making, metadata } = life;
  const purges = new Purges({ metadata, clock, log: silent, signal: new AbortController().signal });
  const keys = administer({
    ...life,
    reencryptions: noReencryptions,
    declarations: new Declarations({ making, purges, log: silent }),
    settings: {
      region: () => 'us-east-1',
      ownerId: () => OWNER_ID,
      hasConnection: (connection) => connection === 'kms' || connection === 'other',
    },
    log: silent,
  });
  return { keys, purges };
}

/** A server that is not listening; its token is `token`. */
export function adminServerOn(keys: KeyAdministration, options: Partial<AdminOptions> = {}): FastifyInstance {
  return createAdminServer({
    tokens: () => ['token'],
    status: () => Promise.reject(new Error('not asked for here')),
    keys,
    accessKeys: unusedAccessKeys,
    epochs: new Epochs(keys),
    flush: () => Promise.resolve(),
    log: createLogger({ level: 'info', thread: 'test', destination: new PassThrough() }),
    ...options,
  });
}

export interface Answered {
  readonly status: number;
  /** Empty when there is none. */
  readonly body: Record<string, unknown>;
}

/** Asks under /admin/v1 with the token `token`; what is answered must be what the API's description says. */
export async function askServer(
  server: FastifyInstance,
  method: AdminRoute['method'],
  url: string,
  payload?: object,
): Promise<Answered> {
  const answer = await server.inject({
    method,
    url: `/admin/v1/${url}`,
    headers: { authorization: 'Bearer token' },
    ...(payload === undefined ? {} : { payload }),
  });
  const { statusCode: status } = answer;
  const body: Record<string, unknown> = answer.body === '' ? {} : answer.json();
  requireDescribed(method, `/admin/v1/${url.split('?')[0]}`, status, body);
  return { status, body };
}

/** Throws for an answer, or a code of a refusal, that the description of the route does not have. */
function requireDescribed(method: string, path: string, status: number, body: unknown): void {
  const route = ADMIN_ROUTES.find(
    (one) => one.method === method && new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  if (route === undefined) throw new Error(`no route ${method} ${path}`);
  if (status >= 400) {
    const { code } = adminErrorBody.parse(body).error;
    if (!errorsOf(route).some((one) => one === code))
      throw new Error(`${method} ${route.path} does not tell of ${code}`);
    return;
  }
  const described = route.answers.find((one) => one.status === status);
  if (described === undefined) throw new Error(`${method} ${route.path} does not tell of ${status}`);
  // A schema takes more than it tells of, and leaves it out.
  if (described.schema !== null) expectSame(described.schema.parse(body), body);
}

function expectSame(parsed: unknown, body: unknown): void {
  if (!isDeepStrictEqual(parsed, body))
    throw new Error(`an answer has more than its description: ${JSON.stringify(body)}`);
}
