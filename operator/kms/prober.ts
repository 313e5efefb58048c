/**
 * Keeps the newest probe of each connection: one at a change and one every minute or so, beside the reconcile, so that
 * a KMS that does not answer delays no other connection. While an endpoint is not up it is looked at sooner: who has
 * just mended a KMS wants to see that it is.
 */
import type { KmsConnectionSettings, KmsEndpoint } from '../../dataplane/keys/settings.ts';
import type { Clock, Random } from '../clock.ts';
import type { ObjectKey } from '../kube/resource.ts';
import type { Enqueue } from '../runtime/reconciler.ts';
import { connectionName } from './connectionFile.ts';
import type { EndpointProbe } from './probe.ts';
import { ProbeSlots } from './probeSlots.ts';

const EVERY_MS = 60_000;
/** After the first probe that finds something wrong; it doubles with each further one. */
const MENDED_MS = 5_000;
const MENDED_LIMIT_MS = 30_000;

export interface ProberDeps {
  readonly probe: (settings: KmsConnectionSettings) => Promise<readonly EndpointProbe[]>;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Told when a probe found something else than the one before, or was the first with its files, or the files are
   * others by now, or the next is due sooner than was said.
   */
  readonly enqueue: Enqueue;
  /** Told which endpoints the connection has by now; none: it is gone. */
  readonly keepOnly: (connection: string, endpoints: readonly KmsEndpoint[]) => void;
  /** Told of faults of our own. */
  readonly onError: (error: unknown) => void;
}

interface Entry {
  /** Of the files that the newest probe was started with. */
  revision: string;
  endpoints: readonly KmsEndpoint[];
  /** When the next one is due, steady ms; jittered, so that connections made together do not stay in step. */
  dueMs: number;
  /** Of the files at the newest look. */
  wanted: string;
  /** When the next look was said to be needed, steady ms. */
  lookMs: number;
  running: boolean;
  result: { readonly revision: string; readonly probes: readonly EndpointProbe[] } | null;
  /** Probes in a row, with these files, that found something wrong. */
  failures: number;
}

export class Prober {
  #deps: ProberDeps;
  #entries = new Map<string, Entry>();
  #slots = new ProbeSlots();
  #underWay = 0;
  #idle: (() => void)[] = [];

  constructor(deps: ProberDeps) {
    this.#deps = deps;
  }

  /** The newest result with these files, or, without a revision, with any; null: none yet. */
  latest(key: ObjectKey, revision: string | null): readonly EndpointProbe[] | null {
    const result = this.#entries.get(connectionName(key))?.result ?? null;
    return revision === null || result?.revision === revision ? (result?.probes ?? null) : null;
  }

  /** Starts a probe when the files are others than last time, or one is due. Resolves to the ms until the next. */
  ensure(key: ObjectKey, revision: string, settings: KmsConnectionSettings): number {
    const { clock } = this.#deps;
    const name = connectionName(key);
    const entry = this.#entries.get(name) ?? newEntry();
    this.#entries.set(name, entry);
    entry.wanted = revision;
    const nowMs = clock.steadyMs();
    const due = entry.revision !== revision || nowMs >= entry.dueMs;
    // It may wait for its turn for minutes, and its end asks for the look that starts another.
    if (due && entry.running) {
      entry.lookMs = nowMs + EVERY_MS;
      return EVERY_MS;
    }
    if (due) {
      if (entry.revision !== revision) entry.failures = 0;
      entry.revision = revision;
      entry.endpoints = settings.endpoints;
      // Until its result is there, as if it found what the last one did.
      this.#plan(entry);
      entry.running = true;
      void this.#run(key, entry, settings);
    }
    entry.lookMs = entry.dueMs;
    return Math.max(1_000, entry.dueMs - nowMs);
  }

  /** After each probe: it may be one of a connection that has other endpoints by now, or is gone. */
  #tellEndpoints(key: ObjectKey): void {
    const name = connectionName(key);
    this.#deps.keepOnly(name, this.#entries.get(name)?.endpoints ?? []);
  }

  #plan(entry: Entry): void {
    const everyMs =
      entry.failures === 0 ? EVERY_MS : Math.min(MENDED_MS * 2 ** (entry.failures - 1), MENDED_LIMIT_MS);
    entry.dueMs = this.#deps.clock.steadyMs() + everyMs * (0.9 + this.#deps.random() * 0.2);
  }

  forget(key: ObjectKey): void {
    this.#entries.delete(connectionName(key));
    this.#tellEndpoints(key);
  }

  /** Resolves when no probe runs. */
  async idle(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(key: ObjectKey, entry: Entry, settings: KmsConnectionSettings): Promise<void> {
    this.#underWay += 1;
    const { revision } = entry;
    await this.#slots.enter(key.namespace);
    try {
      const result = { revision, probes: await this.#deps.probe(settings) };
      const differs = JSON.stringify(result) !== JSON.stringify(entry.result);
      entry.result = result;
      entry.failures = result.probes.every(({ verdict }) => verdict === 'Up') ? 0 : entry.failures + 1;
      this.#plan(entry);
      const news = differs || entry.wanted !== revision || entry.dueMs < entry.lookMs;
      // A connection that was deleted meanwhile is no longer anybody's.
      if (news && this.#entries.get(connectionName(key)) === entry) this.#deps.enqueue(key);
    } catch (error) {
      this.#deps.onError(error);
    } finally {
      entry.running = false;
      this.#tellEndpoints(key);
      this.#slots.leave(key.namespace);
      this.#underWay -= 1;
      if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}

const newEntry = (): Entry => ({
  revision: '',
  endpoints: [],
  dueMs: 0,
  wanted: '',
  lookMs: 0,
  running: false,
  result: null,
  failures: 0,
});
