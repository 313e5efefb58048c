/**
 * One life of a process as far as keys go, on a real engine and a KMS that speaks KMIP, which can be cut at any step.
 *
 * A step is one KMIP message before it is sent or after its answer, or one metadata commit before or after. A killed life
 * does nothing any more: whatever it waits for never comes. A life that lost its KMS goes on and is told of failures.
 */

import { Registry } from 'prom-client';
import { AdminError } from '../admin/errors.ts';
import { createBucket } from '../buckets/createBucket.ts';
import type { KeyMaking } from '../buckets/makeBucketKey.ts';
import { newId } from '../crypto/ids.ts';
import { systemRandom } from '../crypto/random.ts';
import { KmsConnections } from '../keys/connections.ts';
import { FakeClock } from '../keys/fakeClock.testkit.ts';
import type { FakeKms } from '../keys/fakeKms.testkit.ts';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import type { Connect } from '../keys/kmip/connection.ts';
import { KmipError } from '../keys/kmip/errors.ts';
import { testSettings } from '../keys/settings.testkit.ts';
import type { Id, Metadata } from '../metadata/metadata.ts';
import type { Engine } from '../metadata/sqlite/engine.testkit.ts';
import { ListKeys } from '../objects/listKeys.ts';
import type { JobClock } from './jobClock.ts';
import { createKeyJobMetrics } from './keyJobMetrics.ts';
import { KeyJobs } from './keyJobs.ts';
import type { ReencryptJobs } from './reencryptJobs.ts';
import { Rotations } from './rotations.ts';

/** Called at every step; what it returns is awaited before the step, and what it throws is thrown there. */
export type AtStep = (step: string) => Promise<void>;

/** Names of the calls that commit. */
const COMMITS: ReadonlySet<string> = new Set([
  'createBucket',
  'updateBucket',
  'deleteBucket',
  'dropReservation',
  'putKeyVersion',
  'commitVersion',
  'createUpload',
  'rewrap',
  'retireKeyVersion',
  'putJobState',
]);

export interface Life extends AsyncDisposable {
  readonly incarnation: Id;
  readonly metadata: Metadata;
  readonly keys: KeyProvider;
  readonly making: KeyMaking;
  readonly rotations: Rotations;
  readonly jobs: KeyJobs;
  /** Begins at one second: the keys of FakeKms are made at 0, and Locate refuses keys that are too old. */
  readonly clock: JobClock & { nowMs: number };
  readonly log: readonly string[];
  create(name: string): Promise<void>;
  /** Rounds of the jobs until nothing has to be done for a minute; `most`: when that is a defect. */
  settle(most?: number): Promise<void>;
}

export interface LifeOptions {
  readonly incarnation?: Id;
  readonly nowMs?: number;
  /** Instead of time that passes at once. */
  readonly wait?: JobClock['wait'];
  /** Ends the jobs that run. */
  readonly signal?: AbortSignal;
}

/** After so many rounds the jobs still had something to do. */
export class Unsettled extends Error {}

/** Time that passes when a job waits. */
function jobClock(startMs: number): JobClock & { nowMs: number } {
  const clock: JobClock & { nowMs: number } = {
    nowMs: startMs,
    wallMs: () => clock.nowMs,
    steadyMs: () => clock.nowMs,
    wait: (waitMs: number) => {
      clock.nowMs += waitMs;
      return Promise.resolve();
    },
  };
  return clock;
}

