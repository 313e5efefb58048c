/** A KMSConnection with its material as the files that a data plane reads. Pure. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KMSConnectionSpec } from '../../crds/kmsconnection.ts';
import { duration } from '../../dataplane/config/scalars.ts';
import { KMIP_PROFILE_NAMES, profileWith } from '../../dataplane/keys/kmip/profiles.ts';
import type { KmsConnectionSettings } from '../../dataplane/keys/settings.ts';
import type { ObjectKey } from '../kube/resource.ts';
import type { Material } from './material.ts';

/** File name → text. Some are secrets. */
export type ConnectionFiles = Readonly<Record<string, string>>;

/** `namespace/name`: how data planes call the connection. */
export const connectionName = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;

/** Which of the sixteen Secrets holds it: `0` to `f`. */
export const shardOf = (key: ObjectKey): string =>
  createHash('sha256').update(connectionName(key)).digest('hex').slice(0, 1);

/**
 * The names of all files that a connection may have. Namespaces have no dots, so two namespaces never share one; and
 * within one the only name that could meet another's file, `x.credentials`, is refused by the API server.
 */
export function fileNames({ namespace, name }: ObjectKey) {
  const of = (ending: string): string => `${namespace}.${name}.${ending}`;
  return {
    document: of('json'),
    cert: of('tls.crt'),
    key: of('tls.key'),
    ca: of('ca.crt'),
    credentials: of('credentials.json'),
  };
}

/** The files, and the revision that the data plane will echo: it changes with any of them. */
export function connectionFiles(
  key: ObjectKey,
  { provider, kmip, keyAccess, cache }: KMSConnectionSpec,
  { cert, key: privateKey, ca, credentials }: Material,
): { readonly files: ConnectionFiles; readonly revision: string } {
  const names = fileNames(key);
  const { endpoints, profile, protocol, keyNamePrefix, objectGroup, timeouts } = kmip;
  const document = {
    name: connectionName(key),
    provider,
    kmip: {
      endpoints: endpoints.map(({ host, port, tier, serverName }) => ({ host, port, tier, serverName })),
      tls: { certFile: names.cert, keyFile: names.key, caFile: names.ca },
      credentialsFile: credentials === null ? undefined : names.credentials,
      profile,
      protocol,
      keyNamePrefix,
      objectGroup,
      timeouts,
    },
    keyAccess,
    cache,
  };
  const material: Record<string, string> = {
    [names.cert]: cert,
    [names.key]: privateKey,
    [names.ca]: ca,
    ...(credentials === null ? {} : { [names.credentials]: JSON.stringify(credentials) }),
  };
  const revision = createHash('sha256')
    .update(JSON.stringify([document, material]))
    .digest('hex');
  return {
    files: { ...material, [names.document]: JSON.stringify({ ...document, revision }, null, 2) },
    revision,
  };
}

const version = z.enum(['1.0', '1.1', '1.2', '1.3', '1.4']);
const anyDuration = duration('0s', '168h');

const rendered = z.object({
  name: z.string(),
  revision: z.string(),
  kmip: z.object({
    endpoints: z.array(
      z.object({ host: z.string(), port: z.int(), tier: z.int(), serverName: z.string().optional() }),
    ),
    profile: z.enum(KMIP_PROFILE_NAMES).default('Generic'),
    protocol: z.object({ min: version.optional(), max: version.optional() }).default({}),
    keyNamePrefix: z.string(),
    objectGroup: z.boolean(),
    timeouts: z.object({ connect: anyDuration, request: anyDuration, total: anyDuration }),
  }),
  cache: z.object({ ttl: anyDuration, staleLimit: anyDuration }),
});

const credentialsFile = z.object({ username: z.string(), password: z.string() });

/** What is in force, as read back from rendered files; null: nothing usable is. */
export function settingsIn(
  key: ObjectKey,
  files: ConnectionFiles,
): { readonly settings: KmsConnectionSettings; readonly revision: string } | null {
  const names = fileNames(key);
  const [document, cert, privateKey, ca] = [
    files[names.document],
    files[names.cert],
    files[names.key],
    files[names.ca],
  ];
  if (document === undefined || cert === undefined || privateKey === undefined || ca === undefined)
    return null;
  const parsed = rendered.safeParse(parseJson(document));
  if (!parsed.success) return null;
  const { name, revision, kmip, cache } = parsed.data;
  const credentials = credentialsFile.safeParse(parseJson(files[names.credentials] ?? ''));
  return {
    revision,
    settings: {
      name,
      endpoints: kmip.endpoints.map(({ serverName, ...endpoint }) =>
        serverName === undefined ? endpoint : { ...endpoint, serverName },
      ),
      tls: { cert, key: privateKey, ca },
      ...(credentials.success ? { credentials: credentials.data } : {}),
      ...profileWith(kmip.profile, kmip.protocol),
      keyNamePrefix: kmip.keyNamePrefix,
      objectGroup: kmip.objectGroup,
      timeouts: {
        connectMs: kmip.timeouts.connect,
        requestMs: kmip.timeouts.request,
        totalMs: kmip.timeouts.total,
      },
      cache: { ttlMs: cache.ttl, staleLimitMs: cache.staleLimit },
    },
  };
}

/** The value, or undefined when the text is no JSON: the schema then refuses it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
