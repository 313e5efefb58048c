import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type RoundTrip, runClient, tracesOf } from '../clients.ts';
import { expectSameFile, expectSameFolder, makeMaterial } from '../material.ts';

/** rclone: copyto of one part and of many, copy, check with download, sync with removal, listing. */
export const rcloneRoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, folder, small, large } = trip;
  const env = {
    RCLONE_CONFIG: join(folder, 'rclone.conf'),
    RCLONE_CONFIG_STORE_TYPE: 's3',
    RCLONE_CONFIG_STORE_PROVIDER: 'Other',
    RCLONE_CONFIG_STORE_ENDPOINT: access.endpoint,
    RCLONE_CONFIG_STORE_REGION: access.region,
    RCLONE_CONFIG_STORE_ACCESS_KEY_ID: access.accessKeyId,
    RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: access.secretAccessKey,
  };
  const rclone = async (...args: string[]): Promise<string> =>
    (await runClient('rclone', ['--retries=1', ...args], { folder, env })).stdout;
  const back = join(folder, 'back');

  await rclone('copyto', small.path, `store:${bucket}/small`);
  await rclone('copyto', `store:${bucket}/small`, back);
  await expectSameFile(small.path, back);
  await rclone(
    'copyto',
    '--s3-upload-cutoff=5Mi',
    '--s3-chunk-size=5Mi',
    large.path,
    `store:${bucket}/large`,
  );
  await rclone('copyto', '--multi-thread-cutoff=5Mi', `store:${bucket}/large`, join(folder, 'large-back'));
  await expectSameFile(large.path, join(folder, 'large-back'));

  const tree = join(folder, 'tree');
  await makeMaterial(join(tree, 'a.bin'), 10);
  await makeMaterial(join(tree, 'deep/ü c.bin'), 400_000);
  await rclone('copy', tree, `store:${bucket}/tree`);
  await rclone('check', tree, `store:${bucket}/tree`);
  await rclone('check', '--download', tree, `store:${bucket}/tree`);
  await rclone('copy', `store:${bucket}/tree`, join(folder, 'copied'));
  await expectSameFolder(tree, join(folder, 'copied'));
  await rclone('copyto', `store:${bucket}/tree/a.bin`, `store:${bucket}/tree/server side.bin`);
  await rclone('copyto', `store:${bucket}/tree/server side.bin`, join(folder, 'server-side'));
  await expectSameFile(join(tree, 'a.bin'), join(folder, 'server-side'));
  await rm(join(tree, 'deep'), { recursive: true });
  await rclone('sync', tree, `store:${bucket}/tree`);
  const listing = await rclone('lsf', '--recursive', '--files-only', '--format=ps', `store:${bucket}`);
  const expected = [`large;${large.sizeBytes}`, `small;${small.sizeBytes}`, 'tree/a.bin;10'];
  if (listing.trim().split('\n').toSorted().join('\n') !== expected.join('\n'))
    throw new Error(`listed:\n${listing}`);
  return tracesOf(trip);
};
