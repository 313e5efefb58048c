/** An API server that has the custom resources, and the requests that the cases make of it. */
import { expect, vi } from 'vitest';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';
import type { KubernetesRelease } from '../../harness/cluster/programs.ts';
import { startControlPlane } from '../../harness/cluster/startControlPlane.ts';
import { type Answer, ApiRequests } from './apiRequests.ts';
import { identityOf, type Json, LEAST_BUCKET, LEAST_CONNECTION, NAMESPACE } from './samples.ts';

/** The API server takes a new kind or policy up a moment after it is there. */
export const WAIT = { timeout: 20_000, interval: 50 };

const DRY_RUN = { dryRun: 'All' };

/** Query parameters of a write; default: it is judged and not kept. */
export type Query = Readonly<Record<string, string>>;

export class World {
  readonly controlPlane: ControlPlane;
  readonly api: ApiRequests;

  private constructor(controlPlane: ControlPlane) {
    this.controlPlane = controlPlane;
    this.api = new ApiRequests(controlPlane);
  }

  /** Resolves when objects of both kinds are taken. */
  static async create(release: KubernetesRelease): Promise<World> {
    const world = new World(await startControlPlane({ release }));
    try {
      const files = ['encryptedbuckets', 'kmsconnections'].flatMap((name) => ['-f', `crds/${name}.yaml`]);
      await world.controlPlane.kubectl(['create', ...files]);
      await world.namespace(NAMESPACE);
      await vi.waitFor(async () => {
        expect((await world.create('encryptedbuckets', LEAST_BUCKET)).message).toBe('');
        expect((await world.create('kmsconnections', LEAST_CONNECTION)).message).toBe('');
      }, WAIT);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  async namespace(name: string, labels: Json = {}): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    expect((await this.api.send('POST', '/api/v1/namespaces', { body })).message).toBe('');
  }

  /** `as`: who does it; default: the administrator. */
  async create(plural: string, object: Json, query: Query = DRY_RUN, as?: string): Promise<Answer> {
    const { namespace } = identityOf(object);
    return await this.api.send('POST', `${place(plural, namespace)}?${queryText(query)}`, {
      body: object,
      ...(as === undefined ? {} : { as }),
    });
  }

  /** Applies a JSON merge patch; `name` may end in `/status`. */
  async change(
    plural: string,
    name: string,
    patch: Json,
    query: Query = DRY_RUN,
    as?: string,
  ): Promise<Answer> {
    return await this.api.send('PATCH', `${place(plural, NAMESPACE)}/${name}?${queryText(query)}`, {
      body: patch,
      contentType: 'application/merge-patch+json',
      ...(as === undefined ? {} : { as }),
    });
  }

  async read(plural: string, name: string): Promise<unknown> {
    return (await this.api.send('GET', `${place(plural, NAMESPACE)}/${name}`)).body;
  }

  async close(): Promise<void> {
    this.api.close();
    await this.controlPlane.close();
  }
}

function queryText(query: Query): string {
  return new URLSearchParams(query).toString();
}

/** Path of a kind's objects in a namespace. */
export function place(plural: string, namespace: string): string {
  return `/apis/sealgate.io/v1alpha1/namespaces/${namespace}/${plural}`;
}
