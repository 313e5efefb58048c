/** What a test and the operator's process that it cuts off say to each other. */
import { z } from 'zod';

export const cutOrder = z.object({
  /** Number of the message, counted from this order on, first is 1; null: none. */
  step: z.int().min(1).nullable(),
  side: z.enum(['before', 'after']),
  /** SIGSTOP: it goes on with that message when it is told to. */
  signal: z.enum(['SIGKILL', 'SIGSTOP']),
});

export const cutAnswer = z.object({
  /** Method and path of each message since the last order. */
  messages: z.array(z.string()),
});

export type CutOrder = z.output<typeof cutOrder>;
export type CutAnswer = z.output<typeof cutAnswer>;
