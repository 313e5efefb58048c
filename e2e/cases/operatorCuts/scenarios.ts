/** What the operator does when it is cut off, and how each of it has to end. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { z } from 'zod';
import { ENCRYPTED_BUCKET, KMS_CONNECTION } from '../../../operator/kube/kinds.ts';
import { until } from '../operatorRuntime/cluster.ts';
import type { OperatorProcess } from '../operatorRuntime/operatorProcess.ts';
import { type CutStage, isReady, TEAM } from './cutStage.ts';
import type { CutScenario } from './runCuts.ts';

const CONNECTION = 'keysecure';

const key = (name: string) => ({ namespace: TEAM, name });
const secretName = (name: string): string => `${name}-s3`;

const connectionReady = async ({ caches }: CutStage, name: string): Promise<void> =>
  await until(caches.connections, () => isReady(caches.connections.get(key(name))));

export async function bucketReady({ caches }: CutStage, name: string): Promise<void> {
  await until(caches.buckets, () => isReady(caches.buckets.get(key(name))));
}

/** The connection that all buckets share. */
export async function connected(stage: CutStage): Promise<void> {
  if (stage.caches.connections.get(key(CONNECTION)) === undefined) await stage.connect(CONNECTION);
  await connectionReady(stage, CONNECTION);
}

export async function declare(stage: CutStage, name: string, spec: object = {}): Promise<void> {
  await stage.create('EncryptedBucket', name, {
    kmsConnectionRef: { name: CONNECTION },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: secretName(name) }],
    ...spec,
  });
}

async function declared(stage: CutStage, name: string, spec: object = {}): Promise<void> {
  await connected(stage);
  await declare(stage, name, spec);
  await bucketReady(stage, name);
}

async function annotate(stage: CutStage, name: string, annotations: Record<string, string>): Promise<void> {
  await stage.runtime.client.mergePatch(ENCRYPTED_BUCKET, key(name), { metadata: { annotations } });
}

/** Everything of a bucket that a leader could change, with the versions of its objects. */
export async function standingOf(stage: CutStage, name: string): Promise<object> {
  const { caches, kms } = stage;
  const told = await stage.asPerson(async (admin) => ({
    keys: await admin.accessKeys(`${TEAM}/${name}`),
    report: await admin.bucket(name),
  }));
  const versions = [caches.buckets.get(key(name)), caches.secrets.get(key(secretName(name)))].map(
    (object) => object?.metadata.resourceVersion,
  );
  return { ...told, versions, kmsKeys: kms.store.keys.size };
}

