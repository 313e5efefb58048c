/**
 * The contract of the configuration file (apiVersion config.sealgate.io/v1). It accepts what works today and nothing
 * else: an unknown field is an error, because a setting that is silently ignored is worse than none.
 */
import { z } from 'zod';
import { KMIP_PROFILE_NAMES, profileWith } from '../keys/kmip/profiles.ts';
import { domainName, duration, filePath, hostName, listenAddress } from './scalars.ts';

const API_VERSION = 'config.sealgate.io/v1';

const WORKERS = 'must be auto or a number from 1 to 256';

const protocolVersion = z.enum(['1.0', '1.1', '1.2', '1.3', '1.4']);

const allowance = z.enum(['Allowed', 'Refused']);

const tls = z.strictObject({ certFile: filePath, keyFile: filePath });

const kmip = z
  .strictObject({
    endpoints: z
      .array(
        z.strictObject({
          host: hostName,
          port: z.int().min(1).max(65_535).default(5696),
          serverName: hostName.optional(),
          tier: z.int().min(0).max(15).default(0),
        }),
      )
      .min(1, 'must have at least one endpoint')
      .max(16, 'must have at most 16 endpoints')
      .refine(
        (endpoints) =>
          new Set(endpoints.map(({ host, port }) => `${host}:${port}`)).size === endpoints.length,
        {
          error: 'must not name the same host and port twice',
        },
      ),
    tls: z.strictObject({ certFile: filePath, keyFile: filePath, caFile: filePath }),
    credentialsFile: filePath.optional(),
    profile: z.enum(KMIP_PROFILE_NAMES).default('Generic'),
    protocol: z
      .strictObject({ min: protocolVersion.optional(), max: protocolVersion.optional() })
      .prefault({}),
    keyNamePrefix: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/,
        'must be 1 to 32 letters, digits, ".", "_" or "-", the first a letter or a digit',
      )
      .default('sealgate'),
    objectGroup: z.boolean().default(true),
    timeouts: z
      .strictObject({
        connect: duration('100ms', '1m').prefault('3s'),
        request: duration('100ms', '1m').prefault('5s'),
        total: duration('100ms', '2m').prefault('10s'),
      })
      .prefault({})
      .refine(({ connect, request, total }) => connect <= total && request <= total, {
        error: 'connect and request must not exceed total',
      }),
  })
  .superRefine(({ profile, protocol }, context) => {
    const { min, max } = profileWith(profile, protocol).protocol;
    if (min <= max) return;
    context.addIssue({
      code: 'custom',
      path: ['protocol'],
      message: `min must not be above max (${min} to ${max}, with what profile ${profile} says)`,
    });
  });

/** Told back by the status, so that whoever writes the files knows which are in force. */
const revision = z.string().min(1, 'must not be empty').max(128, 'must have at most 128 characters');

const kmsConnection = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9](?:[a-z0-9./-]{0,251}[a-z0-9])?$/,
      'must be a name such as keysecure or team-a/keysecure',
    ),
  provider: z.literal('KMIP'),
  kmip,
  keyAccess: z.literal('Fetch').default('Fetch'),
  cache: z
    .strictObject({
      ttl: duration('0s', '24h').prefault('5m'),
      staleLimit: duration('0s', '168h').prefault('1h'),
    })
    .prefault({}),
});

/** A file of connectionsDir: one connection. */
export const connectionFile = kmsConnection.extend({ revision: revision.optional() });

/** Schema of the file's content; parsing fills in the defaults and leaves the paths as written. */
export const configFile = z
  .strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal('DataPlane'),
    revision: revision.optional(),
    installation: z.strictObject({
      id: z
        .string()
        .regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hex characters (openssl rand -hex 16), in quotes'),
      region: z.string().regex(/^[a-z0-9-]{1,63}$/, 'must be a region name such as us-east-1'),
      keyFile: filePath,
    }),
    s3: z.strictObject({
      listen: listenAddress,
      domains: z.array(domainName).default([]),
      tls: tls.optional(),
    }),
    admin: z.strictObject({ listen: listenAddress, tokenFile: filePath, tls: tls.optional() }),
    monitoring: z.strictObject({ listen: listenAddress }),
    metadata: z.strictObject({ engine: z.literal('sqlite'), path: filePath }),
    blobs: z.strictObject({ engine: z.literal('filesystem'), path: filePath }),
    kmsConnections: z.array(kmsConnection).default([]),
    connectionsDir: filePath.optional(),
    defaultKmsConnection: z.string().optional(),
    rootCredentials: z.strictObject({ file: filePath }),
    policy: z
      .strictObject({ plainBuckets: allowance.default('Allowed'), copyToPlain: allowance.default('Allowed') })
      .prefault({}),
    gc: z.strictObject({ grace: duration('0s', '8760h').prefault('24h') }).prefault({}),
    shutdownLimit: duration('500ms', '1h').prefault('40s'),
    workers: z.union([z.literal('auto'), z.int().min(1, WORKERS).max(256, WORKERS)], WORKERS).default('auto'),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info') })
      .prefault({}),
  })
  .superRefine((file, context) => {
    const names = file.kmsConnections.map((connection) => connection.name);
    for (const [i, name] of names.entries()) {
      if (names.indexOf(name) === i) continue;
      context.addIssue({
        code: 'custom',
        path: ['kmsConnections', i, 'name'],
        message: `${name} is already taken`,
      });
    }
    const known = file.connectionsDir !== undefined || names.includes(file.defaultKmsConnection ?? '');
    if (file.defaultKmsConnection !== undefined && !known) {
      context.addIssue({
        code: 'custom',
        path: ['defaultKmsConnection'],
        message: 'must be the name of one of kmsConnections',
      });
    }
  });

export type ConfigFile = z.output<typeof configFile>;

/** What a KMS connection says, wherever it stands. */
export type ConnectionEntry = z.output<typeof kmsConnection>;

/** Contents of rootCredentials.file. */
export const rootCredentialsFile = z.strictObject({
  accessKeyId: z.string().regex(/^[A-Za-z0-9_-]{3,128}$/, 'must be 3 to 128 letters, digits, "_" or "-"'),
  secretAccessKey: z
    .string()
    .regex(/^[!-~]{16,128}$/, 'must be 16 to 128 printable characters without blanks'),
});

/** Contents of kmip.credentialsFile. */
export const kmipCredentialsFile = z.strictObject({
  username: z.string().min(1).max(255),
  password: z.string().min(1).max(1024),
});
