/** The admin port as operators use it: JSON over HTTP with the token. */
import type { Sealgate } from './sealgate.ts';

export interface AdminAnswer {
  readonly status: number;
  /** Empty when there is none. */
  readonly body: Record<string, unknown>;
}

/** One request, as a leader's when `epoch` is given; refusals come back as they were, an answer without a body as {}. */
export async function askAdmin(
  server: Pick<Sealgate, 'adminEndpoint' | 'adminToken'>,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  payload?: unknown,
  epoch?: number | string,
): Promise<AdminAnswer> {
  const headers: Record<string, string> = { authorization: `Bearer ${server.adminToken}` };
  if (epoch !== undefined) headers['sealgate-epoch'] = String(epoch);
  if (payload !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(`${server.adminEndpoint}/admin/v1/${path}`, {
    method,
    headers,
    ...(payload === undefined ? {} : { body: JSON.stringify(payload) }),
  });
  const text = await answer.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: answer.status, body };
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
