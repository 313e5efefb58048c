/** Plain requests to an API server as its administrator, or as anybody whom the administrator impersonates. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { z } from 'zod';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';

const kubeconfig = z.object({
  users: z.tuple([
    z.object({ user: z.object({ 'client-certificate-data': z.base64(), 'client-key-data': z.base64() }) }),
  ]),
});

const statusBody = z.object({
  message: z.string().default(''),
  details: z
    .object({
      causes: z
        .array(z.object({ field: z.string().default(''), message: z.string().default('') }))
        .default([]),
    })
    .prefault({}),
});

/** One reason of a refusal: the field that it blames, and what is said of it. */
export interface Cause {
  readonly field: string;
  readonly message: string;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Empty when the request was not refused. */
  readonly message: string;
  readonly causes: readonly Cause[];
}

export interface RequestOptions {
  readonly body?: object;
  /** Default: application/json. */
  readonly contentType?: string;
  readonly accept?: string;
  /** Whom to impersonate; default: the administrator. */
  readonly as?: string;
}

export class ApiRequests {
  readonly #url: string;
  readonly #agent: Agent;

  constructor(controlPlane: Pick<ControlPlane, 'apiServerUrl' | 'caFile' | 'kubeconfig'>) {
    const { users } = kubeconfig.parse(JSON.parse(readFileSync(controlPlane.kubeconfig, 'utf8')));
    const text = (base64: string) => Buffer.from(base64, 'base64').toString();
    this.#url = controlPlane.apiServerUrl;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 8,
      ca: readFileSync(controlPlane.caFile),
      cert: text(users[0].user['client-certificate-data']),
      key: text(users[0].user['client-key-data']),
    });
  }

  async send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { status, text } = await this.#exchange(method, path, options);
    const body: unknown = text === '' ? null : JSON.parse(text);
    if (status < 400) return { status, body, message: '', causes: [] };
    const { message, details } = statusBody.parse(body);
    return { status, body, message, causes: details.causes };
  }

  /** What an address answers that speaks no JSON, such as metrics through the API server's proxy. */
  async text(path: string): Promise<string> {
    const { status, text } = await this.#exchange('GET', path, { accept: 'text/plain' });
    if (status >= 300) throw new Error(`GET ${path}: ${status} ${text}`);
    return text;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #exchange(
    method: string,
    path: string,
    { body, contentType = 'application/json', accept = 'application/json', as }: RequestOptions,
  ): Promise<{ status: number; text: string }> {
    const payload = body === undefined ? '' : JSON.stringify(body);
    return await new Promise((resolve, reject) => {
      const sent = request(
        `${this.#url}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            accept,
            'content-type': contentType,
            'content-length': Buffer.byteLength(payload),
            ...(as === undefined ? {} : { 'impersonate-user': as }),
          },
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.once('error', reject);
          response.once('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }),
          );
        },
      );
      sent.once('error', reject);
      sent.end(payload);
    });
  }
}
