import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { awsVariables, pythonClient, type RoundTrip, runClient, tracesOf } from '../clients.ts';
import { expectSameBytes, expectSameFile, expectSameFolder, makeMaterial } from '../material.ts';

/** aws-cli: cp of one part and of many, ls, sync both ways and with --delete, presign, mv and rm. */
export const awsCliRoundTrip: RoundTrip = async (trip) => {
  const { access, bucket, folder, small, large } = trip;
  const s3 = async (...args: string[]): Promise<string> => {
    const options = { folder, env: awsVariables(access) };
    return (await runClient(pythonClient('aws'), ['s3', ...args], options)).stdout;
  };
  const back = join(folder, 'back');

  await s3('cp', large.path, `s3://${bucket}/large`);
  await s3('cp', `s3://${bucket}/large`, back);
  await expectSameFile(large.path, back);
  await s3('cp', small.path, `s3://${bucket}/small`);
  await s3('cp', `s3://${bucket}/small`, back);
  await expectSameFile(small.path, back);

  const tree = join(folder, 'tree');
  await mkdir(tree);
  await makeMaterial(join(tree, 'a.bin'), 100);
  await makeMaterial(join(tree, 'deep/er/ü ber+%2F&=.bin'), 300_000);
  await makeMaterial(join(tree, 'deep/empty.bin'), 0);
  await s3('sync', '--no-progress', tree, `s3://${bucket}/tree/`);
  await s3('sync', '--no-progress', `s3://${bucket}/tree/`, join(folder, 'synced'));
  await expectSameFolder(tree, join(folder, 'synced'));
  const again = await s3('sync', '--no-progress', tree, `s3://${bucket}/tree/`);
  if (again !== '') throw new Error(`a second sync found something to do:\n${again}`);
  await rm(join(tree, 'a.bin'));
  await s3('sync', '--no-progress', '--delete', tree, `s3://${bucket}/tree/`);
  await s3('sync', '--no-progress', '--delete', `s3://${bucket}/tree/`, join(folder, 'synced'));
  await expectSameFolder(tree, join(folder, 'synced'));

  const url = await s3('presign', `s3://${bucket}/small`, '--expires-in', '60');
  const answer = await fetch(url.trim());
  if (answer.status !== 200)
    throw new Error(`the presigned URL answered ${answer.status}: ${await answer.text()}`);
  await expectSameBytes(small.path, await answer.bytes());

  await s3('mv', `s3://${bucket}/tree/deep/empty.bin`, `s3://${bucket}/moved`);
  await s3('rm', '--recursive', `s3://${bucket}/tree/`);
  const listing = await s3('ls', '--recursive', `s3://${bucket}/`);
  const listed = listing
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/).slice(2).join(' '));
  const expected = [`${large.sizeBytes} large`, '0 moved', `${small.sizeBytes} small`];
  if (listed.join('\n') !== expected.join('\n')) throw new Error(`listed:\n${listing}`);
  return tracesOf(trip);
};
