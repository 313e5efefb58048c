import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  CopyObjectCommand,
  type CopyObjectCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { refusal } from '../harness/refusal.ts';

const MIB = 1024 * 1024;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
});
afterAll(() => deployment?.close());

function marked(sizeBytes: number): { bytes: Buffer; marker: string } {
  const marker = `marker-${randomBytes(12).toString('hex')}`;
  return { bytes: Buffer.alloc(sizeBytes, `${marker} ${randomBytes(8).toString('hex')} `), marker };
}

const put = (
  Bucket: string,
  Key: string,
  Body: Buffer | string,
  extra: Partial<PutObjectCommandInput> = {},
) => deployment.client.send(new PutObjectCommand({ Bucket, Key, Body, ...extra }));

const copy = (
  source: string,
  [Bucket, Key]: readonly [string, string],
  extra: Partial<CopyObjectCommandInput> = {},
  client: S3Client = deployment.client,
) => client.send(new CopyObjectCommand({ Bucket, Key, CopySource: source, ...extra }));

async function bytesOf(Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await deployment.client.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

const head = (Bucket: string, Key: string, extra: object = {}) =>
  deployment.client.send(new HeadObjectCommand({ Bucket, Key, ...extra }));

const told = (bucket: string) => (bucket === 'encrypted' ? 'AES256' : undefined);

const ROUTES = BUCKETS.flatMap((from) => BUCKETS.map((to) => ({ from, to })));

describe.each(ROUTES)('a copy from the $from into the $to bucket', ({ from, to }) => {
  it.each([
    ['nothing at all', 0],
    ['a small object', 3000],
    ['a large object', 3 * MIB + 17],
  ])('of %s is the same bytes and attributes, and says what it is', async (name, size) => {
    const { bytes, marker } = marked(size);
    const key = `${to}/${name} +&%/ä`;
    const note = `note-${randomBytes(8).toString('hex')}`;
    const source = await put(from, key, bytes, { ContentType: 'text/x-test', Metadata: { note } });
    const copied = await copy(`${from}/${encodeURIComponent(key)}`, [to, `copy of ${key}`]);
    expect(copied.ServerSideEncryption).toBe(told(to));
    expect(copied.CopyObjectResult?.ETag).toBe(source.ETag);
    expect((await bytesOf(to, `copy of ${key}`)).equals(bytes)).toBe(true);
    const described = await head(to, `copy of ${key}`);
    expect(described).toMatchObject({ ContentType: 'text/x-test', Metadata: { note }, ETag: source.ETag });
    expect(described.ServerSideEncryption).toBe(told(to));
    if (size > 0) {
      const plain = [from, to].includes('plain');
      expect((await deployment.filesWith(marker)).length > 0).toBe(plain);
    }
  });

  it('of a multipart object is one whole object with the same bytes', async () => {
    const { bytes } = marked(11 * MIB);
    await new Upload({
      client: deployment.client,
      params: { Bucket: from, Key: 'parts', Body: bytes },
      partSize: 5 * MIB,
    }).done();
    await copy(`${from}/parts`, [to, `parts-from-${from}`]);
    expect((await bytesOf(to, `parts-from-${from}`)).equals(bytes)).toBe(true);
    const { ETag } = await head(to, `parts-from-${from}`);
    expect(ETag?.endsWith('-3"')).toBe(from === to);
  });

  it('replaces the metadata when asked to', async () => {
    await put(from, 'described', 'x', { ContentType: 'text/x-old', Metadata: { a: 'old' } });
    await copy(`${from}/described`, [to, 'redescribed'], {
      MetadataDirective: 'REPLACE',
      ContentType: 'text/x-new',
      Metadata: { b: 'new' },
    });
    expect(await head(to, 'redescribed')).toMatchObject({
      ContentType: 'text/x-new',
      Metadata: { b: 'new' },
    });
  });

  it('gives a checksum that was asked for', async () => {
    // Many times what is in memory at once, and every part of it different.
    const bytes = randomBytes(9 * MIB + 5);
    await put(from, 'summed', bytes);
    const copied = await copy(`${from}/summed`, [to, 'summed-copy'], { ChecksumAlgorithm: 'CRC32' });
    expect((await bytesOf(to, 'summed-copy')).equals(bytes)).toBe(true);
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32(bytes));
    const expected = { ChecksumCRC32: value.toString('base64'), ChecksumType: 'FULL_OBJECT' };
    expect(copied.CopyObjectResult).toMatchObject(expected);
    expect(await head(to, 'summed-copy', { ChecksumMode: 'ENABLED' })).toMatchObject(expected);
  });
});

