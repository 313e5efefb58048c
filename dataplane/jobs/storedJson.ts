/** Progress that jobs wrote down, as it is read back. */
import { z } from 'zod';

/** Text that must hold JSON of this shape. No MAC covers it: whatever stands there must not end the jobs. */
export function storedJson<Shape extends z.ZodType>(shape: Shape) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        context.addIssue({ code: 'custom', message: 'not JSON' });
        return z.NEVER;
      }
    })
    .pipe(shape);
}
