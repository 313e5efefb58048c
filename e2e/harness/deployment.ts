/** A KMIP server and a data plane on it, in a temporary folder: what most end-to-end cases start from. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { sdkClient } from './clients.ts';
import { type Pykmip, startPykmip } from './pykmip.ts';
import { type Sealgate, type SealgateOptions, startSealgate } from './sealgate.ts';

export interface Deployment {
  readonly folder: string;
  readonly kms: Pykmip;
  /** The running data plane; another one after restart(). */
  readonly server: Sealgate;
  /** AWS's SDK on it. */
  readonly s3: S3Client;
  /** Starts the data plane again on the same data, after it ended; options as at the start. */
  restart(): Promise<void>;
  /** Stops both and removes the folder. */
  close(): Promise<void>;
}

/** Starts both. `options.parent` is the folder to work in; default: the system's folder for temporary files. */
export async function startDeployment(
  options: Omit<SealgateOptions, 'folder' | 'kms'> & { readonly parent?: string } = {},
): Promise<Deployment> {
  const { parent, ...serverOptions } = options;
  const folder = await mkdtemp(join(parent ?? tmpdir(), 'sealgate-case-'));
  const kms = await startPykmip({ folder: join(folder, 'kms') });
  const { ca, clientCert, clientKey } = kms.certificates;
  const start = (): Promise<Sealgate> =>
    startSealgate({
      ...serverOptions,
      folder: join(folder, 'sealgate'),
      kms: { port: kms.port, certificates: { ca, cert: clientCert, key: clientKey } },
    });
  let server = await start().catch(async (error: unknown) => {
    await kms.kill();
    throw error;
  });
  let s3 = sdkClient(server);
  return {
    folder,
    kms,
    get server() {
      return server;
    },
    get s3() {
      return s3;
    },
    restart: async () => {
      s3.destroy();
      server = await start();
      s3 = sdkClient(server);
    },
    close: async () => {
      s3.destroy();
      await server.kill();
      await kms.kill();
      await rm(folder, { recursive: true });
    },
  };
}
