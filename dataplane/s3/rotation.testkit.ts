/** Encrypted buckets whose key is rotated behind a request's back: keys without a KMS, and a whole rotation at once. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { OWNER } from '../auth/signer.testkit.ts';
import { newDataKey, openDataKey, sealDataKey } from '../crypto/dataKey.ts';
import { maskEtag } from '../crypto/listEtag.ts';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import type { BucketDocument, KeyVersionDocument, Metadata, Rewrapped } from '../metadata/metadata.ts';
import { bucketNamed, keyVersionOf } from '../metadata/sqlite/engine.testkit.ts';
import { ListKeys } from '../objects/listKeys.ts';

/** Bucket keys in memory. A revoked one is for reading only, as a Deactivated key in a KMS. */
export class TestKeys {
  readonly #keys = new Map<string, KeyObject>();
  readonly #revoked = new Set<string>();
  #next = 1;

  make(): string {
    const kmsId = `key-${this.#next}`;
    this.#next += 1;
    this.#keys.set(kmsId, newDataKey(randomBytes));
    return kmsId;
  }

  of(kmsId: string | null): KeyObject {
    const key = this.#keys.get(kmsId ?? '');
    if (key === undefined) throw new KmsError('NotFound', 'there is no such key');
    return key;
  }

  revoke(kmsId: string): void {
    this.#revoked.add(kmsId);
  }

  /** Everything else about keys is as in `others`. */
  provider(others: KeyProvider): KeyProvider {
    return {
      ...others,
      bucketKey: ({ kmsId }, use) => {
        if (use === 'write' && this.#revoked.has(kmsId))
          return Promise.reject(new KmsError('InvalidState', 'the key is Deactivated'));
        return Promise.resolve(this.of(kmsId));
      },
    };
  }
}

const madeKey = (keys: TestKeys): Partial<KeyVersionDocument> => ({
  kmsId: keys.make(),
  keyCheckValue: '00'.repeat(8),
  state: 'Current',
});

export async function createEncryptedBucket(metadata: Metadata, keys: TestKeys, name: string): Promise<void> {
  const bucket = bucketNamed(name, {
    ownerId: OWNER,
    encryption: 'AES256',
    keyVersion: 1,
    everPlain: false,
  });
  await metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid, madeKey(keys)));
}

/** A new key version for new writes; what is there stays under the old one. */
export async function rotate(metadata: Metadata, keys: TestKeys, name: string): Promise<BucketDocument> {
  const bucket = await existing(metadata, name);
  const n = bucket.keyVersion ?? 0;
  const versions = await metadata.keyVersions(bucket.bucketUid);
  const replaced = versions
    .filter((version) => version.n === n)
    .map((version) => ({ ...version, revision: version.revision + 1, state: 'Readable' as const }));
  const next = keyVersionOf(bucket.bucketUid, { n: n + 1, ...madeKey(keys) });
  const after = { ...bucket, revision: bucket.revision + 1, keyVersion: n + 1 };
  await metadata.updateBucket(after, [...replaced, next]);
  return after;
}

/** A rotation until nothing is left under the old version, which is retired but not revoked yet; resolves to its kmsId. */
export async function rotateAndRetire(metadata: Metadata, keys: TestKeys, name: string): Promise<string> {
  const { bucketUid, keyVersion: n } = await rotate(metadata, keys, name);
  if (n === null) throw new Error('the bucket names no key');
  await rewrapAll(metadata, keys, bucketUid, n);
  if (!(await metadata.retireKeyVersion(bucketUid, n - 1))) throw new Error('the old key is still used');
  return (await metadata.keyVersion(bucketUid, n - 1))?.kmsId ?? '';
}

async function rewrapAll(metadata: Metadata, keys: TestKeys, bucketUid: string, n: number): Promise<void> {
  const listKeys = new ListKeys();
  const keyOf = async (version: number) =>
    keys.of((await metadata.keyVersion(bucketUid, version))?.kmsId ?? null);
  const newKey = await keyOf(n);
  const query = { bucketUid, below: n, after: null, limit: 1_000 };
  const rewrapped: Rewrapped[] = [];
  for (const item of (await metadata.sealedVersions(query)).items) {
    const oldKey = await keyOf(item.n);
    const binding = { purpose: 'object', bucketUid, objectKey: item.key, id: item.versionId } as const;
    const dataKey = openDataKey(oldKey, { ...binding, n: item.n }, item);
    const seal = sealDataKey(newKey, { ...binding, n }, dataKey);
    const listEtag =
      item.listEtag === null
        ? null
        : maskEtag(
            listKeys.of(newKey),
            seal.wrapSalt,
            maskEtag(listKeys.of(oldKey), item.wrapSalt, item.listEtag),
          );
    const { key, seq, sealedKey: expectSealedKey } = item;
    rewrapped.push({ kind: 'version', key, seq, expectSealedKey, n, ...seal, listEtag });
  }
  for (const item of (await metadata.sealedUploads(query)).items) {
    const binding = { purpose: 'upload', bucketUid, objectKey: item.key, id: item.uploadId } as const;
    const dataKey = openDataKey(await keyOf(item.n), { ...binding, n: item.n }, item);
    const seal = sealDataKey(newKey, { ...binding, n }, dataKey);
    const { uploadId, sealedKey: expectSealedKey } = item;
    rewrapped.push({ kind: 'upload', uploadId, expectSealedKey, n, ...seal });
  }
  await metadata.rewrap(bucketUid, rewrapped);
}

async function existing(metadata: Metadata, name: string): Promise<BucketDocument> {
  const bucket = await metadata.bucket(name);
  if (bucket === null) throw new Error(`there is no bucket ${name}`);
  return bucket;
}
