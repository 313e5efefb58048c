/**
 * A process of its own that uses bucket keys as the data plane does: a key-holder thread, and this thread in the place of
 * a worker. Its parent tells it what to do, one command at a time, and looks at its memory meanwhile.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { getHeapSnapshot } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { type KeyHolder, startKeyHolder } from '../../../dataplane/keys/holder.ts';
import type { KeyProvider, KeyRef } from '../../../dataplane/keys/keys.ts';
import type { KmsConnectionSettings } from '../../../dataplane/keys/settings.ts';
import { connectKeyProvider } from '../../../dataplane/keys/workerKeys.ts';

export type Command =
  | { readonly kind: 'start'; readonly settings: KmsConnectionSettings }
  /** Makes a key; answered with its KeyRef. */
  | { readonly kind: 'make'; readonly kmsName: string }
  /** Encrypts something under the key. */
  | { readonly kind: 'use'; readonly ref: KeyRef }
  | { readonly kind: 'flush' }
  /** Writes the heap snapshots of both threads, which collects their garbage first. */
  | { readonly kind: 'snapshot'; readonly worker: string; readonly holder: string };

const quiet = (): void => {};
let thread: Worker | null = null;
let holder: KeyHolder | null = null;
let keys: KeyProvider | null = null;

const there = <T>(value: T | null): T => {
  if (value === null) throw new Error('not started');
  return value;
};

async function carryOut(command: Command): Promise<KeyRef | null> {
  switch (command.kind) {
    case 'start':
      holder = await startKeyHolder(
        {
          connections: [command.settings],
          logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        },
        () => {
          thread = new Worker(new URL('../../../dataplane/keys/holderThread.ts', import.meta.url));
          return thread;
        },
      );
      keys = connectKeyProvider(holder.connect());
      return null;
    case 'make': {
      const connection = 'kms';
      const kmsId = await there(keys).createKey(connection, command.kmsName);
      return { connection, kmsId, keyCheckValue: await there(keys).activateKey(connection, kmsId) };
    }
    case 'use': {
      const key = await there(keys).bucketKey(command.ref, 'write');
      const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12));
      cipher.update('something');
      cipher.final();
      return null;
    }
    case 'flush':
      await there(holder).flush('kms');
      return null;
    default:
      await pipeline(getHeapSnapshot(), createWriteStream(command.worker));
      await pipeline(await there(thread).getHeapSnapshot(), createWriteStream(command.holder));
      return null;
  }
}

process.on('message', (command: Command) => {
  carryOut(command).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
