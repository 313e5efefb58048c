/** Scalars of the admin API's documents, as zod schemas. */
import { z } from 'zod';

/** UTC, RFC 3339 with milliseconds, as Date.toISOString() writes it. */
export const timestamp = z.iso.datetime();
