/** The access keys of one owner at the data plane, as they were at the beginning of a look and as they are changed. */
import type { AccessKey, Grant, PutAccessKey } from '../../../dataplane/admin/schema/accessKeys.ts';
import type { AdminApi } from '../../admin/adminApi.ts';
import type { PreviousKey } from './accessSecret.ts';
import type { Credential } from './credentials.ts';

export class EntryKeys {
  #admin: AdminApi;
  #owner: string;
  #keys: Map<string, AccessKey>;
  #signal: AbortSignal;

  constructor(admin: AdminApi, owner: string, listed: readonly AccessKey[], signal: AbortSignal) {
    this.#admin = admin;
    this.#owner = owner;
    this.#keys = new Map(listed.map((key) => [key.accessKeyId, key]));
    this.#signal = signal;
  }

  get(id: string): AccessKey | undefined {
    return this.#keys.get(id);
  }

  /**
   * Makes it work, or changes what differs. Rejects with AdminApiError 'AccessKeyTaken' when it is another owner's, and
   * 'Conflict' when the bucket is another's by now.
   */
  async put({ id, secret }: Credential, grants: readonly Grant[]): Promise<void> {
    await this.#declare(id, { secretAccessKey: secret, grants: [...grants], expiresAt: null });
  }

  /** Lets a replaced key work until then; one that the data plane no longer has stays away. */
  async end({ id, expiresAtMs }: PreviousKey, grants: readonly Grant[]): Promise<void> {
    if (!this.#keys.has(id)) return;
    const expiresAt = new Date(expiresAtMs).toISOString();
    await this.#declare(id, { grants: [...grants], expiresAt });
  }

  async #declare(id: string, key: Omit<PutAccessKey, 'owner' | 'ownBucketsOnly'>): Promise<void> {
    const declared = { ...key, owner: this.#owner, ownBucketsOnly: true };
    this.#keys.set(id, await this.#admin.putAccessKey(id, declared, this.#signal));
  }

  async revokeAllBut(live: ReadonlySet<string>): Promise<void> {
    for (const id of this.#keys.keys()) if (!live.has(id)) await this.revoke(id);
  }

  async revoke(id: string): Promise<void> {
    await this.#admin.deleteAccessKey(id, this.#signal);
    this.#keys.delete(id);
  }
}
