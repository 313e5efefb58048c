/** Watching a data plane refuse bodies: what it says before one is sent, and whether any of it reaches the disk. */

import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { S3Access } from '../../harness/clients.ts';

/**
 * Sends a head and never the body that it announces. Resolves to what came back when an interim or a whole answer
 * is there, or the connection has ended.
 */
export function answerBeforeBody(access: S3Access, head: string): Promise<string> {
  const url = new URL(access.endpoint);
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ host: url.hostname, port: Number(url.port) }, () => socket.write(head));
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1');
      if (received.startsWith('HTTP/1.1 100') || received.includes('</Error>')) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

export interface BlobWatch {
  /** Names of all files that were made, changed or removed since the watch began, with certainty. */
  names(): Promise<readonly string[]>;
  close(): void;
}

/** Watches the folder that blobs are staged in. */
export function watchBlobs(dataFolder: string): BlobWatch {
  const root = join(dataFolder, 'blobs');
  const [incarnation = '', ...others] = readdirSync(root).filter((name) => /^[0-9a-f]{32}$/.test(name));
  if (others.length > 0) throw new Error('more than one incarnation: which one is alive?');
  const folder = join(root, incarnation);
  const seen = new Set<string>();
  let wake = (): void => undefined;
  const watcher = watch(folder, (_, name) => {
    if (name !== null) seen.add(name);
    wake();
  });
  return {
    names: async () => {
      // Events come in order: when this one has come, so have all others.
      const last = `last-${randomBytes(4).toString('hex')}`;
      const path = join(folder, last);
      await new Promise<void>((resolve) => {
        wake = () => {
          if (seen.has(last)) resolve();
        };
        writeFileSync(path, '');
      });
      rmSync(path);
      return [...seen].filter((name) => !name.startsWith('last-'));
    },
    close: () => watcher.close(),
  };
}
