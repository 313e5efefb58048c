import { describe, expect, test } from 'vitest';
import { enableEncryption } from '../../dataplane/buckets/bucketEncryption.ts';
import { createBucket } from '../../dataplane/buckets/createBucket.ts';
import { RotationError } from '../../dataplane/buckets/rotateBucketKey.ts';
import { KmsLost, type Life, startLife, Unsettled } from '../../dataplane/jobs/life.testkit.ts';
import {
  bucketOf,
  openSealedUpload,
  putSealed,
  readSealed,
  readUpload,
} from '../../dataplane/jobs/sealed.testkit.ts';
import { FakeClock } from '../../dataplane/keys/fakeClock.testkit.ts';
import { FakeKms } from '../../dataplane/keys/fakeKms.testkit.ts';
import { KmsError } from '../../dataplane/keys/keys.ts';
import type { Id } from '../../dataplane/metadata/metadata.ts';
import { type Engine, openEngine } from '../../dataplane/metadata/sqlite/engine.testkit.ts';

type Beginning = 'encrypted' | 'plain';
const PLAIN = { ownerId: 'owner', region: 'us-east-1', kmsConnection: null };
const OBJECTS = 3;
const content = (i: number): string => `content ${i}`;

/** What a world is told to have: a bucket, objects, an upload, and a rotation that is over. */
interface Plan {
  /** Whether the bucket is encrypted from the start, or switched to it. */
  readonly begins: Beginning;
  readonly name: string;
  /** Identifiers of uploads that were acknowledged. */
  uploadId: Id | null;
  /** Objects that were acknowledged. */
  readonly written: Set<number>;
}

/** Everything up to the revocation of the old key; may be begun again after any step. */
async function carryOut(life: Life, plan: Plan): Promise<void> {
  const known = await life.metadata.bucket(plan.name);
  if (known?.state !== 'Ready') {
    if (plan.begins === 'encrypted') await life.create(plan.name);
    else await createBucket(life.making, { ...PLAIN, name: plan.name });
  }
  if (plan.begins === 'plain') await enableEncryption(life.making, await bucketOf(life, plan.name), 'kms');
  const bucket = await bucketOf(life, plan.name);
  for (let i = 0; i < OBJECTS; i += 1) {
    if (plan.written.has(i)) continue;
    await putSealed(life, bucket, `o${i}`, content(i));
    plan.written.add(i);
  }
  plan.uploadId ??= await openSealedUpload(life, bucket, 'upload', 'to come');
  await life.rotations.rotate(plan.name, { requestId: 'r1', toConnection: null });
  await life.settle();
}

/** Exactly one key for each version, no key that no row names, one that is Current, and everything reads back. */
async function expectWhole(engine: Engine, kms: FakeKms, life: Life, plan: Plan): Promise<void> {
  const bucket = await bucketOf(life, plan.name);
  const rows = await life.metadata.keyVersions(bucket.bucketUid);
  expect(rows.filter(({ state }) => state === 'Current').map(({ n }) => n)).toEqual([bucket.keyVersion]);
  expect(rows.at(-1)?.rotation?.requestId).toBe('r1');
  const named = rows.filter(({ kmsId }) => kmsId !== null);
  const inKms = [...kms.keys].filter(([, key]) => key.name.includes(bucket.bucketUid));
  expect(named.map(({ kmsId }) => kmsId ?? '').toSorted()).toEqual(inKms.map(([kmsId]) => kmsId).toSorted());
  for (const { kmsId, kmsName, state } of named) {
    const key = kms.key(kmsId ?? '');
    expect([key.name, key.state]).toEqual([kmsName, state === 'Current' ? 2 : 3]);
  }
  for (let i = 0; i < OBJECTS; i += 1) expect(await readSealed(life, bucket, `o${i}`)).toBe(content(i));
  expect(await readUpload(life, bucket, 'upload', plan.uploadId ?? '')).toBe('to come');
  const sealed = ['object_version', 'upload']
    .map((table) => `SELECT n FROM ${table} WHERE bucket_uid = '${bucket.bucketUid}'`)
    .join(' UNION ');
  expect(engine.rows(sealed).map(({ n }) => n)).toEqual([bucket.keyVersion]);
}

/** Runs it with a cut at step `cutAt`, the first being 0, and resolves to what that was; null: it ended before. */
async function withCut(
  engine: Engine,
  kms: FakeKms,
  cutAt: number,
  how: 'kill' | 'lose the KMS',
  begins: Beginning,
): Promise<string | null> {
  const plan: Plan = { begins, name: `docs-${cutAt}`, uploadId: null, written: new Set() };
  let steps = 0;
  let at: string | null = null;
  const died = Promise.withResolvers<'died'>();
  const atStep = async (step: string): Promise<void> => {
    const kmip = step.includes('KMIP');
    if (how === 'lose the KMS' && !kmip) return;
    steps += 1;
    if (steps - 1 === cutAt) at = step;
    if (at === null) return;
    if (how === 'lose the KMS') throw new KmsLost();
    died.resolve('died');
    await new Promise<never>(() => undefined);
  };
  const life = await startLife(engine, kms, atStep);
  const ended = await Promise.race([
    carryOut(life, plan).then(
      () => 'over' as const,
      (error: unknown) => {
        if ([KmsError, RotationError, Unsettled].some((of) => error instanceof of)) return 'failed' as const;
        throw error;
      },
    ),
    died.promise,
  ]);
  if (at === null) {
    expect(ended).toBe('over');
    await expectWhole(engine, kms, life, plan);
    await life[Symbol.asyncDispose]();
    return at;
  }
  // After a kill another process begins; after an outage the same one goes on.
  const incarnation = how === 'kill' ? {} : { incarnation: life.incarnation };
  const next = await startLife(engine, kms, undefined, { ...incarnation, nowMs: life.clock.nowMs });
  await next.settle();
  await carryOut(next, plan);
  await expectWhole(engine, kms, next, plan);
  await next[Symbol.asyncDispose]();
  return at;
}

describe('creation, rotation, rewrap and revocation', () => {
  test.each([
    ['kill', 'encrypted'],
    ['lose the KMS', 'encrypted'],
    ['kill', 'plain'],
    ['lose the KMS', 'plain'],
  ] as const)(
    'cut at every step (%s, bucket made %s) end with one key for each version, none without a row, and every object readable',
    async (how, begins) => {
      await using engine = await openEngine();
      const kms = new FakeKms(new FakeClock());
      const places = new Map<string, number>();
      let cuts = 0;
      for (; ; cuts += 1) {
        const at = await withCut(engine, kms, cuts, how, begins);
        if (at === null) break;
        places.set(at, (places.get(at) ?? 0) + 1);
      }
      const list = [...places].map(([place, count]) => `${place}: ${count}`).join(', ');
      process.stdout.write(`${how}, bucket made ${begins}: ${cuts} steps cut (${list})\n`);
      expect(cuts).toBeGreaterThan(how === 'kill' ? 40 : 15);
    },
    120_000,
  );
});
