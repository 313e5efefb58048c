/** GET /admin/v1/status, as far as clients read it; more fields may be told. */
import { z } from 'zod';
import { connectionName, timestamp } from './scalars.ts';

/** GET /admin/v1/status?connection= */
export const statusQuery = z.strictObject({
  /** Of `kms` that one alone, and of `refusedConnections` those that can be its. */
  connection: connectionName.optional(),
});

export const kmsEndpointStatus = z.object({
  host: z.string(),
  port: z.int(),
  /** 0 is used first. */
  tier: z.int(),
  /** Unknown until it was first asked. */
  state: z.enum(['Unknown', 'Up', 'Down']),
  protocolVersion: z.string().nullable(),
  vendor: z.string().nullable(),
  /** Why it is down, or in doubt. */
  message: z.string().nullable(),
});

const refusal = z.object({ at: timestamp, problems: z.array(z.string()) });

export const kmsConnectionStatus = z.object({
  name: z.string(),
  cachedKeys: z.int(),
  certificateNotAfter: timestamp,
  /** `revision` of the connection's file in force; null: it gives none, or stands in the main file. */
  revision: z.string().nullable(),
  endpoints: z.array(kmsEndpointStatus),
});

/** A file of connectionsDir as it is now that is not in force. The connection's last good one, if any, still is. */
export const refusedConnection = z
  .object({ file: z.string(), name: z.string().nullable() })
  .extend(refusal.shape);

export const status = z.object({
  version: z.string(),
  installationId: z.string(),
  incarnation: z.string(),
  startedAt: timestamp,
  phase: z.string(),
  config: z.object({
    hash: z.string(),
    /** `revision` of the main file in force; null: it gives none. */
    revision: z.string().nullable(),
    loadedAt: timestamp,
    refused: refusal.nullable(),
  }),
  kms: z.array(kmsConnectionStatus),
  refusedConnections: z.array(refusedConnection),
  storage: z.object({
    metadata: z.object({ engine: z.string(), freeBytes: z.number() }),
    blobs: z.object({ engine: z.string(), freeBytes: z.number() }),
  }),
  crypto: z.object({ openssl: z.string(), aesNi: z.boolean().nullable() }),
  workers: z.int(),
});

export type Status = z.output<typeof status>;
