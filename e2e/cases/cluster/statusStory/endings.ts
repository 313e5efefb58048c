/** How declared buckets end: by each deletion policy, by force, and with their namespace. */
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import {
  access,
  bucket,
  CONNECTION,
  connection,
  DOOMED,
  errorOf,
  exists,
  get,
  put,
  UNCACHED,
  type World,
} from './world.ts';

const READY = { Ready: 'True Ready' };

export class EndingStory {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** The bucket stays as it is; only the access goes. */
  async keepsWithRetain(): Promise<void> {
    const { observer } = this.#world;
    await this.#bucket('kept', 'Retain');
    const root = await this.#world.root('kept-s3');
    await this.#world.delete(bucket('kept'));
    await observer.gone(bucket('kept'));
    expect(await get(root, 'kept', 'a')).toBe('in kept');
    await expect(this.#world.installation.secret('kept-s3')).rejects.toMatchObject({
      message: expect.stringContaining('NotFound'),
    });
  }

  /** Waits while there is an object, in full use; then goes by itself. */
  async waitsWithDeleteIfEmpty(): Promise<void> {
    const { observer } = this.#world;
    await this.#bucket('emptied', 'DeleteIfEmpty');
    const root = await this.#world.root('emptied-s3');
    const s3 = await this.#world.client('emptied-s3');
    await this.#world.delete(bucket('emptied'));
    await observer.told(
      bucket('emptied'),
      { DeletionBlocked: 'True BucketNotEmpty' },
      'Warning BucketNotEmpty',
    );
    expect(await get(s3, 'emptied', 'a')).toBe('in emptied');
    await s3.send(new DeleteObjectCommand({ Bucket: 'emptied', Key: 'a' }));
    await observer.gone(bucket('emptied'));
    expect(await exists(root, 'emptied')).toBe(false);
  }

  async purgesOnceConfirmed(): Promise<void> {
    const { observer } = this.#world;
    await expect(
      this.#world.declare('purged', { deletionPolicy: 'Purge' }, { as: 'story-editor' }),
    ).rejects.toMatchObject({
      message: expect.stringContaining('deletionPolicy Purge needs the verb destroy'),
    });
    await this.#bucket('purged', 'Purge');
    const root = await this.#world.root('purged-s3');
    await this.#world.delete(bucket('purged'));
    const waiting = { DeletionBlocked: 'True ConfirmationRequired' };
    await observer.told(bucket('purged'), waiting, 'Warning ConfirmationRequired');
    await this.#world.annotate(bucket('purged'), 'sealgate.io/confirm-destroy=another');
    expect(await get(root, 'purged', 'a')).toBe('in purged');
    expect(await observer.conditions(bucket('purged'))).toMatchObject(waiting);
    await this.#world.annotate(bucket('purged'), 'sealgate.io/confirm-destroy=purged');
    await observer.gone(bucket('purged'));
    expect(await exists(root, 'purged')).toBe(false);
  }

  /** What blocks a deletion does not block it for ever: the data stays. */
  async goesByForce(): Promise<void> {
    const { observer } = this.#world;
    await this.#bucket('forced', 'DeleteIfEmpty');
    const root = await this.#world.root('forced-s3');
    await this.#world.delete(bucket('forced'));
    await observer.told(
      bucket('forced'),
      { DeletionBlocked: 'True BucketNotEmpty' },
      'Warning BucketNotEmpty',
    );
    await this.#world.annotate(bucket('forced'), 'sealgate.io/force-delete=true');
    await observer.gone(bucket('forced'));
    expect(await get(root, 'forced', 'a')).toBe('in forced');
  }

  /**
   * With all that is in it. A connection that keys hang on is held, and says so; its last good files stay in force. By
   * force the namespace ends, and the data is kept.
   */
  async goesWithItsNamespace(): Promise<void> {
    const { observer, installation } = this.#world;
    await this.#world.kubectl(['label', 'namespace', DOOMED, 'kms=yes']);
    await installation.connectKms('own', UNCACHED, DOOMED);
    await observer.told(connection('own', DOOMED), READY);
    const at = { namespace: DOOMED };
    await this.#world.declare('estate', { kmsConnectionRef: { name: 'own' }, ...access('estate-s3') }, at);
    await this.#world.declare('heirloom', access('heirloom-s3'), at);
    for (const name of ['estate', 'heirloom']) {
      await observer.told(bucket(name, DOOMED), READY, 'Normal Ready');
      await put(await this.#world.client(`${name}-s3`, DOOMED), name, 'a', `in ${name}`);
    }
    const root = await this.#world.root('heirloom-s3', DOOMED);

    await this.#world.kubectl(['delete', 'namespace', DOOMED, '--wait=false']);
    for (const name of ['estate', 'heirloom']) await observer.gone(bucket(name, DOOMED));
    // No event: nothing can be made any more in a namespace that ends.
    await observer.told(connection('own', DOOMED), { DeletionBlocked: 'True InUse' });
    expect(await get(root, 'estate', 'a')).toBe('in estate');
    await this.#world.annotate(connection('own', DOOMED), 'sealgate.io/force-delete=true');
    await this.#world.kubectl(['wait', '--for=delete', `namespace/${DOOMED}`, '--timeout=60s']);
    expect(await get(root, 'heirloom', 'a')).toBe('in heirloom');
    expect(await exists(root, 'estate')).toBe(true);
    expect(await errorOf(get(root, 'estate', 'a'))).toBe('ServiceUnavailable');
  }

  /** A connection that keys hang on is held by itself, too. */
  async connectionIsHeld(): Promise<void> {
    const { observer } = this.#world;
    await this.#world.delete(connection(CONNECTION));
    const held = { DeletionBlocked: 'True InUse', FleetSynced: 'True Synced' };
    await observer.told(connection(CONNECTION), held, 'Warning InUse');
    expect(await get(await this.#world.root('shop-s3'), 'shop', 'kept')).toBe('from the beginning');
  }

  async #bucket(name: string, deletionPolicy: string): Promise<void> {
    await this.#world.declare(name, { deletionPolicy, ...access(`${name}-s3`) });
    await this.#world.observer.told(bucket(name), READY);
    await put(await this.#world.client(`${name}-s3`), name, 'a', `in ${name}`);
  }
}
