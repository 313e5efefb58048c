import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteBucketEncryptionCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
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

/** Bytes with a text all over them that is nowhere else in the world. */
function marked(sizeBytes: number): { bytes: Buffer; marker: string } {
  const marker = `marker-${randomBytes(12).toString('hex')}`;
  return { bytes: Buffer.alloc(sizeBytes, `${marker} ${randomBytes(8).toString('hex')} `), marker };
}

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();
const etagOfParts = (parts: readonly Uint8Array[]): string =>
  `"${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}"`;
function crc32Base64(bytes: Uint8Array): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString('base64');
}

async function create(
  Bucket: string,
  Key: string,
  input: Partial<CreateMultipartUploadCommandInput> = {},
): Promise<{ Bucket: string; Key: string; UploadId: string }> {
  const created = await deployment.client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...input }));
  return { Bucket, Key, UploadId: created.UploadId ?? '' };
}

async function upload(
  target: { Bucket: string; Key: string; UploadId: string },
  parts: readonly Buffer[],
  extra: (part: Buffer) => object = () => ({}),
): Promise<CompletedPart[]> {
  const done: CompletedPart[] = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const command = new UploadPartCommand({ ...target, PartNumber, Body, ...extra(Body) });
    const { ETag, ChecksumCRC32, ChecksumSHA256 } = await deployment.client.send(command);
    expect(ETag).toBe(`"${md5(Body).toString('hex')}"`);
    done.push({
      PartNumber,
      ETag,
      ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }),
      ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }),
    });
  }
  return done;
}

const complete = (target: { Bucket: string; Key: string; UploadId: string }, Parts: CompletedPart[]) =>
  deployment.client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }));

