/** The operator's pods of one release: which of them leads, and their processes, to be ended and stopped from outside. */
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Installation } from '../../../harness/cluster/installation.ts';

const lease = z.object({
  spec: z.object({ holderIdentity: z.string().default(''), leaseTransitions: z.int().default(0) }),
});

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), deletionTimestamp: z.string().optional() }),
      status: z.object({
        containerStatuses: z.array(z.object({ restartCount: z.int(), ready: z.boolean() })).default([]),
      }),
    }),
  ),
});

export interface OperatorPod {
  readonly name: string;
  readonly restarts: number;
  readonly ready: boolean;
}

export class Operators {
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  /** Name of the pod that holds the lease; empty: none. */
  async leader(): Promise<string> {
    const text = await this.#kubectl([
      'get',
      'lease',
      `${this.#installation.namespace}-operator`,
      '-o',
      'json',
    ]);
    return lease.parse(JSON.parse(text)).spec.holderIdentity;
  }

  async pods(): Promise<readonly OperatorPod[]> {
    const selector = 'app.kubernetes.io/component=operator';
    const { items } = podList.parse(
      JSON.parse(await this.#kubectl(['get', 'pods', '-l', selector, '-o', 'json'])),
    );
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata: { name }, status: { containerStatuses } }) => ({
        name,
        restarts: containerStatuses[0]?.restartCount ?? 0,
        ready: containerStatuses.every(({ ready }) => ready) && containerStatuses.length > 0,
      }));
  }

  /** To the operator's process in that pod, as the node's kernel does. */
  signal(pod: string, signal: NodeJS.Signals): void {
    process.kill(pidOf(pod), signal);
  }

  async log(pod: string, options: readonly string[] = []): Promise<string> {
    return await this.#kubectl(['logs', pod, ...options]);
  }

  async #kubectl(args: readonly string[]): Promise<string> {
    const { cluster, namespace } = this.#installation;
    return await cluster.kubectl(['-n', namespace, ...args]);
  }
}

/** Of this machine: the process that has the pod's name in its environment and is the operator. */
function pidOf(pod: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const isOperator = readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes('/app/operator/main.js');
      if (
        isOperator &&
        readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0').includes(`POD_NAME=${pod}`)
      )
        return Number(entry);
    } catch (error) {
      // It has ended meanwhile.
      if (!(error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH'].includes(String(error.code))))
        throw error;
    }
  }
  throw new Error(`pod ${pod} has no process of the operator`);
}