/** Whether the kernel has stopped it. */
export function isStopped({ pid }: OperatorProcess): boolean {
  const [, state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  return state?.startsWith('T') === true;
}

const secretView = z.object({ data: z.record(z.string(), z.string()) });

/** One key that its Secret names, and as many keys in the KMS as the bucket has versions. */
async function inOrder(
  stage: CutStage,
  name: string,
  expected: { readonly versions: number },
): Promise<void> {
  const { data } = secretView.parse(stage.caches.secrets.get(key(secretName(name))));
  const keyId = Buffer.from(data['AWS_ACCESS_KEY_ID'] ?? '', 'base64').toString('utf8');
  const { keys, report } = await stage.asPerson(async (admin) => ({
    keys: await admin.accessKeys(`${TEAM}/${name}`),
    report: await admin.bucket(name),
  }));
  expect(keys.filter(({ expiresAt }) => expiresAt === null).map(({ accessKeyId }) => accessKeyId)).toEqual([
    keyId,
  ]);
  expect(report).toMatchObject({ owner: `${TEAM}/${name}`, keyVersion: expected.versions });
}

async function gone(stage: CutStage, name: string): Promise<void> {
  const { buckets } = stage.caches;
  await until(buckets, () => buckets.get(key(name)) === undefined);
}

async function nothingLeft(stage: CutStage, name: string, bucketStays: boolean): Promise<void> {
  expect(stage.caches.secrets.get(key(secretName(name)))).toBeUndefined();
  const { keys, report } = await stage.asPerson(async (admin) => ({
    keys: await admin.accessKeys(`${TEAM}/${name}`),
    report: await admin.bucket(name),
  }));
  expect(keys).toEqual([]);
  expect(report !== null).toBe(bucketStays);
}

const removal = async ({ runtime }: CutStage, name: string): Promise<void> => {
  await runtime.client.delete(ENCRYPTED_BUCKET, key(name));
};

const removed = async (stage: CutStage, name: string): Promise<void> => {
  await removal(stage, name);
  await gone(stage, name);
};

export const cutScenarios: readonly CutScenario[] = [
  {
    name: 'a new bucket',
    keysMade: 1,
    tidy: removed,
    every: 5,
    prepare: async (stage) => await connected(stage),
    change: async (stage, name) => await declare(stage, name),
    settled: bucketReady,
    check: async (stage, name) => await inOrder(stage, name, { versions: 1 }),
  },
  {
    name: 'a rotation of the key',
    keysMade: 1,
    tidy: removed,
    every: 5,
    prepare: async (stage, name) => await declared(stage, name),
    change: async (stage, name) => await annotate(stage, name, { 'sealgate.io/rotate-key': '1' }),
    settled: async ({ caches: { buckets } }, name) =>
      await until(buckets, () => shownKey(buckets.get(key(name)))?.version === 2),
    check: async (stage, name) => await inOrder(stage, name, { versions: 2 }),
  },
  {
    name: 'a rotation of access',
    keysMade: 0,
    tidy: removed,
    every: 11,
    prepare: async (stage, name) => await declared(stage, name),
    change: async (stage, name) => await annotate(stage, name, { 'rotate-access.sealgate.io/app': '1' }),
    settled: async ({ caches: { secrets } }, name) =>
      await until(
        secrets,
        () => secrets.get(key(secretName(name)))?.metadata.annotations?.['sealgate.io/rotated'] === '1',
      ),
    check: async (stage, name) => await inOrder(stage, name, { versions: 1 }),
  },
  ...(['Retain', 'DeleteIfEmpty', 'Purge'] as const).map((deletionPolicy) => ({
    name: `a deletion with ${deletionPolicy}`,
    keysMade: 0,
    every: 7,
    prepare: async (stage: CutStage, name: string) => {
      await declared(stage, name, { deletionPolicy });
      await annotate(stage, name, { 'sealgate.io/confirm-destroy': name });
    },
    change: removal,
    settled: gone,
    check: async (stage: CutStage, name: string) =>
      await nothingLeft(stage, name, deletionPolicy === 'Retain'),
  })),
  {
    name: 'a new connection',
    keysMade: 0,
    every: 15,
    prepare: async () => await Promise.resolve(),
    change: async (stage, name) => await stage.connect(name),
    settled: connectionReady,
    check: async (stage, name) => {
      const { kms } = await stage.asPerson(async (admin) => await admin.status());
      expect(kms.map((connection) => connection.name)).toContain(`${TEAM}/${name}`);
    },
  },
  {
    name: 'a connection that goes',
    keysMade: 0,
    every: 13,
    prepare: async (stage, name) => {
      await stage.connect(name);
      await connectionReady(stage, name);
    },
    change: async ({ runtime }, name) => {
      await runtime.client.delete(KMS_CONNECTION, key(name));
    },
    settled: async ({ caches: { connections } }, name) =>
      await until(connections, () => connections.get(key(name)) === undefined),
    check: async (stage, name) => {
      const { kms } = await stage.asPerson(async (admin) => await admin.status());
      expect(kms.map((connection) => connection.name)).not.toContain(`${TEAM}/${name}`);
    },
  },
];

const keyView = z.object({ status: z.object({ key: z.object({ version: z.int() }) }) });

function shownKey(object: unknown): { readonly version: number } | undefined {
  return keyView.safeParse(object).data?.status.key;
}
