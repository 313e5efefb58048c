/**
 * The KMS of the demo: PyKMIP where it is installed, otherwise the scripted server of the tests, which keeps its keys in
 * memory. Owns which one it is; the demo needs no more than this of either.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificates } from './certificates.ts';
import { pykmipIsInstalled, startPykmip } from './pykmip.ts';
import { startScriptedKms } from './scriptedKms/scriptedKms.ts';

export interface DemoKms {
  /** For people. */
  readonly product: string;
  readonly host: string;
  readonly port: number;
  /** File paths. */
  readonly certificates: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Keys that it was asked to make. */
  creations(): number;
  stop(): Promise<void>;
}

/** Starts one in `folder`. Rejects when it does not come up, or when openssl is missing. */
export async function startDemoKms(folder: string, pykmip = pykmipIsInstalled()): Promise<DemoKms> {
  if (pykmip) {
    const server = await startPykmip({ folder });
    const { ca, clientCert, clientKey } = server.certificates;
    return {
      product: 'PyKMIP',
      host: server.host,
      port: server.port,
      certificates: { ca, cert: clientCert, key: clientKey },
      creations: () => server.requestCount('Create'),
      stop: async () => await server.kill(),
    };
  }
  await mkdir(folder, { recursive: true });
  const certificates = await makeCertificates(join(folder, 'certificates'));
  const server = await startScriptedKms({ certificates });
  return {
    product: "our tests' own, because PyKMIP is not installed: its keys are in memory only",
    host: server.host,
    port: server.port,
    certificates: { ca: certificates.ca, ...certificates.client },
    creations: () => server.count('Create'),
    stop: async () => await server.stop(),
  };
}
