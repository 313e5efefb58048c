/**
 * A data plane with a KMS connection for each row of the outage table, each on a scripted server of its own, so that no
 * outage is another row's; and for each connection two encrypted buckets.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates, makeServerCertificate } from '../../harness/certificates.ts';
import { createBucket } from '../../harness/clients.ts';
import { type ScriptedKms, startScriptedKms } from '../../harness/scriptedKms/scriptedKms.ts';
import { type Sealgate, startSealgate } from '../../harness/sealgate.ts';
import { type RawAnswer, send } from '../../harness/signedRequest.ts';
import type { OddCertificates } from './rows.ts';

/** What every row has for itself. */
export interface Room {
  /** What requests go to, as long as it is up. */
  readonly kms: ScriptedKms;
  /** Another server with the same keys, standing by in a tier of its own; null: there is none. */
  readonly twin: ScriptedKms | null;
  /** Its key is not in the gateway's memory. */
  readonly cold: string;
  /** Its key is. */
  readonly warm: string;
}

export interface World {
  readonly server: Sealgate;
  readonly rooms: readonly Room[];
  readonly odd: OddCertificates;
  close(): Promise<void>;
}

/** Needs no KMS at all. */
export const PLAIN_BUCKET = 'plain';
/** In every bucket from the start. */
export const KEY = 'kept';
export const bodyOf = (bucket: string, key: string): Buffer => Buffer.from(`${key} of ${bucket}`);

export const put = (server: Sealgate, bucket: string, key: string): Promise<RawAnswer> =>
  send(server, { method: 'PUT', path: `/${bucket}/${key}`, body: bodyOf(bucket, key) });
export const get = (server: Sealgate, bucket: string, key: string): Promise<RawAnswer> =>
  send(server, { method: 'GET', path: `/${bucket}/${key}` });

/** Status and code, as the rows write them. */
export function seen(answer: RawAnswer): string {
  return answer.status === 200 ? '200' : `${answer.status} ${answer.code}`;
}

/** Asks the KMS on every request, and may serve stale for an hour; does not wait long. */
const PATIENCE = {
  cache: { ttl: '0s', staleLimit: '1h' },
  timeouts: { connect: '1500ms', request: '1500ms', total: '3s' },
} as const;

/**
 * Starts everything, writes an object into every bucket, and restarts the gateway so that no key is in its memory.
 * `twins`: each connection has a second server.
 */
export async function startWorld(count: number, twins = false): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-outages-'));
  const certificates = await makeCertificates(join(folder, 'certificates'));
  const odd = await oddCertificates(folder, certificates);
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const kms = await startScriptedKms({ certificates });
      return { kms, twin: twins ? await startScriptedKms({ certificates, store: kms.store }) : null };
    }),
  );
  const stopKms = async (): Promise<void> => {
    await Promise.all(
      servers.map(async ({ kms, twin }) => {
        await kms.stop();
        await twin?.stop();
      }),
    );
    await rm(folder, { recursive: true });
  };
  const start = async (): Promise<Sealgate> =>
    await startSealgate({
      folder: join(folder, 'sealgate'),
      kms: { port: 1, certificates: { ...certificates.client, ca: certificates.ca } },
      configPatch: (config) => {
        config['kmsConnections'] = connections(certificates, servers);
        config['defaultKmsConnection'] = connectionName(0);
      },
    });
  const rooms = servers.map((pair, i) => ({ ...pair, cold: `cold-${i}`, warm: `warm-${i}` }));
  try {
    const first = await start();
    await createBucket(first, PLAIN_BUCKET, false);
    await put(first, PLAIN_BUCKET, KEY);
    for (const [i, { cold, warm }] of rooms.entries()) {
      await makeDefault(first, connectionName(i));
      for (const bucket of [cold, warm]) {
        await createBucket(first, bucket, true);
        await put(first, bucket, KEY);
      }
    }
    await first.stop();
    const server = await start();
    return {
      server,
      rooms,
      odd,
      close: async () => {
        await server.stop();
        await stopKms();
      },
    };
  } catch (error) {
    await stopKms();
    throw error;
  }
}

/** As it is configured, and as metrics label it. */
export const connectionName = (i: number): string => `kms-${i}`;

function connections(certificates: Certificates, servers: readonly Pick<Room, 'kms' | 'twin'>[]): unknown[] {
  return servers.map(({ kms, twin }, i) => ({
    name: connectionName(i),
    provider: 'KMIP',
    kmip: {
      endpoints: [kms, ...(twin === null ? [] : [twin])].map(({ host, port }, tier) => ({
        host,
        port,
        tier,
      })),
      tls: {
        certFile: certificates.client.cert,
        keyFile: certificates.client.key,
        caFile: certificates.ca,
      },
      timeouts: PATIENCE.timeouts,
    },
    keyAccess: 'Fetch',
    cache: PATIENCE.cache,
  }));
}

/** Buckets made from now on have their keys there. */
async function makeDefault(server: Sealgate, connection: string): Promise<void> {
  const config = JSON.parse(await readFile(server.configFile, 'utf8')) as Record<string, unknown>;
  if (config['defaultKmsConnection'] === connection) return;
  config['defaultKmsConnection'] = connection;
  const before = server.logLines().filter((line) => line.includes(RELOADED)).length;
  let lines = 0;
  const reloaded = server.logLine((line) => {
    if (line['msg'] === RELOADED) lines += 1;
    return lines > before;
  });
  await writeFile(server.configFile, JSON.stringify(config));
  server.signal('SIGHUP');
  await reloaded;
}

const RELOADED = 'configuration reloaded';

async function oddCertificates(folder: string, certificates: Certificates): Promise<OddCertificates> {
  const authority = { folder: join(folder, 'certificates'), ...certificates };
  const [expired, elsewhere, other] = await Promise.all([
    makeServerCertificate(authority, 'expired', { days: -1 }),
    makeServerCertificate(authority, 'elsewhere', { subjectAltName: 'DNS:elsewhere.example' }),
    makeCertificates(join(folder, 'foreign')),
  ]);
  return { expired, elsewhere, foreign: other.server };
}
