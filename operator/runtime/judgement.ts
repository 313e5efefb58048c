/** What reconcilers find, on its way into conditions and events. Knows no kind. */
import type { KubeObject } from '../kube/resource.ts';
import { type Condition, setCondition } from './conditions.ts';
import type { EventRecorder } from './reconciler.ts';

/** What a reconciler found about one aspect. */
export interface Judgement {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** UTC to the second, as Kubernetes writes times. */
export const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The conditions that follow: what is judged, and what else was there. */
export function nextConditions(
  present: readonly Condition[],
  judged: readonly Judgement[],
  { generation, nowMs }: { readonly generation: number; readonly nowMs: number },
): readonly Condition[] {
  return judged.reduce(
    (list, judgement) => setCondition(list, { ...judgement, observedGeneration: generation }, nowMs),
    present,
  );
}

/** Conditions for which a false is the good state. */
const NEGATIVE: ReadonlySet<string> = new Set(['DeletionBlocked']);

/** Reasons that tell of work that goes on by itself: nothing is wrong. */
const UNDER_WAY = new Set(['Creating', 'Purging', 'BeingPurged', 'Rewrapping']);

/** Records one event for each of `types` whose status or reason changed; the first good state of all is news too. */
export function recordTransitions(
  events: EventRecorder,
  object: KubeObject,
  present: readonly Condition[],
  next: readonly Condition[],
  types: readonly string[],
): void {
  for (const { type, status, reason, message } of next) {
    if (!types.includes(type)) continue;
    const before = present.find((condition) => condition.type === type);
    if (before?.status === status && before.reason === reason) continue;
    const good = (status === 'True') !== NEGATIVE.has(type);
    // That nothing is being deleted, or nothing is known yet, is no news.
    if (status === 'Unknown' || (good && NEGATIVE.has(type))) continue;
    if (good && before === undefined && type !== 'Ready') continue;
    const severity = good || UNDER_WAY.has(reason) ? 'Normal' : 'Warning';
    events.record(object, { type: severity, reason, action: 'Reconcile', note: message });
  }
}
