/**
 * What the cases about the process itself share: processes that are ended whatever happens, and their log.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { type Sealgate, type SealgateOptions, startSealgate } from './sealgate.ts';

type StartOptions = Omit<SealgateOptions, 'folder'>;

/** A folder for data planes; those that still run are killed when it is removed. */
export class Workplace {
  readonly folder: string;
  readonly #started: Sealgate[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), 'sealgate-process-')));
  }

  /** Starts a data plane in the folder; one that ran there before has left it its data. */
  async start(options: StartOptions = {}): Promise<Sealgate> {
    const sealgate = await startSealgate({ folder: this.folder, ...options });
    this.#started.push(sealgate);
    return sealgate;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#started.map((sealgate) => sealgate.kill()));
    await rm(this.folder, { recursive: true });
  }
}

/** An S3 client with the root credentials that does not try again. */
export function rootClient(
  access: Pick<Sealgate, 'endpoint' | 'region' | 'accessKeyId' | 'secretAccessKey'>,
): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = access;
  const credentials = { accessKeyId, secretAccessKey };
  return new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1, credentials });
}

/** The next line with this message after those that are there already. */
export function nextLine(sealgate: Sealgate, message: string): Promise<Record<string, unknown>> {
  let skip = sealgate.logLines().filter((line) => line.includes(`"msg":"${message}"`)).length;
  return sealgate.logLine((line) => line['msg'] === message && skip-- === 0);
}
