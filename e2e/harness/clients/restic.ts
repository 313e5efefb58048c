import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { awsVariables, type RoundTrip, runClient, type S3Access, sdkClient, type Trace } from '../clients.ts';
import { expectSameFolder } from '../material.ts';

/**
 * restic encrypts what it backs up, so its objects are recognised by what it leaves in clear: the salt in the JSON of
 * its key file (small), and 32 bytes of its largest pack as it sent them.
 */
async function traces(access: S3Access, bucket: string): Promise<Trace[]> {
  const client = sdkClient(access);
  const read = async (Key: string | undefined, Range: string): Promise<Buffer> => {
    const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key, Range }));
    if (answer.Body === undefined) throw new Error(`${Key} has no body`);
    return Buffer.from(await answer.Body.transformToByteArray());
  };
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    const keyFile = Contents.find(({ Key }) => Key?.startsWith('repository/keys/'))?.Key;
    const salt = /"salt":"([^"]{40,})"/.exec((await read(keyFile, 'bytes=0-')).toString())?.[1];
    if (salt === undefined) throw new Error('restic left no key file with a salt');
    const bySize = Contents.toSorted((a, b) => (b.Size ?? 0) - (a.Size ?? 0));
    return [
      { bytes: Buffer.from(salt), size: 'small' },
      { bytes: await read(bySize[0]?.Key, 'bytes=1000-1031'), size: 'large' },
    ];
  } finally {
    client.destroy();
  }
}

/** restic: init, two backups, check of every byte, restore, forget with prune. */
export const resticRoundTrip: RoundTrip = async ({ access, bucket, folder, small, large }) => {
  const env = {
    ...awsVariables(access),
    RESTIC_REPOSITORY: `s3:${access.endpoint}/${bucket}/repository`,
    RESTIC_PASSWORD: 'a password of this test',
    RESTIC_CACHE_DIR: join(folder, 'cache'),
  };
  const restic = (...args: string[]) => runClient('restic', args, { folder, env });
  const source = join(folder, 'source');
  await mkdir(source);
  await copyFile(small.path, join(source, 'small'));
  await copyFile(large.path, join(source, 'large'));

  await restic('init');
  await restic('backup', source);
  await copyFile(small.path, join(source, 'added'));
  await restic('backup', source);
  await restic('check', '--read-data');
  const restored = join(folder, 'restored');
  await restic('restore', 'latest', '--target', restored);
  await expectSameFolder(source, join(restored, source));
  await restic('forget', '--keep-last', '1', '--prune');
  await restic('check', '--read-data');
  return traces(access, bucket);
};
