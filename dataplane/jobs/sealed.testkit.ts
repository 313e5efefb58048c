/** Objects and uploads sealed as requests seal them, and read back as requests read them. */
import { createHash } from 'node:crypto';
import { bucketKey, writingKey } from '../buckets/bucketKeys.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { newId } from '../crypto/ids.ts';
import { maskEtag } from '../crypto/listEtag.ts';
import { systemRandom } from '../crypto/random.ts';
import type { BucketDocument, Id } from '../metadata/metadata.ts';
import { inlineBody } from '../metadata/sqlite/engine.testkit.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { openUpload, sealUpload } from '../objects/uploads.ts';
import { openVersion, sealVersion } from '../objects/version.ts';
import type { Life } from './life.testkit.ts';

const tools = { random: systemRandom, listKeys: new ListKeys() };

export async function bucketOf(life: Life, name: string): Promise<BucketDocument> {
  const bucket = await life.metadata.bucket(name);
  if (bucket === null) throw new Error(`no bucket ${name}`);
  return bucket;
}

const md5 = (content: string): Buffer => createHash('md5').update(content).digest();

/** An object whose record carries the MD5 and the metadata of `content`. */
export async function putSealed(
  life: Life,
  bucket: BucketDocument,
  key: string,
  content: string,
): Promise<void> {
  const keys = { dataKey: newDataKey(), ...(await writingKey(life, bucket)) };
  const version = sealVersion(
    {
      bucket,
      key: Buffer.from(key),
      versionId: newId(),
      lastModifiedMs: 5,
      bodyId: newId(),
      size: 3,
      partCount: 0,
      blob: { blobId: 'inline', salt: new Uint8Array(32) },
      record: {
        md5: md5(content),
        checksums: [],
        contentHeaders: new Map(),
        userMetadata: new Map([['content', content]]),
      },
    },
    keys,
    tools,
  );
  const body = { ...inlineBody, kind: 'inline', salt: new Uint8Array(32) } as const;
  await life.metadata.commitVersion(version, { ...body, stored: new Uint8Array(3) }, undefined);
}

/** What the object's record says; throws unless the record opens and its listing shows its MD5. */
export async function readSealed(life: Life, bucket: BucketDocument, key: string): Promise<string> {
  const pinned = await life.metadata.currentVersion(bucket.bucketUid, Buffer.from(key));
  if (pinned === null) throw new Error(`no object ${key}`);
  pinned.release();
  const keyOf = (n: number) => bucketKey(life, bucket.bucketUid, n, 'read');
  const { record } = await openVersion(bucket, pinned.version, keyOf);
  const content = record.userMetadata.get('content') ?? '';
  const query = { bucketUid: bucket.bucketUid, prefix: Buffer.from(key), delimiter: null };
  const { objects } = await life.metadata.listObjects({ ...query, after: new Uint8Array(0), limit: 1 });
  const [listed] = objects;
  if (listed === undefined || listed.wrapSalt === null || listed.n === null) throw new Error('not listed');
  const etag = maskEtag(tools.listKeys.of(await keyOf(listed.n)), listed.wrapSalt, listed.etag);
  if (!etag.equals(md5(content))) throw new Error(`the listing shows another ETag of ${key}`);
  return content;
}

/** An open upload with user metadata; resolves to its id. */
export async function openSealedUpload(
  life: Life,
  bucket: BucketDocument,
  key: string,
  content: string,
): Promise<Id> {
  const keys = { dataKey: newDataKey(), ...(await writingKey(life, bucket)) };
  const upload = sealUpload(
    {
      bucketUid: bucket.bucketUid,
      key: Buffer.from(key),
      checksumAlgorithm: null,
      checksumType: null,
      ownerId: 'owner',
      createdMs: 7,
      meta: { contentHeaders: new Map(), userMetadata: new Map([['content', content]]) },
    },
    keys,
  );
  await life.metadata.createUpload(bucket.name, upload);
  return upload.uploadId;
}

/** What the open upload says of the object to come. */
export async function readUpload(
  life: Life,
  bucket: BucketDocument,
  key: string,
  uploadId: Id,
): Promise<string> {
  const upload = await life.metadata.upload(bucket.bucketUid, Buffer.from(key), uploadId);
  if (upload === null) throw new Error(`no upload of ${key}`);
  const opened = await openUpload(upload, (n) => bucketKey(life, bucket.bucketUid, n, 'read'));
  return opened.meta.userMetadata.get('content') ?? '';
}
