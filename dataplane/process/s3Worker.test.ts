import { createSecretKey } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createBalanceCounters } from './balance.ts';
import { S3Worker } from './s3Worker.ts';

test('a worker that cannot start is reported once, and whoever waits for it is told', async () => {
  const failures: string[] = [];
  const worker = new S3Worker(
    {
      index: 3,
      incarnation: '0'.repeat(32),
      settings: {
        region: 'us-east-1',
        domains: [],
        tls: null,
        policy: { plainBuckets: 'Allowed', copyToPlain: 'Allowed' },
        defaultKmsConnection: null,
        keyNamePrefixes: new Map(),
        installationId: '0'.repeat(32),
        root: { accessKeyId: 'a', secretAccessKey: 's', ownerId: 'o' },
        logLevel: 'fatal',
      },
      controlKey: createSecretKey(Buffer.alloc(32)),
      installationKey: createSecretKey(Buffer.alloc(32)),
      metadataPath: '/nonexistent/metadata.db',
      blobsPath: '/nonexistent/blobs',
      freeSpaceReserveBytes: 0,
      listen: { host: '127.0.0.1', port: 0 },
      sharedPort: false,
      balance: createBalanceCounters(4),
      writerPort: new MessageChannel().port1,
      keysPort: new MessageChannel().port1,
    },
    (thread) => failures.push(thread),
  );
  await expect(worker.listening()).rejects.toThrow();
  await expect(worker.drain({ drainMs: 1, tellMs: 1 })).rejects.toThrow();
  expect(failures).toEqual(['s3-3']);
});
