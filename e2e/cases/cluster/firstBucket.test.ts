/** From nothing to an object in an encrypted bucket, on the cluster, through the chart and the custom resources. */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Installation, installSealgate } from '../../harness/cluster/installation.ts';
import { sharedCluster, sharedImage } from '../../harness/cluster/sharedCluster.ts';

let installation: Installation;

beforeAll(async () => {
  installation = await installSealgate({
    cluster: sharedCluster(),
    namespace: 'first',
    image: sharedImage(),
  });
});

afterAll(async () => {
  await installation.close();
});

test('a declared bucket is ready, and its Secret is all that an application needs', async () => {
  await installation.connectKms('keysecure');
  await installation.waitFor('kmsconnection/keysecure', 'Ready');
  await installation.declareBucket('invoices', {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3' }],
  });
  await installation.waitFor('encryptedbucket/invoices', 'Ready');
  const secret = await installation.secret('invoices-s3');
  const s3 = await installation.s3(secret);
  const place = { Bucket: secret['BUCKET_NAME'], Key: 'a.txt' };
  await s3.send(new PutObjectCommand({ ...place, Body: 'invoice 4711' }));
  expect(await s3.send(new HeadObjectCommand(place))).toMatchObject({ ServerSideEncryption: 'AES256' });
  const { Body } = await s3.send(new GetObjectCommand(place));
  expect(await Body?.transformToString()).toBe('invoice 4711');
});
