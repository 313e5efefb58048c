import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RoundTrip, runClient, tracesOf } from '../clients.ts';
import { expectSameFile, expectSameFolder, makeMaterial } from '../material.ts';

/** s3cmd: put and get, multipart, sync both ways, copy, listing and removal. */
export const s3cmdRoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, folder, small, large } = trip;
  const { host } = new URL(access.endpoint);
  const configuration = join(folder, 's3cfg');
  const settings = [
    '[default]',
    `access_key = ${access.accessKeyId}`,
    `secret_key = ${access.secretAccessKey}`,
    `bucket_location = ${access.region}`,
    `host_base = ${host}`,
    `host_bucket = ${host}`,
    'use_https = False',
  ];
  await writeFile(configuration, `${settings.join('\n')}\n`, { mode: 0o600 });
  const s3cmd = async (...args: string[]): Promise<string> =>
    (await runClient('s3cmd', [`--config=${configuration}`, '--no-progress', ...args], { folder })).stdout;
  const back = join(folder, 'back');

  await s3cmd('put', small.path, `s3://${bucket}/small`);
  await s3cmd('get', '--force', `s3://${bucket}/small`, back);
  await expectSameFile(small.path, back);
  await s3cmd('put', '--multipart-chunk-size-mb=5', large.path, `s3://${bucket}/large`);
  await s3cmd('get', '--force', `s3://${bucket}/large`, back);
  await expectSameFile(large.path, back);

  const tree = join(folder, 'tree');
  await makeMaterial(join(tree, 'a.bin'), 10);
  await makeMaterial(join(tree, 'deep/b c.bin'), 40_000);
  await s3cmd('sync', `${tree}/`, `s3://${bucket}/tree/`);
  await s3cmd('sync', `s3://${bucket}/tree/`, `${join(folder, 'synced')}/`);
  await expectSameFolder(tree, join(folder, 'synced'));
  await s3cmd('cp', `s3://${bucket}/small`, `s3://${bucket}/copied`);
  await s3cmd('get', '--force', `s3://${bucket}/copied`, back);
  await expectSameFile(small.path, back);
  await s3cmd('del', '--recursive', '--force', `s3://${bucket}/tree/`);
  await s3cmd('del', `s3://${bucket}/copied`);
  const listing = await s3cmd('ls', '--recursive', `s3://${bucket}/`);
  const names = [...listing.matchAll(/(\d+)\s+s3:\/\/[^/]+\/(.*)$/gm)].map(
    ([, size, name]) => `${name} ${size}`,
  );
  if (names.join(', ') !== `large ${large.sizeBytes}, small ${small.sizeBytes}`)
    throw new Error(`listed:\n${listing}`);
  return tracesOf(trip);
};