describe.each(BUCKETS)('in the %s bucket', (bucket) => {
  it('a copy shares the stored bytes and outlives its source', async () => {
    const { bytes } = marked(200_000);
    await put(bucket, 'shared', bytes);
    const blobs = await deployment.blobs();
    await copy(`${bucket}/shared`, [bucket, 'shared-copy']);
    expect(await deployment.blobs()).toEqual(blobs);
    await put(bucket, 'shared', 'overwritten');
    expect((await bytesOf(bucket, 'shared-copy')).equals(bytes)).toBe(true);
    await copy(`${bucket}/shared-copy`, [bucket, 'shared-copy-2']);
    expect((await bytesOf(bucket, 'shared-copy-2')).equals(bytes)).toBe(true);
  });

  it('a copy onto itself must change something', async () => {
    await put(bucket, 'itself', 'x', { Metadata: { a: 'old' } });
    expect(await refusal(copy(`${bucket}/itself`, [bucket, 'itself']))).toMatchObject({
      code: 'InvalidRequest',
      status: 400,
    });
    await copy(`${bucket}/itself`, [bucket, 'itself'], {
      MetadataDirective: 'REPLACE',
      Metadata: { a: 'new' },
    });
    expect(await head(bucket, 'itself')).toMatchObject({ Metadata: { a: 'new' }, ContentLength: 1 });
    expect((await bytesOf(bucket, 'itself')).toString()).toBe('x');
  });

  it('conditions on the source and on the destination hold or the copy is refused', async () => {
    const { ETag } = await put(bucket, 'if', 'x');
    await put(bucket, 'if-there', 'y');
    const past = new Date(Date.now() - 3_600_000);
    const future = new Date(Date.now() + 3_600_000);
    const refused: Partial<CopyObjectCommandInput>[] = [
      { CopySourceIfMatch: '"other"' },
      { CopySourceIfNoneMatch: ETag },
      { CopySourceIfModifiedSince: future },
      { CopySourceIfUnmodifiedSince: past },
      { IfNoneMatch: '*' },
      { IfMatch: '"other"' },
    ];
    for (const condition of refused) {
      expect(await refusal(copy(`${bucket}/if`, [bucket, 'if-there'], condition))).toMatchObject({
        code: 'PreconditionFailed',
        status: 412,
      });
    }
    expect((await bytesOf(bucket, 'if-there')).toString()).toBe('y');
    await copy(`${bucket}/if`, [bucket, 'if-there'], {
      CopySourceIfMatch: ETag,
      CopySourceIfUnmodifiedSince: past,
    });
    expect((await bytesOf(bucket, 'if-there')).toString()).toBe('x');
  });

  it('refuses what is not there, not well-formed or not built', async () => {
    await put(bucket, 'here', 'x');
    const of = async (source: string, extra: Partial<CopyObjectCommandInput> = {}) =>
      (await refusal(copy(source, [bucket, 'nowhere'], extra))).code;
    expect(await of(`${bucket}/missing`)).toBe('NoSuchKey');
    expect(await of('no-such-bucket/key')).toBe('NoSuchBucket');
    expect(await of('only-a-bucket')).toBe('InvalidArgument');
    expect(await of(`${bucket}/bad%zz`)).toBe('InvalidArgument');
    expect(await of(`${bucket}/here?versionId=0123`)).toBe('NotImplemented');
    expect(await of(`${bucket}/here`, { Tagging: 'a=b', TaggingDirective: 'REPLACE' })).toBe(
      'NotImplemented',
    );
    expect(await of(`${bucket}/here`, { StorageClass: 'GLACIER' })).toBe('InvalidStorageClass');
    const odd = deployment.withHeaders({ 'x-amz-metadata-directive': 'MAYBE' });
    expect((await refusal(copy(`${bucket}/here`, [bucket, 'nowhere'], {}, odd))).code).toBe(
      'InvalidArgument',
    );
    expect((await refusal(head(bucket, 'nowhere'))).status).toBe(404);
    await copy(`/${bucket}/here?versionId=null`, [bucket, 'version-null']);
  });

  it.each([
    ['x-amz-server-side-encryption', 'aws:kms'],
    ['x-amz-server-side-encryption', ''],
    ['x-amz-copy-source-server-side-encryption-customer-algorithm', 'AES256'],
    ...(bucket === 'plain' ? [['x-amz-server-side-encryption', 'AES256']] : []),
  ])('%s: %s is refused and nothing is stored', async (name = '', value = '') => {
    await put(bucket, 'asked', marked(100_000).bytes);
    const blobs = await deployment.blobs();
    const asking = deployment.withHeaders({ [name]: value });
    expect(await refusal(copy(`${bucket}/asked`, [bucket, 'refused'], {}, asking))).toMatchObject({
      code: 'InvalidArgument',
      status: 400,
    });
    expect(await refusal(copy(`${bucket}/asked`, [bucket, 'asked'], {}, asking))).toMatchObject({
      code: 'InvalidArgument',
    });
    expect((await refusal(head(bucket, 'refused'))).status).toBe(404);
    expect(await deployment.blobs()).toEqual(blobs);
  });

  it('copies of a source that is overwritten meanwhile are copies of some state of it', async () => {
    const states = Array.from({ length: 12 }, () => marked(90_000).bytes);
    await put(bucket, 'moving', states[0] ?? '');
    const work = states.flatMap((state, index) => [
      put(bucket, 'moving', state),
      copy(`${bucket}/moving`, [bucket, `moved-${index}`]),
    ]);
    await Promise.all(work);
    for (const index of states.keys()) {
      const bytes = await bytesOf(bucket, `moved-${index}`);
      expect(states.some((state) => state.equals(bytes))).toBe(true);
    }
  });
});