async function bytesOf(Bucket: string, Key: string, extra: object = {}): Promise<Buffer> {
  const { Body } = await deployment.client.send(new GetObjectCommand({ Bucket, Key, ...extra }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

describe.each(BUCKETS)('a multipart upload to the %s bucket', (bucket) => {
  const told = bucket === 'encrypted' ? 'AES256' : undefined;

  it('becomes one object whose bytes, ranges, parts and attributes are those that were sent', async () => {
    const { bytes, marker } = marked(5 * MIB);
    const parts = [bytes, Buffer.concat([Buffer.from('second'), bytes]), marked(70_000).bytes];
    const secret = `secret-${randomBytes(8).toString('hex')}`;
    const target = await create(bucket, 'big', { ContentType: 'text/plain', Metadata: { note: secret } });
    const done = await upload(target, parts);
    const completed = await complete(target, done);
    expect(completed.ETag).toBe(etagOfParts(parts));
    expect(completed.ServerSideEncryption).toBe(told);
    expect(completed.Location).toBe(`${deployment.server.endpoint}/${bucket}/big`);
    const whole = Buffer.concat(parts);
    expect((await bytesOf(bucket, 'big')).equals(whole)).toBe(true);
    const range = await bytesOf(bucket, 'big', { Range: `bytes=${5 * MIB - 3}-${5 * MIB + 10}` });
    expect(range.equals(whole.subarray(5 * MIB - 3, 5 * MIB + 11))).toBe(true);
    expect((await bytesOf(bucket, 'big', { PartNumber: 2 })).equals(parts[1] ?? Buffer.alloc(0))).toBe(true);
    const head = await deployment.client.send(
      new HeadObjectCommand({ Bucket: bucket, Key: 'big', PartNumber: 3 }),
    );
    expect(head).toMatchObject({
      ContentLength: 70_000,
      ContentType: 'text/plain',
      Metadata: { note: secret },
      PartsCount: 3,
      ETag: completed.ETag,
    });
    expect(head.ServerSideEncryption).toBe(told);
    const beyond = new HeadObjectCommand({ Bucket: bucket, Key: 'big', PartNumber: 4 });
    expect((await refusal(deployment.client.send(beyond))).status).toBe(416);
    const onDisk = [...(await deployment.filesWith(marker)), ...(await deployment.filesWith(secret))];
    if (bucket === 'encrypted') expect(onDisk).toEqual([]);
    else expect(onDisk.length).toBeGreaterThanOrEqual(2);
  });

  it('says of every step whether the bytes are encrypted', async () => {
    const created = await deployment.client.send(
      new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'says' }),
    );
    expect(created.ServerSideEncryption).toBe(told);
    const target = { Bucket: bucket, Key: 'says', UploadId: created.UploadId ?? '' };
    const part = await deployment.client.send(new UploadPartCommand({ ...target, PartNumber: 1, Body: 'x' }));
    expect(part.ServerSideEncryption).toBe(told);
    const source = await complete(target, [{ PartNumber: 1, ETag: part.ETag }]);
    expect(source.ServerSideEncryption).toBe(told);
    const next = await create(bucket, 'says-copy');
    const copied = await deployment.client.send(
      new UploadPartCopyCommand({ ...next, PartNumber: 1, CopySource: `${bucket}/says` }),
    );
    expect(copied.ServerSideEncryption).toBe(told);
  });

  it('takes a part again, keeps the last attempt and lists it', async () => {
    const target = await create(bucket, 'again');
    await upload(target, [Buffer.from('first attempt')]);
    const done = await upload(target, [Buffer.from('second attempt'), Buffer.from('unused')]);
    const listed = await deployment.client.send(new ListPartsCommand(target));
    expect(listed.Parts?.map(({ PartNumber, Size, ETag }) => ({ PartNumber, Size, ETag }))).toEqual([
      { PartNumber: 1, Size: 14, ETag: done[0]?.ETag },
      { PartNumber: 2, Size: 6, ETag: done[1]?.ETag },
    ]);
    await complete(target, done.slice(0, 1));
    expect((await bytesOf(bucket, 'again')).toString()).toBe('second attempt');
    expect((await refusal(deployment.client.send(new ListPartsCommand(target)))).code).toBe('NoSuchUpload');
  });

  it('pages through parts', async () => {
    const target = await create(bucket, 'paged');
    await upload(
      target,
      ['a', 'b', 'c', 'd', 'e'].map((text) => Buffer.from(text)),
    );
    const seen: (number | undefined)[] = [];
    let marker: string | undefined;
    for (;;) {
      const page = await deployment.client.send(
        new ListPartsCommand({
          ...target,
          MaxParts: 2,
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        }),
      );
      seen.push(...(page.Parts ?? []).map((part) => part.PartNumber));
      if (page.IsTruncated !== true) break;
      marker = page.NextPartNumberMarker;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    await deployment.client.send(new AbortMultipartUploadCommand(target));
  });

  it('can be completed again with the same parts, and with no others', async () => {
    const target = await create(bucket, 'repeat');
    const done = await upload(target, [Buffer.from('once')]);
    const first = await complete(target, done);
    const second = await complete(target, done);
    expect(second.ETag).toBe(first.ETag);
    expect(second.ServerSideEncryption).toBe(told);
    const other = [{ PartNumber: 1, ETag: `"${md5(Buffer.from('other')).toString('hex')}"` }];
    expect((await refusal(complete(target, other))).code).toBe('NoSuchUpload');
    await deployment.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'repeat', Body: 'newer' }));
    expect((await refusal(complete(target, done))).code).toBe('NoSuchUpload');
    expect((await bytesOf(bucket, 'repeat')).toString()).toBe('newer');
    const same = await create(bucket, 'repeat');
    await complete(same, await upload(same, [Buffer.from('once')]));
    expect((await refusal(complete(target, done))).code).toBe('NoSuchUpload');
  });

  it.each([
    ['SHA256', undefined, 'COMPOSITE'],
    ['CRC32', 'COMPOSITE', 'COMPOSITE'],
    ['CRC32', 'FULL_OBJECT', 'FULL_OBJECT'],
  ] as const)('carries a %s checksum of type %s', async (algorithm, asked, type) => {
    const parts = [marked(5 * MIB).bytes, Buffer.from('end')];
    const Key = `checksum-${algorithm}-${type}`;
    const target = await create(bucket, Key, { ChecksumAlgorithm: algorithm, ChecksumType: asked });
    const done = await upload(target, parts, () => ({ ChecksumAlgorithm: algorithm }));
    const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
    const crc = (bytes: Uint8Array): Buffer => Buffer.from(crc32Base64(bytes), 'base64');
    const expected =
      type === 'FULL_OBJECT'
        ? crc32Base64(Buffer.concat(parts))
        : algorithm === 'SHA256'
          ? `${sha256(Buffer.concat(parts.map(sha256))).toString('base64')}-2`
          : `${crc32Base64(Buffer.concat(parts.map(crc)))}-2`;
    const completed = await complete(target, done);
    expect(completed).toMatchObject({ [`Checksum${algorithm}`]: expected, ChecksumType: type });
    const head = await deployment.client.send(
      new HeadObjectCommand({ Bucket: bucket, Key, ChecksumMode: 'ENABLED' }),
    );
    expect(head).toMatchObject({ [`Checksum${algorithm}`]: expected, ChecksumType: type });
    expect((await bytesOf(bucket, Key)).equals(Buffer.concat(parts))).toBe(true);
  });

  it('combines full-object checksums from parts that came without one', async () => {
    const parts = [marked(5 * MIB).bytes, Buffer.from('end')];
    const target = await create(bucket, 'full', { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' });
    await upload(target, parts);
    const Parts = parts.map((part, index) => ({ PartNumber: index + 1, ETag: md5(part).toString('hex') }));
    const whole = crc32Base64(Buffer.concat(parts));
    const wrong = new CompleteMultipartUploadCommand({
      ...target,
      MultipartUpload: { Parts },
      ChecksumCRC32: crc32Base64(Buffer.from('other')),
    });
    expect((await refusal(deployment.client.send(wrong))).code).toBe('BadDigest');
    const right = new CompleteMultipartUploadCommand({
      ...target,
      MultipartUpload: { Parts },
      ChecksumCRC32: whole,
      MpuObjectSize: 5 * MIB + 3,
    });
    expect((await deployment.client.send(right)).ChecksumCRC32).toBe(whole);
  });

  it('refuses what does not fit, and the upload stays open', async () => {
    const target = await create(bucket, 'refused');
    const done = await upload(target, [Buffer.from('small'), Buffer.from('end')]);
    const [first, second] = done;
    if (first === undefined || second === undefined) throw new Error('two parts were uploaded');
    const blobs = await deployment.blobs();
    const codeOf = async (Parts: CompletedPart[]) => (await refusal(complete(target, Parts))).code;
    expect(await codeOf([])).toBe('MalformedXML');
    expect(await codeOf([second, first])).toBe('InvalidPartOrder');
    expect(await codeOf([first, first])).toBe('InvalidPartOrder');
    expect(await codeOf([{ ...first, PartNumber: 3 }])).toBe('InvalidPart');
    expect(await codeOf([{ ...first, ETag: second.ETag }])).toBe('InvalidPart');
    const small = await refusal(complete(target, done));
    expect(small).toMatchObject({ code: 'EntityTooSmall', status: 400 });
    expect(small.details).toMatchObject({ MinSizeAllowed: '5242880', ProposedSize: '5', PartNumber: '1' });
    const sized = { ...target, MultipartUpload: { Parts: [second] }, MpuObjectSize: 4 };
    expect((await refusal(deployment.client.send(new CompleteMultipartUploadCommand(sized)))).code).toBe(
      'InvalidRequest',
    );
    for (const PartNumber of [0, 10_001]) {
      const part = new UploadPartCommand({ ...target, PartNumber, Body: 'x' });
      expect(await refusal(deployment.client.send(part))).toMatchObject({
        code: 'InvalidArgument',
        status: 400,
      });
    }
    const broken = new UploadPartCommand({
      ...target,
      PartNumber: 3,
      Body: 'x',
      ContentMD5: md5(Buffer.from('y')).toString('base64'),
    });
    expect((await refusal(deployment.client.send(broken))).code).toBe('BadDigest');
    expect(await deployment.blobs()).toEqual(blobs);
    expect((await deployment.client.send(new ListPartsCommand(target))).Parts).toHaveLength(2);
    await deployment.client.send(new AbortMultipartUploadCommand(target));
    expect((await refusal(deployment.client.send(new AbortMultipartUploadCommand(target)))).code).toBe(
      'NoSuchUpload',
    );
    const late = new UploadPartCommand({ ...target, PartNumber: 1, Body: 'late' });
    expect((await refusal(deployment.client.send(late))).code).toBe('NoSuchUpload');
    expect(await deployment.blobs()).toEqual(blobs);
  });

  it('demands a checksum of every part of a composite upload, and the same algorithm', async () => {
    const target = await create(bucket, 'strict', { ChecksumAlgorithm: 'SHA256' });
    const bare = new UploadPartCommand({ ...target, PartNumber: 1, Body: 'x' });
    expect((await refusal(deployment.client.send(bare))).code).toBe('InvalidRequest');
    const other = new UploadPartCommand({ ...target, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'CRC32' });
    expect((await refusal(deployment.client.send(other))).code).toBe('InvalidRequest');
    const done = await upload(target, [Buffer.from('x')], () => ({ ChecksumAlgorithm: 'SHA256' }));
    const { PartNumber, ETag } = done[0] ?? {};
    expect((await refusal(complete(target, [{ PartNumber, ETag }]))).code).toBe('InvalidRequest');
    await complete(target, done);
  });

  it('honours conditions at its end', async () => {
    const target = await create(bucket, 'condition');
    const done = await upload(target, [Buffer.from('new')]);
    const { ETag } = await deployment.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: 'condition', Body: 'old' }),
    );
    const finish = (condition: object) =>
      deployment.client.send(
        new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts: done }, ...condition }),
      );
    expect(await refusal(finish({ IfNoneMatch: '*' }))).toMatchObject({
      code: 'PreconditionFailed',
      status: 412,
    });
    expect((await refusal(finish({ IfMatch: '"other"' }))).code).toBe('PreconditionFailed');
    expect((await bytesOf(bucket, 'condition')).toString()).toBe('old');
    await finish({ IfMatch: ETag });
    expect((await bytesOf(bucket, 'condition')).toString()).toBe('new');
  });

  it('is copied into, whole and by range, byte for byte', async () => {
    const bytes = randomBytes(6 * MIB);
    await deployment.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'source', Body: bytes }));
    const target = await create(bucket, 'from-parts', { ChecksumAlgorithm: 'CRC32' });
    const copy = (PartNumber: number, extra: object = {}) =>
      deployment.client.send(
        new UploadPartCopyCommand({ ...target, PartNumber, CopySource: `/${bucket}/source`, ...extra }),
      );
    const whole = (await copy(1)).CopyPartResult;
    const range = (await copy(2, { CopySourceRange: `bytes=100-${MIB}` })).CopyPartResult;
    expect(whole?.ChecksumCRC32).toBe(crc32Base64(bytes));
    expect((await refusal(copy(3, { CopySourceRange: `bytes=0-${6 * MIB}` }))).code).toBe('InvalidArgument');
    expect((await refusal(copy(3, { CopySourceRange: 'bytes=5-' }))).code).toBe('InvalidArgument');
    expect(await refusal(copy(3, { CopySourceIfMatch: '"other"' }))).toMatchObject({ status: 412 });
    const missing = { CopySource: `${bucket}/missing` };
    expect((await refusal(copy(3, missing))).code).toBe('NoSuchKey');
    const Parts = [whole, range].map((part, index) => ({
      PartNumber: index + 1,
      ETag: part?.ETag,
      ChecksumCRC32: part?.ChecksumCRC32,
    }));
    await complete(target, Parts);
    const expected = Buffer.concat([bytes, bytes.subarray(100, MIB + 1)]);
    expect((await bytesOf(bucket, 'from-parts')).equals(expected)).toBe(true);
  });
});

