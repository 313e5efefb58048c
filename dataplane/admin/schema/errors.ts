/** What every refusal of the admin API looks like. */
import { z } from 'zod';

/** Body of every answer with a status of 400 and above. */
export const adminErrorBody = z.object({
  error: z.object({ code: z.string(), message: z.string() }),
});
