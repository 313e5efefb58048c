/**
 * What a cluster tells of custom resources: conditions, events, metrics of operator and data plane.
 *
 * Owns the waiting: each look has a deadline and asks the API server again and again until then. It changes nothing.
 */
import { expect } from 'vitest';
import { z } from 'zod';
import type { Installation } from '../../../harness/cluster/installation.ts';
import { ApiRequests } from '../../customResources/apiRequests.ts';

export type Kind = 'KMSConnection' | 'EncryptedBucket';

/** Which resource: `name`, in the team's namespace unless told otherwise. */
export interface Which {
  readonly kind: Kind;
  readonly name: string;
  readonly namespace?: string;
}

/** By type, as `True Reason`. */
export type Conditions = Readonly<Record<string, string>>;

const resource = z.looseObject({
  metadata: z.looseObject({ deletionTimestamp: z.string().optional() }),
  spec: z.looseObject({}),
  status: z.looseObject({
    conditions: z
      .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
      .default([]),
  }),
});
export type Resource = z.output<typeof resource>;

const eventList = z.object({
  items: z.array(
    z.object({
      type: z.string(),
      reason: z.string(),
      note: z.string().default(''),
      regarding: z.object({ kind: z.string(), name: z.string() }),
    }),
  ),
});

const podList = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) });

const LIMIT = { timeout: 45_000, interval: 50 };

export class Observer {
  readonly api: ApiRequests;
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
    this.api = new ApiRequests(installation.cluster);
  }

  pathOf({ kind, name, namespace = this.#installation.team }: Which): string {
    return `/apis/sealgate.io/v1alpha1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`;
  }

  /** null: there is none. */
  async find(which: Which): Promise<Resource | null> {
    const { status, body } = await this.api.send('GET', this.pathOf(which));
    return status === 404 ? null : resource.parse(body);
  }

  async read(which: Which): Promise<Resource> {
    const found = await this.find(which);
    if (found === null) throw new Error(`there is no ${which.kind} ${which.name}`);
    return found;
  }

  async conditions(which: Which): Promise<Conditions> {
    const found = await this.find(which);
    const list = found?.status.conditions ?? [];
    return Object.fromEntries(list.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
  }

  /** The message of a condition. */
  async message(which: Which, condition: string): Promise<string> {
    const { status } = await this.read(which);
    return status.conditions.find(({ type }) => type === condition)?.message ?? '';
  }

  /**
   * Waits until the conditions are these among others; then for what else tells the same: the operator's metrics, and
   * `event`, as `Warning Reason`.
   */
  async told(which: Which, conditions: Conditions, event?: string): Promise<void> {
    await expect.poll(() => this.conditions(which), LIMIT).toMatchObject(conditions);
    if (event !== undefined) await expect.poll(() => this.events(which), LIMIT).toContain(event);
    await expect
      .poll(
        async () => untold(await this.operatorMetrics(), which, conditions, this.#installation.team),
        LIMIT,
      )
      .toEqual([]);
  }

  async gone(which: Which): Promise<void> {
    await expect.poll(() => this.find(which), LIMIT).toBeNull();
  }

  /** As `Warning Reason`. */
  async events(which: Which): Promise<string[]> {
    return (await this.#eventsOf(which)).map(({ type, reason }) => `${type} ${reason}`);
  }

  /** What the events of that reason say. */
  async messages(which: Which, wanted: string): Promise<string[]> {
    return (await this.#eventsOf(which)).filter(({ reason }) => reason === wanted).map(({ note }) => note);
  }

  async #eventsOf({ kind, name, namespace = this.#installation.team }: Which) {
    const { body } = await this.api.send('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`);
    const { items } = eventList.parse(body);
    return items.filter(({ regarding }) => regarding.kind === kind && regarding.name === name);
  }

  /** Those of the one operator. */
  async operatorMetrics(): Promise<string> {
    const { namespace } = this.#installation;
    const selector = encodeURIComponent('app.kubernetes.io/component=operator');
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
    const [pod] = podList.parse((await this.api.send('GET', path)).body).items;
    return await this.#scrape(`${pod?.metadata.name}:9003`);
  }

  async dataPlaneMetrics(): Promise<string> {
    return await this.#scrape(`${this.#installation.namespace}-0:9002`);
  }

  async #scrape(pod: string): Promise<string> {
    const { namespace } = this.#installation;
    return await this.api.text(`/api/v1/namespaces/${namespace}/pods/${pod}/proxy/metrics`);
  }

  /** Waits for the sum of the series of the data plane with these labels. */
  async dataPlaneMetric(
    name: string,
    labels: Readonly<Record<string, string>>,
    holds: (value: number) => boolean,
  ): Promise<void> {
    await expect
      .poll(async () => holds(metricSum(await this.dataPlaneMetrics(), name, labels)), LIMIT)
      .toBe(true);
  }

  close(): void {
    this.api.close();
  }
}

/** The sum of all series of that name that have these labels; NaN: there is none. */
function metricSum(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0);
}

/** What the operator's metrics do not say of a resource and should. */
function untold(text: string, which: Which, conditions: Conditions, team: string): string[] {
  const { kind, name, namespace = team } = which;
  const missing = Object.entries(conditions).flatMap(([condition, what]) => {
    const [status = '', reason = ''] = what.split(' ');
    const count = metricSum(text, 'sealgate_operator_conditions', { kind, condition, status, reason });
    return count >= 1 ? [] : [`${condition} ${what}`];
  });
  const [ready = 'True', reason = ''] = (conditions['Ready'] ?? '').split(' ');
  if (conditions['Ready'] === undefined) return missing;
  const named = metricSum(text, 'sealgate_operator_resource_not_ready', { kind, namespace, name });
  if (ready === 'True') return Number.isNaN(named) ? missing : [...missing, 'still named as not ready'];
  const right = metricSum(text, 'sealgate_operator_resource_not_ready', { kind, namespace, name, reason });
  return right === 1 ? missing : [...missing, `not named as not ready for ${reason}`];
}