describe('ListMultipartUploads', () => {
  it('groups, pages by key and upload, and forgets what ended', async () => {
    const keys = ['l/a', 'l/b', 'l/b', 'l/c/1', 'l/c/2', 'm'];
    const targets = await Promise.all(keys.map((key) => create('encrypted', key)));
    const list = (extra: object) =>
      deployment.client.send(
        new ListMultipartUploadsCommand({ Bucket: 'encrypted', Prefix: 'l/', ...extra }),
      );
    const grouped = await list({ Delimiter: '/' });
    expect(grouped.Uploads?.map((upload) => upload.Key)).toEqual(['l/a', 'l/b', 'l/b']);
    expect(grouped.CommonPrefixes).toEqual([{ Prefix: 'l/c/' }]);
    const seen: string[] = [];
    let marker = {};
    for (;;) {
      const page = await list({ MaxUploads: 2, ...marker });
      seen.push(...(page.Uploads ?? []).map((upload) => `${upload.Key} ${upload.UploadId}`));
      if (page.IsTruncated !== true) break;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
    const expected = targets.slice(0, 5).map(({ Key, UploadId }) => `${Key} ${UploadId}`);
    expect(seen).toEqual(expected.toSorted());
    for (const target of targets) await deployment.client.send(new AbortMultipartUploadCommand(target));
    expect((await list({})).Uploads).toBeUndefined();
  });
});

describe('an upload keeps what it was created as', () => {
  it('begun plain, it refuses AES256 and stays plain after encryption was turned on', async () => {
    await createBucket(deployment.server, 'turned-on', false);
    const { bytes, marker } = marked(100_000);
    const target = await create('turned-on', 'key');
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } } as const;
    await deployment.client.send(
      new PutBucketEncryptionCommand({
        Bucket: 'turned-on',
        ServerSideEncryptionConfiguration: { Rules: [rule] },
      }),
    );
    const asking = deployment.withHeaders({ 'x-amz-server-side-encryption': 'AES256' });
    const part = new UploadPartCommand({ ...target, PartNumber: 1, Body: bytes });
    expect(await refusal(asking.send(part))).toMatchObject({ code: 'InvalidArgument', status: 400 });
    const done = await upload(target, [bytes]);
    const finish = new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts: done } });
    expect((await refusal(asking.send(finish))).code).toBe('InvalidArgument');
    expect((await refusal(asking.send(new AbortMultipartUploadCommand(target)))).code).toBe(
      'InvalidArgument',
    );
    expect((await deployment.client.send(finish)).ServerSideEncryption).toBeUndefined();
    const head = await deployment.client.send(new HeadObjectCommand({ Bucket: 'turned-on', Key: 'key' }));
    expect(head.ServerSideEncryption).toBeUndefined();
    expect(await deployment.filesWith(marker)).toHaveLength(1);
  });

  it('begun encrypted, it stays encrypted after encryption was turned off', async () => {
    await createBucket(deployment.server, 'turned-off', true);
    const { bytes, marker } = marked(100_000);
    const target = await create('turned-off', 'key');
    await deployment.client.send(new DeleteBucketEncryptionCommand({ Bucket: 'turned-off' }));
    const done = await upload(target, [bytes]);
    expect((await complete(target, done)).ServerSideEncryption).toBe('AES256');
    expect((await bytesOf('turned-off', 'key')).equals(bytes)).toBe(true);
    expect(await deployment.filesWith(marker)).toEqual([]);
  });

  it.each([
    ['x-amz-server-side-encryption', 'aws:kms'],
    ['x-amz-server-side-encryption-customer-algorithm', 'AES256'],
  ])('no step accepts %s: %s', async (name, value) => {
    const asking = deployment.withHeaders({ [name]: value });
    const target = await create('encrypted', 'asked');
    const blobs = await deployment.blobs();
    const commands = [
      () => asking.send(new CreateMultipartUploadCommand({ Bucket: 'encrypted', Key: 'asked-2' })),
      () => asking.send(new UploadPartCommand({ ...target, PartNumber: 1, Body: Buffer.alloc(100_000) })),
      () => asking.send(new UploadPartCopyCommand({ ...target, PartNumber: 1, CopySource: 'encrypted/big' })),
      () => asking.send(new ListPartsCommand(target)),
      () => asking.send(new ListMultipartUploadsCommand({ Bucket: 'encrypted' })),
      () =>
        asking.send(
          new CompleteMultipartUploadCommand({
            ...target,
            MultipartUpload: { Parts: [{ PartNumber: 1, ETag: 'x' }] },
          }),
        ),
      () => asking.send(new AbortMultipartUploadCommand(target)),
    ];
    for (const command of commands) {
      expect(await refusal(command())).toMatchObject({ code: 'InvalidArgument', status: 400 });
    }
    expect(await deployment.blobs()).toEqual(blobs);
    expect((await deployment.client.send(new ListPartsCommand(target))).Parts).toBeUndefined();
    await deployment.client.send(new AbortMultipartUploadCommand(target));
  });
});

