/** Conditions of a status as metav1.Condition (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md). */
import { z } from 'zod';
import type { KubeObject } from '../kube/resource.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, never empty. */
  readonly reason: string;
  /** For people; no secret. */
  readonly message: string;
  readonly observedGeneration?: number | undefined;
  /** RFC 3339 in whole seconds. */
  readonly lastTransitionTime: string;
}

export type NewCondition = Omit<Condition, 'lastTransitionTime'>;

/** The API allows so many characters of a message. */
const LONGEST_MESSAGE = 32_768;

/** The list with that condition. Its time moves only with its status; its place stays, a new one comes last. */
export function setCondition(
  list: readonly Condition[],
  next: NewCondition,
  wallMs: number,
): readonly Condition[] {
  const present = list.find(({ type }) => type === next.type);
  const lastTransitionTime =
    present?.status === next.status
      ? present.lastTransitionTime
      : new Date(wallMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
  const made: Condition = { ...next, message: next.message.slice(0, LONGEST_MESSAGE), lastTransitionTime };
  return present === undefined ? [...list, made] : list.map((old) => (old === present ? made : old));
}

export function condition(list: readonly Condition[], type: string): Condition | undefined {
  return list.find((one) => one.type === type);
}

/** Whether both say the same, wherever in the list. */
export function conditionsEqual(a: readonly Condition[], b: readonly Condition[]): boolean {
  return a.length === b.length && a.every((one) => isSame(one, condition(b, one.type)));
}

function isSame(a: Condition, b: Condition | undefined): boolean {
  return (
    b !== undefined &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}

const withConditions = z.looseObject({
  status: z
    .looseObject({
      conditions: z
        .array(
          z.looseObject({
            type: z.string(),
            status: z.enum(['True', 'False', 'Unknown']),
            reason: z.string(),
            message: z.string(),
            observedGeneration: z.number().optional(),
            lastTransitionTime: z.string(),
          }),
        )
        .optional(),
    })
    .optional(),
});

/** The conditions that an object shows; none when it shows none that can be read: they are made anew then. */
export function conditionsOf(object: KubeObject): readonly Condition[] {
  const parsed = withConditions.safeParse(object);
  return parsed.success ? (parsed.data.status?.conditions ?? []) : [];
}
