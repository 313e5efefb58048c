/** A KMIP server that belongs to a cluster: known there as keysecure.example.com, and removed with it. */
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import type { Cluster } from './cluster.ts';
import { startAndAwaitLine } from './firstLine.ts';
import { Processes } from './processes.ts';

const PROGRAM = fileURLToPath(new URL('./heldKms.ts', import.meta.url));

export interface ClusterKms {
  /** The bytes of a key as the server's database has them; null: it has no such key. */
  keyBytes(id: string): Buffer | null;
}

/** Starts it, and puts client.crt, client.key and ca.crt, as a KMS team hands them out, into `handOut`. */
export async function startClusterKms(cluster: Cluster, handOut: string): Promise<ClusterKms> {
  const folder = path.join(cluster.folder, 'kms');
  await startAndAwaitLine(new Processes(cluster.folder), 'kms', [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    PROGRAM,
    cluster.folder,
    folder,
  ]);
  await mkdir(handOut, { recursive: true, mode: 0o700 });
  const files = {
    'client-sealgate.crt': 'client.crt',
    'client-sealgate.key': 'client.key',
    'ca.crt': 'ca.crt',
  };
  for (const [made, given] of Object.entries(files)) {
    await copyFile(path.join(folder, 'certificates', made), path.join(handOut, given));
  }
  return {
    keyBytes: (id) => {
      const database = new DatabaseSync(path.join(folder, 'pykmip.sqlite'), { readOnly: true });
      try {
        const row = database.prepare('SELECT value FROM managed_objects WHERE uid = ?').get(Number(id));
        const value = row?.['value'];
        return value instanceof Uint8Array ? Buffer.from(value) : null;
      } finally {
        database.close();
      }
    },
  };
}