it('a copy onto itself after encryption was turned on encrypts the object for real', async () => {
  await createBucket(deployment.server, 'turned-on', false);
  const { bytes, marker } = marked(300_000);
  await put('turned-on', 'key', bytes);
  const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } } as const;
  await deployment.client.send(
    new PutBucketEncryptionCommand({
      Bucket: 'turned-on',
      ServerSideEncryptionConfiguration: { Rules: [rule] },
    }),
  );
  expect((await head('turned-on', 'key')).ServerSideEncryption).toBeUndefined();
  const before = await deployment.filesWith(marker);
  expect(before).toHaveLength(1);
  const copied = await copy('turned-on/key', ['turned-on', 'key']);
  expect(copied.ServerSideEncryption).toBe('AES256');
  expect((await head('turned-on', 'key')).ServerSideEncryption).toBe('AES256');
  expect((await bytesOf('turned-on', 'key')).equals(bytes)).toBe(true);
  // The plain blob is garbage, kept for its grace; the object's own blob is another one, and sealed.
  expect(await deployment.filesWith(marker)).toEqual(before);
  expect(await refusal(copy('turned-on/key', ['turned-on', 'key']))).toMatchObject({
    code: 'InvalidRequest',
  });
});

describe('with copies into plain buckets refused by policy', () => {
  let strict: Deployment;
  beforeAll(async () => {
    strict = await startDeployment({
      workers: 2,
      buckets: true,
      configPatch: (config) => {
        config['policy'] = { plainBuckets: 'Allowed', copyToPlain: 'Refused' };
      },
    });
  });
  afterAll(() => strict?.close());

  it('what is encrypted stays where it is encrypted', async () => {
    const send = (source: string, Bucket: string) =>
      strict.client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: source }));
    await strict.client.send(new PutObjectCommand({ Bucket: 'encrypted', Key: 'x', Body: 'x' }));
    await strict.client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'x', Body: 'x' }));
    expect(await refusal(send('encrypted/x', 'plain'))).toMatchObject({
      code: 'InvalidRequest',
      status: 400,
    });
    expect((await send('encrypted/x', 'encrypted')).ServerSideEncryption).toBe('AES256');
    expect((await send('plain/x', 'plain')).ServerSideEncryption).toBeUndefined();
  });
});
