/**
 * A KMIP server and a data plane on it, in a temporary folder: what most end-to-end cases start from.
 *
 * Owns both processes, their folder and the clients that it gave out. It must not hide what the server answers:
 * refusals come back as they were.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { addHeaders, createBucket, sdkClient } from './clients.ts';
import { filesHolding } from './material.ts';
import { type Pykmip, startPykmip } from './pykmip.ts';
import { type Sealgate, type SealgateOptions, startSealgate } from './sealgate.ts';

/** The buckets that `buckets: true` makes: one of each kind, named for it. */
export const BUCKETS = ['encrypted', 'plain'] as const;

export interface DeploymentOptions extends Omit<SealgateOptions, 'folder' | 'kms'> {
  /** The folder to work in; default: the system's folder for temporary files. */
  readonly parent?: string;
  /** Whether BUCKETS are made at the start. */
  readonly buckets?: boolean;
}

export interface Deployment {
  readonly folder: string;
  readonly kms: Pykmip;
  /** The running data plane; another one after restart(). */
  readonly server: Sealgate;
  /** AWS's SDK on it, as applications use it. */
  readonly s3: S3Client;
  /** AWS's SDK on it that sends nothing twice, and no checksum that was not asked for. */
  readonly client: S3Client;
  /** Another one as `client`, whose requests carry these headers too. */
  withHeaders(headers: Readonly<Record<string, string>>): S3Client;
  /** The files under the data folder, by path from it, that hold this text as it is. */
  filesWith(marker: string): Promise<string[]>;
  /** Names of all blobs, in order. */
  blobs(): Promise<string[]>;
  /** Starts the data plane again on the same data, after it ended; options as at the start. */
  restart(): Promise<void>;
  /** Ends the data plane in order (so that it leaves its coverage), kills the KMS, and removes the folder. */
  close(): Promise<void>;
}

/** Starts both; rejects with what either said when it does not come up, and leaves nothing running. */
export async function startDeployment(options: DeploymentOptions = {}): Promise<Deployment> {
  const { parent, buckets = false, ...serverOptions } = options;
  const folder = await mkdtemp(join(parent ?? tmpdir(), 'sealgate-case-'));
  const kms = await startPykmip({ folder: join(folder, 'kms') });
  const { ca, clientCert, clientKey } = kms.certificates;
  const clients: S3Client[] = [];
  const keep = (client: S3Client): S3Client => {
    clients.push(client);
    return client;
  };
  const start = async () => {
    const server = await startSealgate({
      ...serverOptions,
      folder: join(folder, 'sealgate'),
      kms: { port: kms.port, certificates: { ca, cert: clientCert, key: clientKey } },
    });
    return { server, s3: keep(sdkClient(server)), client: keep(strictClient(server, {})) };
  };
  let running = await start().catch(async (error: unknown) => {
    await kms.kill();
    throw error;
  });
  const leave = (): void => {
    for (const client of clients.splice(0)) client.destroy();
  };
  const close = async (): Promise<void> => {
    leave();
    await running.server.stop();
    await kms.kill();
    await rm(folder, { recursive: true });
  };
  try {
    for (const bucket of buckets ? BUCKETS : []) {
      await createBucket(running.server, bucket, bucket === 'encrypted');
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    folder,
    kms,
    get server() {
      return running.server;
    },
    get s3() {
      return running.s3;
    },
    get client() {
      return running.client;
    },
    withHeaders: (headers) => keep(strictClient(running.server, headers)),
    filesWith: (marker) => filesHolding(running.server.dataFolder, Buffer.from(marker)),
    blobs: () => blobsUnder(join(running.server.dataFolder, 'blobs')),
    restart: async () => {
      leave();
      running = await start();
    },
    close,
  };
}

function strictClient(server: Sealgate, headers: Readonly<Record<string, string>>): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    credentials: { accessKeyId, secretAccessKey },
  });
  addHeaders(client, headers);
  return client;
}

async function blobsUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .toSorted();
}
