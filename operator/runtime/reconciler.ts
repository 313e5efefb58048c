/** What a kind of resource gives to the runtime, which knows no kind itself. */
import type { KubeObject, ObjectKey } from '../kube/resource.ts';

export interface ReconcileResult {
  /** Look again after this long although nothing changed; undefined: only when something changes. */
  readonly requeueAfterMs?: number;
}

/**
 * Brings one object to what is declared. Level-triggered: it is told a key, not a change, and may be repeated after any
 * crash. A rejection is retried with backoff.
 */
export interface Reconciler {
  readonly name: string;
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult>;
}

/** Puts keys into a controller's queue from outside its own kind's events. */
export interface Enqueue {
  (key: ObjectKey): void;
}

/** Events (events.k8s.io/v1), on transitions only; repeated ones are counted by the API server's series. */
export interface EventRecorder {
  record(
    regarding: KubeObject,
    event: {
      readonly type: 'Normal' | 'Warning';
      /** CamelCase. */
      readonly reason: string;
      /** CamelCase, what was being done. */
      readonly action: string;
      /** For people; no secret. */
      readonly note: string;
    },
  ): void;
}
