/**
 * Writes Events (events.k8s.io/v1) in the background.
 *
 * Owns a short queue and what was said lately: the same again within ten minutes becomes a series of the first one. It
 * never holds up who records, and what it cannot write it drops and counts.
 */
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import type { EventRecorder } from '../runtime/reconciler.ts';
import { type KubeApi, KubeError } from './kubeApi.ts';
import { microTime } from './microTime.ts';
import type { KubeObject, ResourceType } from './resource.ts';

export const EVENTS: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

const CONTROLLER = 'sealgate.io/operator';
const QUEUE_LENGTH = 1_000;
const REMEMBERED = 4_096;
const SAME_WITHIN_MS = 10 * 60_000;
/** A series is written at most this often, however often it repeats. */
const SERIES_EVERY_MS = 60_000;
/** In bytes of UTF-8: that is what the API server counts, whatever its message says. */
const LONGEST_NOTE_BYTES = 1_024;
const LONGEST_NAME = 200;
const WRITE_LIMIT_MS = 10_000;

export interface EventWriterOptions {
  readonly api: Pick<KubeApi, 'create' | 'mergePatch'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  /** The process, as in the Lease. */
  readonly identity: string;
}

type Recorded = Parameters<EventRecorder['record']>[1];

/** One thing that was said, once or more. */
interface Series {
  readonly object: KubeObject;
  count: number;
  lastMs: number;
  lastWall: number;
  /** When it was last written; null: the event itself is not written yet. */
  writtenMs: number | null;
  queued: boolean;
  cancelLater: () => void;
}

export class EventWriter implements EventRecorder {
  readonly #options: EventWriterOptions;
  readonly #events: Counter<'result'>;
  /** By what was said, the least recent first. */
  readonly #said = new Map<string, Series>();
  readonly #queue: Series[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;

  /** Registers a metric; one per registry. */
  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#events = new Counter({
      name: 'sealgate_operator_events_total',
      help: 'Kubernetes Events written, or dropped because they could not be.',
      labelNames: ['result'] as const,
      registers: [options.registry],
    });
  }

  record(regarding: KubeObject, event: Recorded): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    const nowMs = clock.steadyMs();
    const what = identityOf(regarding, event);
    const known = this.#said.get(what);
    const repeats = known !== undefined && nowMs - known.lastMs < SAME_WITHIN_MS;
    const series = repeats ? known : this.#first(regarding, event, what);
    this.#said.delete(what);
    this.#said.set(what, series);
    if (repeats) series.count += 1;
    series.lastMs = nowMs;
    series.lastWall = clock.wallMs();
    this.#schedule(series);
    this.#forget(nowMs);
  }

  /** Writes nothing more after what is being written; resolves then. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const series of this.#said.values()) series.cancelLater();
    this.#events.inc({ result: 'dropped' }, this.#queue.splice(0).length);
    await this.#writing;
  }

  #first(regarding: KubeObject, event: Recorded, what: string): Series {
    const wallMs = this.#options.clock.wallMs();
    return {
      object: eventObject(regarding, event, { what, wallMs, identity: this.#options.identity }),
      count: 1,
      lastMs: 0,
      lastWall: wallMs,
      writtenMs: null,
      queued: false,
      cancelLater: () => undefined,
    };
  }

  #schedule(series: Series): void {
    if (series.queued) return;
    const { clock } = this.#options;
    series.queued = true;
    const delayMs =
      series.writtenMs === null || series.count === 2
        ? 0
        : series.writtenMs + SERIES_EVERY_MS - clock.steadyMs();
    if (delayMs > 0) series.cancelLater = clock.timer(delayMs, () => this.#enqueue(series));
    else this.#enqueue(series);
  }

  #enqueue(series: Series): void {
    if (this.#queue.length >= QUEUE_LENGTH) {
      series.queued = false;
      this.#events.inc({ result: 'dropped' });
      return;
    }
    this.#queue.push(series);
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = null;
    });
  }

  async #drain(): Promise<void> {
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      series.queued = false;
      try {
        await this.#write(series);
        this.#events.inc({ result: 'written' });
      } catch (error) {
        this.#events.inc({ result: 'dropped' });
        this.#options.log.warn({ err: error }, 'an Event could not be written');
      }
    }
  }

  async #write(series: Series): Promise<void> {
    const { api, clock } = this.#options;
    const limit = new AbortController();
    const cancel = clock.timer(WRITE_LIMIT_MS, () => limit.abort());
    const { namespace = '', name } = series.object.metadata;
    const again = { series: { count: series.count, lastObservedTime: microTime(series.lastWall) } };
    const made = series.count === 1 ? {} : again;
    try {
      if (series.writtenMs !== null) {
        await api
          .mergePatch(EVENTS, { namespace, name }, again, { signal: limit.signal })
          .catch((error: unknown) => {
            // The API server forgets events after an hour.
            if (!(error instanceof KubeError && error.code === 'NotFound')) throw error;
            return api.create(EVENTS, { ...series.object, ...made }, { signal: limit.signal });
          });
      } else {
        await api.create(EVENTS, { ...series.object, ...made }, { signal: limit.signal });
      }
      series.writtenMs = clock.steadyMs();
    } finally {
      cancel();
    }
  }

  /** What is old, and the oldest of too many. */
  #forget(nowMs: number): void {
    for (const [what, series] of this.#said) {
      const isOld = nowMs - series.lastMs >= SAME_WITHIN_MS && !series.queued;
      if (!isOld && this.#said.size <= REMEMBERED) return;
      series.cancelLater();
      this.#said.delete(what);
    }
  }
}

function identityOf(regarding: KubeObject, event: Recorded): string {
  const { uid = '', namespace = '', name } = regarding.metadata;
  return JSON.stringify([
    regarding.kind,
    namespace,
    name,
    uid,
    event.type,
    event.reason,
    event.action,
    event.note,
  ]);
}

function eventObject(
  regarding: KubeObject,
  event: Recorded,
  from: { readonly what: string; readonly wallMs: number; readonly identity: string },
): KubeObject {
  const { namespace, name, uid, resourceVersion } = regarding.metadata;
  // Unique and not guessed twice: the same words at another time are another event.
  const suffix = createHash('sha256').update(`${from.wallMs} ${from.what}`).digest('hex').slice(0, 16);
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: namespace ?? 'default', name: `${beginningOf(name)}.${suffix}` },
    eventTime: microTime(from.wallMs),
    reportingController: CONTROLLER,
    reportingInstance: from.identity.slice(0, 128),
    regarding: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    type: event.type,
    reason: event.reason,
    action: event.action,
    note: cutNote(event.note),
  };
}

/** Room is left for the suffix; no part of a name may end in a dash or be empty. */
function beginningOf(name: string): string {
  return name.slice(0, LONGEST_NAME).replace(/[-.]+$/, '');
}

function cutNote(note: string): string {
  if (Buffer.byteLength(note) <= LONGEST_NOTE_BYTES) return note;
  const room = new Uint8Array(LONGEST_NOTE_BYTES - Buffer.byteLength('…'));
  // It reads whole characters only.
  const { read } = new TextEncoder().encodeInto(note, room);
  return `${note.slice(0, read)}…`;
}
