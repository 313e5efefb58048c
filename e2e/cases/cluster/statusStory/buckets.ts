/** What befalls declared buckets while they live: references, names, owners, keys, credentials, a lost status. */
import {
  CreateBucketCommand,
  GetBucketEncryptionCommand,
  PutBucketEncryptionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Which } from './observer.ts';
import {
  access,
  bucket,
  CONNECTION,
  connection,
  errorOf,
  get,
  OTHER,
  put,
  TEAM,
  type World,
} from './world.ts';

const LIMIT = { timeout: 30_000, interval: 50 };
const READY = { Ready: 'True Ready', KeyReady: 'True KeyActive', BucketReady: 'True Declared' };
const keyFacts = z.object({
  version: z.int(),
  id: z.string(),
  state: z.string(),
  nextRotationTime: z.string().default(''),
});
const PENDING = { type: 'Ready', status: 'Unknown', reason: 'Pending' };
const SPEC = { Bucket: 'by-hand' };

export class BucketStory {
  readonly #world: World;
  /** With values of the bucket `shop`, which most of the story is about. */
  #shop: S3Client | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  async isMade(): Promise<void> {
    await this.#world.declare('shop', {
      ...access('shop-s3', { overlap: '5s' }),
      keyRotation: { interval: '24h' },
    });
    await this.#told(bucket('shop'), { ...READY, AccessReady: 'True SecretsReady' }, 'Normal Ready');
    this.#shop = await this.#world.client('shop-s3');
    await put(this.shop, 'shop', 'kept', 'from the beginning');
  }

  get shop(): S3Client {
    if (this.#shop === null) throw new Error('the story begins with isMade()');
    return this.#shop;
  }

  /** Of another namespace: refused, then permitted by a label, then withdrawn, then permitted again. */
  async hasNoRightToItsConnection(): Promise<void> {
    const it = bucket('guest', OTHER);
    await this.#world.declare('guest', access('guest-s3'), { namespace: OTHER });
    const forbidden = { Ready: 'False RefNotPermitted', KeyReady: 'False RefNotPermitted' };
    await this.#told(it, forbidden, 'Warning RefNotPermitted');
    const nowhere = { kmsConnectionRef: { name: 'no-such-connection', namespace: TEAM } };
    await this.#world.declare('lost', nowhere, { namespace: OTHER });
    await this.#told(bucket('lost', OTHER), forbidden, 'Warning RefNotPermitted');
    const { observer } = this.#world;
    expect(await observer.message(bucket('lost', OTHER), 'Ready')).toBe(await observer.message(it, 'Ready'));

    await this.#label('yes');
    await this.#told(it, READY, 'Normal Ready');
    const s3 = await this.#world.client('guest-s3', OTHER);
    await put(s3, 'guest', 'a', 'while permitted');

    await this.#label('no');
    const withdrawn = {
      Ready: 'True RefWithdrawn',
      KeyReady: 'True RefWithdrawn',
      BucketReady: 'True Declared',
    };
    await this.#told(it, withdrawn, 'Normal RefWithdrawn');
    expect(await get(s3, 'guest', 'a')).toBe('while permitted');
    await put(s3, 'guest', 'b', 'while withdrawn');
    await this.#world.annotate(it, 'sealgate.io/rotate-key=1');

    await this.#label('yes');
    // What was asked for meanwhile is done now, and not before.
    await expect
      .poll(async () => (await observer.read(it)).status['key'], LIMIT)
      .toMatchObject({ version: 2 });
    await this.#told(it, READY, 'Normal KeyRotated');
    expect(await get(s3, 'guest', 'b')).toBe('while withdrawn');
  }

  /** By a second resource of the namespace, and by one of another. */
  async nameIsTaken(): Promise<void> {
    for (const namespace of [TEAM, OTHER]) {
      const spec = { bucketName: 'shop', ...access('second-s3') };
      await this.#world.declare('second', spec, { namespace });
      const taken = {
        Ready: 'False BucketNameTaken',
        BucketReady: 'False BucketNameTaken',
        AccessReady: 'False BucketNotReady',
      };
      await this.#told(bucket('second', namespace), taken, 'Warning BucketNameTaken');
      await this.#world.delete(bucket('second', namespace));
    }
    for (const namespace of [TEAM, OTHER]) await this.#world.observer.gone(bucket('second', namespace));
    expect(await get(this.shop, 'shop', 'kept')).toBe('from the beginning');
  }

  /** As after a restore of the cluster's objects: the same namespace and name, and another UID. */
  async isClaimedAgain(): Promise<void> {
    const { observer } = this.#world;
    const it = bucket('archive');
    await this.#world.declare('archive', access('archive-s3'));
    await this.#told(it, READY);
    const before = await observer.read(it);
    const old = await this.#world.client('archive-s3');
    await put(old, 'archive', 'a', 'from before');
    await this.#world.delete(it);
    await observer.gone(it);
    expect(await errorOf(get(old, 'archive', 'a'))).toBe('InvalidAccessKeyId');

    await this.#world.declare('archive', access('archive-s3'));
    await this.#told(it, READY, 'Normal Ready');
    const after = await observer.read(it);
    expect(after.metadata['uid']).not.toBe(before.metadata['uid']);
    expect(after.status['bucketUID']).toBe(before.status['bucketUID']);
    expect(await get(await this.#world.client('archive-s3'), 'archive', 'a')).toBe('from before');
  }

  /** Buckets that root made over S3: who may edit declares them in vain, who may adopt gets what can be encrypted. */
  async isAdopted(): Promise<void> {
    const { observer } = this.#world;
    const root = await this.#world.root('shop-s3');
    for (const Bucket of ['by-hand', 'plain-empty', 'plain-full'])
      await root.send(new CreateBucketCommand({ Bucket }));
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' as const } };
    await root.send(
      new PutBucketEncryptionCommand({ ...SPEC, ServerSideEncryptionConfiguration: { Rules: [rule] } }),
    );
    await put(root, 'by-hand', 'a', 'made by hand');
    await put(root, 'plain-full', 'a', 'plain');

    await this.#world.declare('by-hand', access('by-hand-s3'), { as: 'story-editor' });
    const taken = { Ready: 'False BucketNameTaken', BucketReady: 'False BucketNameTaken' };
    await this.#told(bucket('by-hand'), taken, 'Warning BucketNameTaken');
    await expect(
      this.#world.declare('by-hand', { adopt: true, ...access('by-hand-s3') }, { as: 'story-editor' }),
    ).rejects.toMatchObject({ message: expect.stringContaining('spec.adopt needs the verb adopt') });

    const as = { as: 'story-adopter' };
    await this.#world.declare('by-hand', { adopt: true, ...access('by-hand-s3') }, as);
    await this.#world.declare('plain-empty', { adopt: true }, as);
    await this.#world.declare('plain-full', { adopt: true }, as);
    await this.#told(bucket('by-hand'), READY, 'Normal Ready');
    expect(await get(await this.#world.client('by-hand-s3'), 'by-hand', 'a')).toBe('made by hand');
    await this.#told(bucket('plain-empty'), READY, 'Normal Ready');
    const encryption = await root.send(new GetBucketEncryptionCommand({ Bucket: 'plain-empty' }));
    expect(encryption.ServerSideEncryptionConfiguration?.Rules).toMatchObject([rule]);
    const refused = { Ready: 'False AdoptRefused', BucketReady: 'False AdoptRefused' };
    await this.#told(bucket('plain-full'), refused, 'Warning AdoptRefused');
    expect(await get(root, 'plain-full', 'a')).toBe('plain');
    expect(await observer.events(bucket('plain-full'))).not.toContain('Normal Ready');
  }

  /** From one resource by another: the first is told when it is looked at, and its credentials have ended. */
  async isTakenOver(): Promise<void> {
    const first = bucket('by-hand');
    const old = await this.#world.client('by-hand-s3');
    await this.#world.declare('heir', { bucketName: 'by-hand', adopt: true, ...access('heir-s3') });
    await this.#told(bucket('heir'), READY, 'Normal Ready');
    await this.#world.annotate(first, 'story/look=1');
    const lost = { Ready: 'False BucketTakenOver', BucketReady: 'False BucketTakenOver' };
    await this.#told(first, lost, 'Warning BucketTakenOver');
    expect(await errorOf(get(old, 'by-hand', 'a'))).toBe('InvalidAccessKeyId');
    expect(await get(await this.#world.client('heir-s3'), 'by-hand', 'a')).toBe('made by hand');
  }

  async losesItsStatus(): Promise<void> {
    const { observer } = this.#world;
    for (const it of [bucket('shop'), connection(CONNECTION)]) {
      const before = await observer.read(it);
      const lost = await this.#world.patch(it, { status: null }, '--subresource=status', '-o', 'json');
      expect(JSON.parse(lost)).toMatchObject({ status: { observedGeneration: -1, conditions: [PENDING] } });
      await expect.poll(async () => comparable(await observer.read(it)), LIMIT).toEqual(comparable(before));
      await this.#told(it, { Ready: 'True Ready' });
    }
    expect(await get(this.shop, 'shop', 'kept')).toBe('from the beginning');
  }

  /** By annotation; of the schedule is told when it is due. */
  async keyIsRotated(): Promise<void> {
    const { observer, installation } = this.#world;
    const it = bucket('shop');
    const key = await this.#key(it);
    expect(key).toMatchObject({ version: 1, state: 'Current' });
    const madeMs = Date.parse(key.nextRotationTime) - 24 * 3_600_000;
    expect(Math.abs(madeMs - Date.now())).toBeLessThan(10 * 60_000);
    await this.#world.annotate(it, 'sealgate.io/rotate-key=spring');
    await expect.poll(() => this.#key(it), LIMIT).toMatchObject({ version: 2, state: 'Current' });
    await this.#told(it, READY, 'Normal KeyRotated');
    const after = await this.#key(it);
    expect(after.id).not.toBe(key.id);
    expect(installation.kms.keyBytes(after.id)).toHaveLength(32);
    expect(Date.parse(after.nextRotationTime)).toBeGreaterThan(Date.parse(key.nextRotationTime));
    await observer.dataPlaneMetric(
      'sealgate_bucket_key_rotations_total',
      { result: 'ok' },
      (value) => value >= 1,
    );
    expect(await get(this.shop, 'shop', 'kept')).toBe('from the beginning');
    // The same value is the same request.
    await this.#world.annotate(it, 'story/look=1');
    await put(this.shop, 'shop', 'next', 'under the new key');
    expect((await this.#key(it)).version).toBe(2);
  }

  /** Not before its time, and without being asked for. */
  async keyIsRotatedBySchedule(): Promise<void> {
    const { observer, installation } = this.#world;
    const it = bucket('shop');
    const before = await this.#key(it);
    await this.#world.setCalendarAhead(23);
    await this.#world.annotate(it, 'story/look=early');
    await this.#told(it, READY);
    expect(await this.#key(it)).toEqual(before);

    await this.#world.setCalendarAhead(25);
    // Since that pod started; one that had rotated too early would not again.
    await observer.dataPlaneMetric(
      'sealgate_bucket_key_rotations_total',
      { result: 'ok' },
      (value) => value === 1,
    );
    await this.#world.annotate(it, 'story/look=late');
    await expect.poll(() => this.#key(it), LIMIT).toMatchObject({ version: 3, state: 'Current' });
    const after = await this.#key(it);
    expect(after.id).not.toBe(before.id);
    expect(installation.kms.keyBytes(after.id)).toHaveLength(32);
    await expect
      .poll(() => observer.messages(it, 'KeyRotated'), LIMIT)
      .toContain('New objects use key version 3');
    await this.#told(it, READY);
    await this.#world.setCalendarAhead(0);
    expect(await get(this.shop, 'shop', 'kept')).toBe('from the beginning');
  }

  /** What was stored has been sealed anew under the new key by then. */
  async isSealedAnew(): Promise<void> {
    await this.#told(bucket('shop'), { ...READY, RewrapComplete: 'True Complete' });
  }

  /** The new credential works from the start, the old one as long as the overlap, and no longer. */
  async credentialIsRotated(): Promise<void> {
    const { installation } = this.#world;
    const before = await installation.secret('shop-s3');
    const old = this.shop;
    await this.#world.annotate(bucket('shop'), 'rotate-access.sealgate.io/app=1');
    await expect
      .poll(async () => (await installation.secret('shop-s3'))['AWS_ACCESS_KEY_ID'], LIMIT)
      .not.toBe(before['AWS_ACCESS_KEY_ID']);
    this.#shop = await this.#world.client('shop-s3');
    expect(await get(old, 'shop', 'kept')).toBe('from the beginning');
    const refused: string[] = [];
    await expect
      .poll(async () => {
        const error = await errorOf(get(this.shop, 'shop', 'kept'));
        if (error !== null) refused.push(error);
        return await errorOf(get(old, 'shop', 'kept'));
      }, LIMIT)
      .toBe('InvalidAccessKeyId');
    expect(refused).toEqual([]);
    await this.#told(bucket('shop'), { AccessReady: 'True SecretsReady' }, 'Normal AccessRotated');
  }

  async #key(which: Which): Promise<z.output<typeof keyFacts>> {
    return keyFacts.parse((await this.#world.observer.read(which)).status['key']);
  }

  async #told(which: Which, conditions: Readonly<Record<string, string>>, event?: string): Promise<void> {
    await this.#world.observer.told(which, conditions, event);
  }

  async #label(value: string): Promise<void> {
    await this.#world.kubectl(['label', 'namespace', OTHER, '--overwrite', `kms=${value}`]);
  }
}

/** The status without times, and without figures that are written every few minutes only. */
function comparable({ status }: { readonly status: object }): unknown {
  const drop = new Set(['lastTransitionTime', 'usage', 'rewrap', 'buckets']);
  return JSON.parse(JSON.stringify(status, (key, value: unknown) => (drop.has(key) ? undefined : value)));
}