describe('requests on one upload at the same time', () => {
  it('many Completes of the same parts all succeed and make one object', async () => {
    const target = await create('encrypted', 'raced');
    const done = await upload(target, [Buffer.from('raced')]);
    const answers = await Promise.all(Array.from({ length: 16 }, () => complete(target, done)));
    expect(new Set(answers.map((answer) => answer.ETag)).size).toBe(1);
    expect((await bytesOf('encrypted', 'raced')).toString()).toBe('raced');
  });

  it('Complete against Abort: one wins and nothing in between is seen', async () => {
    for (let round = 0; round < 10; round += 1) {
      const Key = `against-abort-${round}`;
      const target = await create('encrypted', Key);
      const done = await upload(target, [Buffer.from(Key)]);
      const [completed, aborted] = await Promise.allSettled([
        complete(target, done),
        deployment.client.send(new AbortMultipartUploadCommand(target)),
      ]);
      const winners = [completed, aborted].filter((outcome) => outcome.status === 'fulfilled');
      expect(winners).toHaveLength(1);
      if (completed.status === 'fulfilled') expect((await bytesOf('encrypted', Key)).toString()).toBe(Key);
      else expect((await refusal(bytesOf('encrypted', Key))).code).toBe('NoSuchKey');
    }
  });

  it('parts replaced while Complete runs leave either the old object or none, never a mixture', async () => {
    const target = await create('encrypted', 'replaced');
    const done = await upload(target, [Buffer.from('kept')]);
    const replacing = Array.from({ length: 8 }, (_, index) =>
      deployment.client.send(new UploadPartCommand({ ...target, PartNumber: 2, Body: `other ${index}` })),
    );
    const outcomes = await Promise.allSettled([complete(target, done), ...replacing]);
    expect(outcomes[0]?.status).toBe('fulfilled');
    for (const outcome of outcomes.slice(1)) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'NoSuchUpload' });
    }
    expect((await bytesOf('encrypted', 'replaced')).toString()).toBe('kept');
  });
});
