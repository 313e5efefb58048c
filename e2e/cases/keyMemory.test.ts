/**
 * What is left of a bucket key in memory when the gateway has forgotten it: nothing that any object of any thread still
 * refers to. What the memory of the process holds beyond that is counted and printed, because Node.js promises nothing.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KeyRef } from '../../dataplane/keys/keys.ts';
import { type Pykmip, startPykmip } from '../harness/pykmip.ts';
import type { Command } from './keyMemory/holderProcess.ts';
import { copiesInMemory, secretKeysIn, snapshotSpells } from './keyMemory/search.ts';

const KEYS = 5;
const folder = mkdtempSync(join(tmpdir(), 'sealgate-memory-'));
let kms: Pykmip;
let child: ChildProcess;

beforeAll(async () => {
  kms = await startPykmip({ folder: join(folder, 'kms') });
  child = fork(new URL('./keyMemory/holderProcess.ts', import.meta.url), { execArgv: [], stdio: 'inherit' });
});
afterAll(async () => {
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
  await kms.kill();
  rmSync(folder, { recursive: true });
});

async function tell(command: Command): Promise<KeyRef | null> {
  const answered = once(child, 'message');
  child.send(command);
  const [answer] = (await answered) as [{ value?: KeyRef | null; error?: string }];
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.value ?? null;
}

/** Heap snapshots of the worker's and the key holder's thread. */
async function snapshots(name: string): Promise<readonly string[]> {
  const files = ['worker', 'holder'].map((thread) => join(folder, `${name}-${thread}.heapsnapshot`));
  const [worker = '', holder = ''] = files;
  await tell({ kind: 'snapshot', worker, holder });
  return files;
}

it('after eviction no reachable object of any thread holds a bucket key', async () => {
  const { ca, clientCert, clientKey } = kms.certificates;
  const pem = (file: string): string => readFileSync(file, 'utf8');
  await tell({
    kind: 'start',
    settings: {
      name: 'kms',
      endpoints: [{ host: kms.host, port: kms.port }],
      tls: { cert: pem(clientCert), key: pem(clientKey), ca: pem(ca) },
      protocol: { min: '1.0', max: '1.4' },
      keyNamePrefix: 'sealgate',
      objectGroup: true,
      timeouts: { connectMs: 3000, requestMs: 5000, totalMs: 10_000 },
      cache: { ttlMs: 300_000, staleLimitMs: 3_600_000 },
    },
  });
  const refs: KeyRef[] = [];
  for (let count = 0; count < KEYS; count += 1) {
    const ref = await tell({ kind: 'make', kmsName: `sealgate-memory-v1-${count}` });
    if (ref === null) throw new Error('no key was made');
    refs.push(ref);
  }
  for (const ref of refs) await tell({ kind: 'use', ref });
  const bytes = refs.map(({ kmsId }) => kms.keyBytes(kmsId));
  const copies = (): number => bytes.reduce((sum, key) => sum + copiesInMemory(Number(child.pid), key), 0);

  // The search finds keys while they are in use: in both threads as objects, and their bytes in the process.
  const inUse = await snapshots('in-use');
  expect(inUse.map(secretKeysIn)).toEqual([KEYS, KEYS]);
  const copiesInUse = copies();
  expect(copiesInUse).toBeGreaterThanOrEqual(KEYS);

  await tell({ kind: 'flush' });
  const evicted = await snapshots('evicted');
  expect(evicted.map(secretKeysIn)).toEqual([0, 0]);
  for (const file of evicted) {
    expect(bytes.some((key) => snapshotSpells(file, key))).toBe(false);
  }
  // Its garbage was collected for the snapshot; what is left is what nobody can erase from JavaScript.
  process.stdout.write(
    `copies of ${KEYS} bucket keys in the memory of the process: ${copiesInUse} in use, ${copies()} after eviction and collection\n`,
  );
});
