import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { type RoundTrip, sdkClient, tracesOf } from '../clients.ts';
import { expectSameBytes } from '../material.ts';

async function get(client: S3Client, bucket: string, key: string, range?: string): Promise<Uint8Array> {
  const options = range === undefined ? {} : { Range: range };
  const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...options }));
  if (answer.Body === undefined) throw new Error(`GetObject of ${key} has no body`);
  return answer.Body.transformToByteArray();
}

async function expectRange(
  client: S3Client,
  bucket: string,
  path: string,
  range: readonly [number, number],
): Promise<void> {
  const [first, last] = range;
  const file = await open(path);
  const expected = Buffer.alloc(last - first + 1);
  await file.read(expected, 0, expected.length, first);
  await file.close();
  const actual = await get(client, bucket, 'large', `bytes=${first}-${last}`);
  if (!expected.equals(actual)) throw new Error(`bytes ${first}-${last} differ`);
}

/** A presigned URL is used without the SDK, by whoever was given it. */
async function expectPresigned(client: S3Client, bucket: string, path: string): Promise<void> {
  const putUrl = await getSignedUrl(client, new PutObjectCommand({ Bucket: bucket, Key: 'presigned' }));
  const put = await fetch(putUrl, { method: 'PUT', body: await readFile(path) });
  if (put.status !== 200) throw new Error(`the presigned PUT answered ${put.status}: ${await put.text()}`);
  const got = await fetch(
    await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'presigned' })),
  );
  if (got.status !== 200) throw new Error(`the presigned GET answered ${got.status}: ${await got.text()}`);
  await expectSameBytes(path, await got.bytes());
}

/** AWS SDK for JavaScript v3: streams (aws-chunked with a trailer), managed multipart, ranges, copy, presigned URLs. */
export const awsSdkRoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, small, large } = trip;
  const client = sdkClient(access);
  try {
    const stream = createReadStream(small.path);
    const put = new PutObjectCommand({
      Bucket: bucket,
      Key: 'small',
      Body: stream,
      ContentLength: small.sizeBytes,
      Metadata: { a: 'b' },
    });
    await client.send(put);
    await expectSameBytes(small.path, await get(client, bucket, 'small'));
    const head = await client.send(
      new HeadObjectCommand({ Bucket: bucket, Key: 'small', ChecksumMode: 'ENABLED' }),
    );
    if (head.Metadata?.['a'] !== 'b') throw new Error('the user metadata is lost');
    if (head.ChecksumCRC32 === undefined) throw new Error('the CRC32 of the trailer is lost');
    if (head.ContentEncoding !== undefined)
      throw new Error(`Content-Encoding ${head.ContentEncoding} was stored`);

    const params = { Bucket: bucket, Key: 'large', Body: createReadStream(large.path) };
    await new Upload({ client, params, partSize: 5 * 1024 * 1024, queueSize: 3 }).done();
    await expectSameBytes(large.path, await get(client, bucket, 'large'));
    const border = 5 * 1024 * 1024;
    for (const range of [
      [0, 0],
      [border - 1, border],
      [1, large.sizeBytes - 2],
    ] as const) {
      await expectRange(client, bucket, large.path, range);
    }

    await client.send(
      new CopyObjectCommand({ Bucket: bucket, Key: 'copied', CopySource: `${bucket}/large` }),
    );
    await expectSameBytes(large.path, await get(client, bucket, 'copied'));
    await expectPresigned(client, bucket, small.path);
    const Objects = [{ Key: 'copied' }, { Key: 'presigned' }];
    await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    const listing = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    const listed = listing.Contents?.map(({ Key, Size }) => `${Key} ${Size}`).join(', ');
    if (listed !== `large ${large.sizeBytes}, small ${small.sizeBytes}`) throw new Error(`listed: ${listed}`);
  } finally {
    client.destroy();
  }
  return tracesOf(trip);
};
