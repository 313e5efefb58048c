/** A data plane in memory behind the admin API: buckets with owners and key versions, access keys, connections. */
import type { AccessKey, PutAccessKey } from '../../dataplane/admin/schema/accessKeys.ts';
import type {
  BucketReport,
  ConnectionUse,
  DeclareBucket,
  KeyVersionReport,
} from '../../dataplane/admin/schema/buckets.ts';
import type { Status } from '../../dataplane/admin/schema/status.ts';
import { type AdminApi, AdminApiError } from './adminApi.ts';

const AT = '2030-01-01T00:00:00.000Z';
const STATUS: Readonly<Record<string, number>> = {
  NoSuchConnection: 404,
  NoSuchBucket: 404,
  BucketNameTaken: 409,
  BucketNotEmpty: 409,
  BucketDeleting: 409,
  NotEncryptable: 409,
  AccessKeyTaken: 409,
  Damaged: 409,
  KmsUnavailable: 503,
  KmsRefused: 502,
};

export function refusal(code: string, message = `fake ${code}`): AdminApiError {
  return new AdminApiError(code, STATUS[code] ?? 400, message);
}

interface StoredKey extends AccessKey {
  readonly secret: string;
}

export class FakeDataPlane implements AdminApi {
  readonly calls: string[] = [];
  around: <T>(call: string, act: () => T) => Promise<T> = async (_call, act) =>
    await Promise.resolve().then(act);
  readonly buckets = new Map<string, BucketReport>();
  readonly accessKeyStore = new Map<string, StoredKey>();
  /** Connections in force, with the revision of each. */
  readonly connections = new Map<string, string | null>();
  refusedConnections: Status['refusedConnections'] = [];
  kms: 'Up' | 'KmsUnavailable' | 'KmsRefused' = 'Up';
  /** The key version that a rotation leaves when the KMS fails it; null: none. */
  failedRotation: 'Creating' | 'Destroyed' | null = null;
  reachable = true;
  /** Purges take until this is called as often as they are to be seen under way. */
  purgeSteps = 1;
  /** Mutations that changed something. */
  changes = 0;
  #epoch = 0;
  #buckets = 0;

  async status(): Promise<Status> {
    return await this.#call('status', () => this.#status());
  }

