/** The admin port as operators use it: JSON over HTTP with the token. */
import type { Sealgate } from './sealgate.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** One request; refusals come back as they were. */
export async function askAdmin(
  server: Pick<Sealgate, 'adminEndpoint' | 'adminToken'>,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  payload?: unknown,
): Promise<AdminAnswer> {
  const headers: Record<string, string> = { authorization: `Bearer ${server.adminToken}` };
  if (payload !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(`${server.adminEndpoint}/admin/v1/${path}`, {
    method,
    headers,
    ...(payload === undefined ? {} : { body: JSON.stringify(payload) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

/** What GET /admin/v1/buckets/{name} tells of the rotation of a bucket's key. */
export interface RotationState {
  readonly keyVersion: number;
  readonly keyVersions: readonly { readonly n: number; readonly state: string }[];
  readonly rewrap: { readonly state: string; readonly done: number; readonly remaining: number };
}

export async function rotationState(server: Sealgate, bucket: string): Promise<RotationState> {
  const { status, body } = await askAdmin(server, 'GET', `buckets/${bucket}`);
  if (status !== 200) throw new Error(`the admin port answered ${status}: ${JSON.stringify(body)}`);
  return body as object as RotationState;
}
