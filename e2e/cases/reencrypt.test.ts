import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askAdmin } from '../harness/admin.ts';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { storedRows } from '../harness/storedRows.ts';

const BUCKET = 'stolen';
const LARGE = Buffer.alloc(3 * 1024 * 1024, 'large;');
const PART = Buffer.alloc(5 * 1024 * 1024, 'part;');

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2 });
  await createBucket(deployment.server, BUCKET, true);
});
afterAll(() => deployment.close());

const put = (key: string, body: Buffer) =>
  deployment.client.send(
    new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body, Metadata: { kind: key } }),
  );
const get = async (key: string): Promise<Buffer> => {
  const answer = await deployment.client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
};

async function upload(key: string) {
  const place = { Bucket: BUCKET, Key: key };
  const { UploadId = '' } = await deployment.client.send(new CreateMultipartUploadCommand(place));
  const etags: (string | undefined)[] = [];
  for (const [index, Body] of [PART, LARGE].entries()) {
    const part = { ...place, UploadId, PartNumber: index + 1, Body };
    etags.push((await deployment.client.send(new UploadPartCommand(part))).ETag);
  }
  const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
  const completion = new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } });
  return { complete: () => deployment.client.send(completion) };
}

/** What clients see of every object but its bytes. */
async function seen(keys: readonly string[]): Promise<readonly unknown[]> {
  const heads = [];
  for (const Key of keys) {
    const { $metadata: _meta, ...head } = await deployment.client.send(
      new HeadObjectCommand({ Bucket: BUCKET, Key }),
    );
    heads.push(head);
  }
  const { Contents } = await deployment.client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  return [...heads, Contents];
}

/** Polls until it is in that state; `each` gets every answer. */
async function until(state: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { status, body } = await askAdmin(deployment.server, 'GET', `buckets/${BUCKET}/reencrypt`);
    expect(status).toBe(200);
    if (body['state'] === state) return body;
  }
}

const blobFiles = (): string[] => {
  const folder = join(deployment.server.dataFolder, 'blobs');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
};

describe('after a bucket key was stolen', () => {
  const keys = ['large', 'parts', 'small'];

  it('is refused before the key was rotated, and for buckets without a key', async () => {
    const reencrypt = (name: string) => askAdmin(deployment.server, 'POST', `buckets/${name}/reencrypt`);
    expect(await reencrypt(BUCKET)).toMatchObject({ status: 409, body: { error: { code: 'NothingOlder' } } });
    expect(await reencrypt('nowhere')).toMatchObject({
      status: 404,
      body: { error: { code: 'NoSuchBucket' } },
    });
    const asked = await askAdmin(deployment.server, 'GET', `buckets/${BUCKET}/reencrypt`);
    expect(asked).toMatchObject({ status: 404, body: { error: { code: 'NoReencryption' } } });
  });

  it('everything is written anew: new blobs and data keys, the same objects; open uploads when they are complete', async () => {
    await put('large', LARGE);
    await put('small', Buffer.from('small'));
    await (await upload('parts')).complete();
    const late = await upload('late');
    const rotation = await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/rotate`, {
      requestId: 'theft',
    });
    expect(rotation.status).toBe(200);
    const before = await seen(keys);
    const oldFiles = new Map(blobFiles().map((path) => [path, readFileSync(path)]));
    const bodies = () =>
      storedRows(deployment.server.dataFolder, 'SELECT body_id FROM object_version').map(
        (row) => row['body_id'],
      );
    const oldBodies = bodies();

    const asked = await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/reencrypt`);
    expect(asked).toMatchObject({ status: 200, body: { bucket: BUCKET, olderThan: 2 } });
    const waiting = await until('Waiting');
    expect(waiting).toMatchObject({
      remaining: { versions: 0, uploads: 1 },
      done: { versions: 3, bytes: 2 * LARGE.length + PART.length + 5 },
      message: expect.stringContaining('1 open uploads'),
    });
    expect(await seen(keys)).toEqual(before);
    expect((await get('large')).equals(LARGE)).toBe(true);
    expect((await get('parts')).equals(Buffer.concat([PART, LARGE]))).toBe(true);
    expect((await get('small')).toString()).toBe('small');
    expect(bodies().filter((id) => oldBodies.includes(id))).toEqual([]);
    const newFiles = blobFiles().filter((path) => !oldFiles.has(path));
    expect(newFiles).toHaveLength(3);
    for (const path of newFiles) {
      const bytes = readFileSync(path);
      expect([...oldFiles.values()].some((old) => old.subarray(72).equals(bytes.subarray(72)))).toBe(false);
    }

    // What is open was begun under the stolen key, and is written anew once its client is done.
    await late.complete();
    await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/reencrypt`);
    expect(await until('Finished')).toMatchObject({
      remaining: { versions: 0, uploads: 0 },
      done: { versions: 4 },
      damaged: 0,
    });
    expect((await get('late')).equals(Buffer.concat([PART, LARGE]))).toBe(true);
  });
});
