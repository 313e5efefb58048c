/** The admin port of the running server, as commands use it: found and opened by the configuration file. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions } from 'node:tls';
import { z } from 'zod';
import type { ListenAddress, ServerTls, Settings } from '../config/settings.ts';
import { escaped } from '../recovery/printable.ts';

/** The server refused, or could not be asked; the message says which. */
export class AdminPortError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AdminPortError';
  }
}

/** Asks for a path under /admin/v1 and resolves to the JSON that `schema` accepts. Rejects with AdminPortError. */
export type AskAdmin = <T>(
  schema: z.ZodType<T>,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  payload?: object,
) => Promise<T>;

const refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** The port that the settings name. Throws AdminPortError when they leave it to the system. */
export function adminPort({ admin }: Pick<Settings, 'admin'>): AskAdmin {
  const base = `${admin.tls === null ? 'http' : 'https'}://${reachable(admin.listen)}/admin/v1/`;
  return async (schema, method, path, payload) => {
    const headers: Record<string, string> = { authorization: `Bearer ${admin.tokens[0] ?? ''}` };
    if (payload !== undefined) headers['content-type'] = 'application/json';
    const answer = await send(base + path, { method, headers, agent: false }, admin.tls, payload).catch(
      (cause: unknown) => {
        throw new AdminPortError(`${base} cannot be reached: is the server running?`, { cause });
      },
    );
    const status = answer.statusCode ?? 0;
    const body = await json(answer, base);
    const accepted = status < 300 ? schema.safeParse(body) : null;
    if (accepted?.success === true) return accepted.data;
    const told = refusal.safeParse(body);
    if (!told.success)
      throw new AdminPortError(
        `${base}${path} gave an answer of another form (${status}): another version of Sealgate?`,
      );
    const { code, message } = told.data.error;
    // A KMS may have had a word in it.
    throw new AdminPortError(escaped(`${code}: ${message}`));
  };
}

async function send(
  url: string,
  options: RequestOptions,
  tls: ServerTls | null,
  payload: object | undefined,
): Promise<IncomingMessage> {
  const request =
    tls === null ? httpRequest(url, options) : httpsRequest(url, { ...options, ...trusting(tls) });
  request.end(payload === undefined ? undefined : JSON.stringify(payload));
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return answer;
}

/** Trusts the very certificate that the configuration gives the server, under whatever name it is reached. */
function trusting(tls: ServerTls): ConnectionOptions {
  return { ca: tls.cert, allowPartialTrustChain: true, checkServerIdentity: () => undefined };
}

async function json(answer: IncomingMessage, base: string): Promise<unknown> {
  try {
    return JSON.parse(await text(answer));
  } catch (cause) {
    throw new AdminPortError(`${base} does not speak JSON: is it Sealgate's admin port?`, { cause });
  }
}

/** host:port to connect to for an address that is listened on. */
function reachable({ host, port }: ListenAddress): string {
  if (port === 0)
    throw new AdminPortError('admin.listen has port 0: give it a port of its own, so that commands find it');
  if (host === '0.0.0.0') return `127.0.0.1:${port}`;
  if (host === '::') return `[::1]:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