  async statusOf(connection: string): Promise<Status> {
    return await this.#call(`status ${connection}`, () => {
      const { kms, ...status } = this.#status();
      return { ...status, kms: kms.filter(({ name }) => name === connection) };
    });
  }

  #status(): Status {
    return {
      version: '0',
      installationId: '0'.repeat(32),
      incarnation: 'fake',
      startedAt: AT,
      phase: 'Ready',
      config: { hash: '', revision: null, loadedAt: AT, refused: null },
      kms: [...this.connections].map(([name, revision]) => ({
        name,
        cachedKeys: 0,
        certificateNotAfter: AT,
        revision,
        endpoints: [],
      })),
      refusedConnections: this.refusedConnections,
      storage: {
        metadata: { engine: 'sqlite', freeBytes: 1 },
        blobs: { engine: 'filesystem', freeBytes: 1 },
      },
      crypto: { openssl: '3', aesNi: true },
      workers: 1,
    };
  }

  async takeEpoch(): Promise<number> {
    return await this.#call('takeEpoch', () => {
      this.#epoch += 1;
      return this.#epoch;
    });
  }

  async declareBucket(name: string, declaration: DeclareBucket): Promise<BucketReport> {
    return await this.#call(`declareBucket ${name}`, () => {
      const { owner, kmsConnection, keyRotation, adopt = false, requestId = null } = declaration;
      const present = this.buckets.get(name);
      if (present !== undefined && present.owner !== owner && !adopt) throw refusal('BucketNameTaken');
      if (present?.state === 'Deleting') throw refusal('BucketDeleting');
      if (present?.encryption === null && present.usage.objects > 0) throw refusal('NotEncryptable');
      const changed = present?.kmsConnection !== kmsConnection;
      if (changed && !this.connections.has(kmsConnection)) throw refusal('NoSuchConnection');
      if (present === undefined && this.kms !== 'Up') throw refusal(this.kms);
      const rotateEvery = keyRotation?.interval ?? null;
      const next: BucketReport =
        present === undefined
          ? this.#newBucket(name, owner, kmsConnection, { rotateEvery, requestId })
          : { ...present, owner, kmsConnection, rotateEvery, encryption: 'AES256' };
      this.#store(name, next);
      return next;
    });
  }

  async bucket(name: string): Promise<BucketReport | null> {
    return await this.#call(`bucket ${name}`, () => this.buckets.get(name) ?? null);
  }

  async deleteBucket(
    name: string,
    { mode, owner }: { readonly mode: 'ifEmpty' | 'purge'; readonly owner: string },
  ): Promise<'Gone' | 'BeingPurged'> {
    return await this.#call(`deleteBucket ${name} ${mode}`, () => {
      const present = this.buckets.get(name);
      if (present === undefined) return 'Gone';
      if (present.owner !== owner) throw refusal('BucketNameTaken');
      if (mode === 'ifEmpty' && present.usage.objects > 0) throw refusal('BucketNotEmpty');
      if (mode === 'purge' && present.usage.objects > 0 && this.purgeSteps > 0) {
        this.purgeSteps -= 1;
        this.#store(name, { ...present, state: 'Deleting' });
        return 'BeingPurged';
      }
      this.changes += 1;
      this.buckets.delete(name);
      return 'Gone';
    });
  }

  async rotateBucket(name: string, requestId: string): Promise<KeyVersionReport> {
    return await this.#call(`rotateBucket ${name}`, () => {
      const present = this.buckets.get(name);
      if (present === undefined) throw refusal('NoSuchBucket');
      const asked = present.keyVersions.findLast((version) => version.requestId === requestId);
      if (asked !== undefined && asked.state !== 'Creating') return asked;
      const made = version(present.bucketId, asked?.n ?? present.keyVersions.length + 1, {
        bucket: name,
        kmsConnection: present.kmsConnection ?? '',
        requestId,
        rotatedAt: AT,
      });
      const others = present.keyVersions.filter((version) => version !== asked);
      if (this.kms !== 'Up') {
        if (this.failedRotation !== null) {
          const { failedRotation: state } = this;
          const left = { ...made, state, kmsId: null, rotatedAt: null };
          const row = state === 'Creating' ? left : { ...left, requestId: null };
          this.#store(name, { ...present, keyVersions: [...others, row] });
        }
        throw refusal(this.kms);
      }
      const older = others.map((older) =>
        older.state === 'Current' ? { ...older, state: 'Readable' as const } : older,
      );
      this.#store(name, { ...present, keyVersion: made.n, keyVersions: [...older, made] });
      return made;
    });
  }

  async connectionUse(connection: string): Promise<ConnectionUse> {
    return await this.#call(`connectionUse ${connection}`, () => {
      const versions = [...this.buckets.values()].flatMap(({ keyVersions }) => keyVersions);
      const under = versions.filter(({ kmsConnection }) => kmsConnection === connection);
      return {
        connection,
        configured: this.connections.has(connection),
        keyVersions: under.length,
        buckets: under.filter(({ state }) => state === 'Current').length,
      };
    });
  }

  async accessKeys(owner: string): Promise<readonly AccessKey[]> {
    return await this.#call(`accessKeys ${owner}`, () =>
      [...this.accessKeyStore.values()].filter((key) => key.owner === owner),
    );
  }

  async putAccessKey(accessKeyId: string, key: PutAccessKey): Promise<AccessKey> {
    return await this.#call('putAccessKey', () => {
      const present = this.accessKeyStore.get(accessKeyId);
      if (present !== undefined && present.owner !== key.owner) throw refusal('AccessKeyTaken');
      const isOwn = key.grants.every(({ bucket }) => this.buckets.get(bucket)?.owner === key.owner);
      if (key.ownBucketsOnly === true && !isOwn) throw refusal('Conflict');
      const secret = key.secretAccessKey ?? present?.secret;
      if (secret === undefined) throw refusal('InvalidArgument');
      const grants = key.grants.map(({ prefix = '', ...rest }) => ({ prefix, ...rest }));
      const next: StoredKey = {
        accessKeyId,
        owner: key.owner,
        grants,
        createdAt: AT,
        expiresAt: key.expiresAt ?? null,
        secret,
      };
      if (JSON.stringify(next) !== JSON.stringify(present)) this.changes += 1;
      this.accessKeyStore.set(accessKeyId, next);
      return next;
    });
  }

  async deleteAccessKey(accessKeyId: string): Promise<void> {
    await this.#call('deleteAccessKey', () => {
      if (this.accessKeyStore.delete(accessKeyId)) this.changes += 1;
    });
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** Changes what the data plane tells of a bucket. */
  change(name: string, changes: Partial<BucketReport>): void {
    const present = this.buckets.get(name);
    if (present === undefined) throw new Error(`no bucket ${name}`);
    this.buckets.set(name, { ...present, ...changes });
  }

  /** A bucket that somebody made over S3, or another resource declared. */
  addBucket(name: string, changes: Partial<BucketReport> = {}): void {
    this.buckets.set(name, { ...this.#newBucket(name, null, 'team-a/keysecure'), ...changes });
  }

  #newBucket(
    name: string,
    owner: string | null,
    kmsConnection: string,
    {
      rotateEvery = null,
      requestId = null,
    }: { readonly rotateEvery?: string | null; readonly requestId?: string | null } = {},
  ): BucketReport {
    this.#buckets += 1;
    const bucketId = this.#buckets.toString(16).padStart(32, '0');
    return {
      name,
      bucketId,
      state: 'Ready',
      owner,
      encryption: 'AES256',
      kmsConnection,
      keyVersion: 1,
      rotateEvery,
      nextRotationAt: null,
      createdAt: AT,
      usage: { objects: 0, bytes: 0 },
      keyVersions: [version(bucketId, 1, { bucket: name, kmsConnection, requestId })],
      rewrap: { state: 'Idle', done: 0, remaining: 0, damaged: 0, message: null },
    };
  }

  #store(name: string, next: BucketReport): void {
    if (JSON.stringify(this.buckets.get(name)) !== JSON.stringify(next)) this.changes += 1;
    this.buckets.set(name, next);
  }

  async #call<T>(call: string, act: () => T): Promise<T> {
    this.calls.push(call);
    return await this.around(call, () => {
      if (!this.reachable) throw new AdminApiError('Unreachable', 0, 'fake outage');
      return act();
    });
  }
}

function version(bucketId: string, n: number, changes: Partial<KeyVersionReport>): KeyVersionReport {
  return {
    bucketId,
    bucket: null,
    n,
    state: 'Current',
    kmsConnection: '',
    kmsName: `sealgate-${bucketId}-v${n}`,
    kmsId: `key-${bucketId}-${n}`,
    reservedAt: AT,
    rotatedAt: null,
    requestId: null,
    uses: { versions: 0, uploads: 0 },
    ...changes,
  };
}
