/** Conditions of the custom resources: metav1.Condition, and what stands there before the operator has looked. */
import { z } from 'zod';
import { timestamp } from './scalars.ts';

export const condition = z.object({
  type: z
    .string()
    .max(316)
    .regex(
      /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$/,
    )
    .describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z
    .int()
    .min(0)
    .exactOptional()
    .meta({ format: 'int64' })
    .describe('The metadata.generation that was judged; a lower one is out of date.'),
  lastTransitionTime: timestamp().describe('When the status last changed.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe('Why, as one word for programs.'),
  message: z.string().max(32_768).describe('Why, for people. It never holds a secret.'),
});

/** How one aspect of a resource stands. */
export type Condition = Readonly<z.output<typeof condition>>;

const PENDING: Condition = {
  type: 'Ready',
  status: 'Unknown',
  reason: 'Pending',
  message: 'Waiting for the operator',
  lastTransitionTime: '1970-01-01T00:00:00Z',
};

/**
 * The conditions of a status. The default stands from the first moment, so that nobody who waits for Ready takes an
 * object that no operator has seen for a finished one.
 */
export const conditions = z
  .array(condition)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .default([PENDING]);

/** `observedGeneration` of a status. */
export const observedGeneration = z
  .int()
  .meta({ format: 'int64' })
  .default(-1)
  .describe('The metadata.generation that the operator has acted on; -1 before it has looked.');
