import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'minio';
import { type RoundTrip, tracesOf } from '../clients.ts';
import { expectSameBytes, expectSameFile } from '../material.ts';

async function listed(client: Client, bucket: string): Promise<string> {
  const names: string[] = [];
  for await (const entry of client.listObjectsV2(bucket, '', true)) names.push(`${entry.name} ${entry.size}`);
  return names.join(', ');
}

/** A form as a browser sends it, with the policy that minio-js signed. */
async function postForm(client: Client, bucket: string, path: string): Promise<void> {
  const policy = client.newPostPolicy();
  policy.setBucket(bucket);
  policy.setKey('posted');
  policy.setExpires(new Date(Date.now() + 60_000));
  policy.setContentLengthRange(1, 1 << 20);
  const { postURL, formData } = await client.presignedPostPolicy(policy);
  const form = new FormData();
  for (const [name, value] of Object.entries(formData)) form.append(name, String(value));
  form.append('file', new Blob([await readFile(path)]), 'posted');
  const answer = await fetch(postURL, { method: 'POST', body: form });
  if (answer.status !== 204)
    throw new Error(`the form was answered ${answer.status}: ${await answer.text()}`);
}

/** minio-js: streams, its own multipart, stat, listing, copy, presigned URL, POST form, batch removal. */
export const minioJsRoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, folder, small, large } = trip;
  const { hostname, port } = new URL(access.endpoint);
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: false,
    accessKey: access.accessKeyId,
    secretKey: access.secretAccessKey,
    partSize: 5 * 1024 * 1024,
  });
  const back = join(folder, 'back');
  await client.putObject(bucket, 'small', createReadStream(small.path), small.sizeBytes, {
    'X-Amz-Meta-A': 'b',
  });
  await client.fGetObject(bucket, 'small', back);
  await expectSameFile(small.path, back);
  const stat = await client.statObject(bucket, 'small');
  if (stat.size !== small.sizeBytes || stat.metaData['a'] !== 'b')
    throw new Error(`stat: ${JSON.stringify(stat)}`);
  await client.fPutObject(bucket, 'large', large.path);
  await client.fGetObject(bucket, 'large', back);
  await expectSameFile(large.path, back);

  const answer = await fetch(await client.presignedGetObject(bucket, 'small', 60));
  if (answer.status !== 200)
    throw new Error(`the presigned URL answered ${answer.status}: ${await answer.text()}`);
  await expectSameBytes(small.path, await answer.bytes());
  await postForm(client, bucket, small.path);
  await client.fGetObject(bucket, 'posted', back);
  await expectSameFile(small.path, back);
  await client.copyObject(bucket, 'copied', `/${bucket}/small`);
  await client.fGetObject(bucket, 'copied', back);
  await expectSameFile(small.path, back);

  await client.removeObjects(bucket, ['copied', 'posted']);
  const names = await listed(client, bucket);
  if (names !== `large ${large.sizeBytes}, small ${small.sizeBytes}`) throw new Error(`listed: ${names}`);
  return tracesOf(trip);
};
