/** Scalars of the admin API's documents, as zod schemas. */
import { z } from 'zod';

/** Who declared a bucket or an access key: `namespace/name` of the resource, compared as it is. */
export const owner = z
  .string()
  .max(317)
  .regex(
    /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/,
    'must be namespace/name of the resource that declares it',
  );

/** Name of a KMS connection in the configuration, such as team-a/keysecure. */
export const connectionName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9./-]{0,251}[a-z0-9])?$/, 'must be a name such as keysecure or team-a/keysecure');

/** UTC, RFC 3339 with milliseconds, as Date.toISOString() writes it. */
export const timestamp = z.iso.datetime();

/** Hours, minutes, seconds and milliseconds, as Kubernetes resources write durations: `2160h`, `1h30m`. */
export const durationText = z
  .string()
  .max(24)
  .regex(/^([0-9]{1,6}(h|m|s|ms)){1,4}$/, 'must be a duration such as 2160h');
