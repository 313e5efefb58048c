/**
 * A data plane on a real KMIP server with one encrypted and one plain bucket: where cases of S3 operations begin.
 *
 * Owns both processes and their folder. It must not hide what the server answers: refusals come back as they were.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { createBucket } from './clients.ts';
import { filesHolding } from './material.ts';
import { type Pykmip, startPykmip } from './pykmip.ts';
import { type Sealgate, type SealgateOptions, startSealgate } from './sealgate.ts';

/** The two buckets of a stand. */
export const BUCKETS = ['encrypted', 'plain'] as const;

export interface Stand {
  readonly sealgate: Sealgate;
  readonly pykmip: Pykmip;
  /** Sends nothing twice, and no checksum that was not asked for. */
  readonly client: S3Client;
  /** A client whose requests carry these headers too. */
  withHeaders(headers: Readonly<Record<string, string>>): S3Client;
  /** The files under the data folder, by path from it, that hold this text as it is. */
  filesWith(marker: string): Promise<string[]>;
  /** Names of all blobs, in order. */
  blobs(): Promise<string[]>;
  close(): Promise<void>;
}

/** Starts a stand. `configPatch` as for startSealgate. */
export async function startStand(
  name: string,
  options: Pick<SealgateOptions, 'configPatch'> = {},
): Promise<Stand> {
  const folder = await mkdtemp(join(tmpdir(), `sealgate-${name}-`));
  const pykmip = await startPykmip({ folder: join(folder, 'pykmip') });
  const { clientCert: cert, clientKey: key, ca } = pykmip.certificates;
  const kms = { port: pykmip.port, certificates: { cert, key, ca } };
  const sealgate = await startSealgate({ folder: join(folder, 'sealgate'), kms, workers: 2, ...options });
  for (const bucket of BUCKETS) await createBucket(sealgate, bucket, bucket === 'encrypted');
  const clients: S3Client[] = [];
  const withHeaders = (headers: Readonly<Record<string, string>>): S3Client => {
    const { endpoint, region, accessKeyId, secretAccessKey } = sealgate;
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      credentials: { accessKeyId, secretAccessKey },
    });
    client.middlewareStack.add(
      (next) => (args) => {
        if (hasHeaders(args.request)) Object.assign(args.request.headers, headers);
        return next(args);
      },
      { step: 'build' },
    );
    clients.push(client);
    return client;
  };
  return {
    sealgate,
    pykmip,
    client: withHeaders({}),
    withHeaders,
    filesWith: (marker) => filesHolding(sealgate.dataFolder, Buffer.from(marker)),
    blobs: async () => {
      const entries = await readdir(join(sealgate.dataFolder, 'blobs'), {
        recursive: true,
        withFileTypes: true,
      });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name)
        .toSorted();
    },
    close: async () => {
      for (const client of clients) client.destroy();
      await sealgate.stop();
      await pykmip.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}

/** What a refused request said. */
export interface Refusal {
  readonly code: string;
  readonly status: number | undefined;
  /** Message and further elements of the error document. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** The refusal that a request must end in; throws when it succeeds. */
export async function refusal(sent: Promise<unknown>): Promise<Refusal> {
  try {
    await sent;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return {
      code: error.name,
      status: error.$metadata.httpStatusCode,
      details: Object.fromEntries(Object.entries(error)),
    };
  }
  throw new Error('the request was not refused');
}