export async function startLife(
  engine: Engine,
  kms: FakeKms,
  atStep: AtStep = () => Promise.resolve(),
  options: LifeOptions = {},
): Promise<Life> {
  const incarnation = options.incarnation ?? newId();
  const metadata = cutMetadata(engine.metadata, atStep);
  const connections = new KmsConnections({
    clock: new FakeClock(),
    connector: () => cutConnect(kms.connect, atStep),
    log: () => undefined,
    evict: () => undefined,
  });
  await connections.update([testSettings(), testSettings({ name: 'other' })]);
  const keys: KeyProvider = {
    bucketKey: async ({ connection, kmsId, keyCheckValue }, use) => {
      const { key, writable } = await connections.key(connection, kmsId, keyCheckValue);
      if (use === 'write' && !writable) throw new KmsError('InvalidState', 'not Active');
      return key;
    },
    createKey: (connection, kmsName) => connections.createKey(connection, kmsName),
    locateKey: (connection, kmsName, reservedMs) => connections.locateKey(connection, kmsName, reservedMs),
    activateKey: (connection, kmsId) => connections.activateKey(connection, kmsId),
    revokeKey: (connection, kmsId) => connections.revokeKey(connection, kmsId),
    destroyKey: (connection, kmsId) => connections.destroyKey(connection, kmsId),
  };
  const clock = jobClock(options.nowMs ?? 1_000);
  if (options.wait !== undefined) clock.wait = options.wait;
  const lines: string[] = [];
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  const log = { info: note('info'), warn: note('warn'), error: note('error') };
  const metrics = createKeyJobMetrics(new Registry());
  const making = {
    metadata,
    keys,
    incarnation,
    now: () => clock.wallMs(),
    keyNamePrefix: (connection: string) => {
      if (connection === 'kms' || connection === 'other') return 'sealgate';
      throw new KmsError('UnknownConnection', `there is no KMS connection ${connection}`);
    },
  };
  const rotations = new Rotations({ making, metrics, log });
  const tools = { random: systemRandom, listKeys: new ListKeys() };
  const ending = new AbortController();
  const jobs = new KeyJobs({
    metadata,
    keys,
    tools,
    rotations,
    incarnation,
    clock,
    log,
    metrics,
    signal: options.signal ?? ending.signal,
  });
  return {
    incarnation,
    metadata,
    keys,
    making,
    rotations,
    jobs,
    clock,
    log: lines,
    create: (name) =>
      createBucket(making, { name, ownerId: 'owner', region: 'us-east-1', kmsConnection: 'kms' }),
    settle: async (most = 50) => {
      for (let round = 1; ; round += 1) {
        const waitMs = await jobs.round();
        if (waitMs >= 60_000) return;
        if (round === most)
          throw new Unsettled(`the jobs do not come to rest:\n${lines.slice(-5).join('\n')}`);
        clock.nowMs += waitMs;
      }
    },
    [Symbol.asyncDispose]: () => {
      ending.abort();
      connections.close();
      return Promise.resolve();
    },
  };
}

function cutMetadata(metadata: Metadata, atStep: AtStep): Metadata {
  return new Proxy(metadata, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || typeof name !== 'string' || !COMMITS.has(name)) return value;
      return async (...args: unknown[]): Promise<unknown> => {
        await atStep(`before the commit of ${name}`);
        const result: unknown = await Reflect.apply(value, target, args);
        await atStep(`after the commit of ${name}`);
        return result;
      };
    },
  });
}

function cutConnect(connect: Connect, atStep: AtStep): Connect {
  return async (...args) => {
    const connection = await connect(...args);
    const lost = (error: unknown, sent: boolean): never => {
      connection.destroy();
      if (error instanceof KmsLost) throw new KmipError('Connection', 'cut', { sent });
      throw error;
    };
    return {
      get usable() {
        return connection.usable;
      },
      serverCertificateExpiresMs: connection.serverCertificateExpiresMs,
      destroy: () => connection.destroy(),
      exchange: async (request, timeoutMs) => {
        await atStep('before a KMIP message').catch((error: unknown) => lost(error, false));
        const answer = await connection.exchange(request, timeoutMs);
        await atStep('after a KMIP answer').catch((error: unknown) => lost(error, true));
        return answer;
      },
    };
  };
}

/** Thrown by AtStep: the connection to the KMS is lost at this step. */
export class KmsLost extends Error {
  constructor() {
    super('the KMS is lost');
    this.name = 'KmsLost';
  }
}

/** Re-encryptions of an administration that nobody asks for one. */
export const noReencryptions: Pick<ReencryptJobs, 'request' | 'report'> = {
  request: () => Promise.reject(new AdminError('NoReencryption', 'not asked for here')),
  report: () => Promise.reject(new AdminError('NoReencryption', 'not asked for here')),
};
