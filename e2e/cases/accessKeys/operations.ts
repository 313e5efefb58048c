/** Every S3 operation as one request of AWS's SDK, on a bucket that has all that they need. */
import { createHmac } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketEncryptionCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketEncryptionCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { Permission } from '../../../dataplane/admin/schema/accessKeys.ts';
import type { OperationName } from '../../../dataplane/s3/router.ts';
import type { S3Access } from '../../harness/clients.ts';

/** Who sends, and where. `folder`: start of all keys, as `in/`. */
export interface Scene {
  readonly access: S3Access;
  readonly client: S3Client;
  readonly bucket: string;
  readonly folder: string;
  readonly uploads: { readonly toComplete: Upload; readonly toAbort: Upload };
}

interface Upload {
  readonly Key: string;
  readonly UploadId: string | undefined;
  readonly ETag: string | undefined;
}

/** What each operation needs: any grant, or all of these permissions on its keys (`admin`: on the whole bucket). */
export const NEEDS: Readonly<Record<OperationName, readonly Permission[] | 'anyGrant' | 'anybody' | 'root'>> =
  {
    CreateBucket: 'root',
    ListBuckets: 'anybody',
    HeadBucket: 'anyGrant',
    GetBucketLocation: 'anyGrant',
    GetBucketEncryption: 'anyGrant',
    PutBucketEncryption: ['admin'],
    DeleteBucketEncryption: ['admin'],
    DeleteBucket: ['admin'],
    ListObjects: ['list'],
    ListObjectsV2: ['list'],
    ListMultipartUploads: ['list'],
    GetObject: ['read'],
    HeadObject: ['read'],
    PutObject: ['write'],
    PostObject: ['write'],
    CopyObject: ['write', 'read'],
    CreateMultipartUpload: ['write'],
    UploadPart: ['write'],
    UploadPartCopy: ['write', 'read'],
    ListParts: ['write'],
    CompleteMultipartUpload: ['write'],
    AbortMultipartUpload: ['write'],
    DeleteObject: ['delete'],
    DeleteObjects: ['delete'],
  };

/** The answers of operations that are allowed and still refuse, because of what they find. */
const ALLOWED_REFUSALS: ReadonlySet<string> = new Set([
  'GetBucketEncryption ServerSideEncryptionConfigurationNotFoundError',
  'DeleteBucket BucketNotEmpty',
]);

const SEND: Readonly<Record<OperationName, (scene: Scene) => Promise<unknown>>> = {
  ListBuckets: ({ client }) => client.send(new ListBucketsCommand({})),
  CreateBucket: ({ client, bucket }) => client.send(new CreateBucketCommand({ Bucket: `${bucket}-new` })),
  HeadBucket: ({ client, bucket }) => client.send(new HeadBucketCommand({ Bucket: bucket })),
  GetBucketLocation: ({ client, bucket }) => client.send(new GetBucketLocationCommand({ Bucket: bucket })),
  GetBucketEncryption: ({ client, bucket }) =>
    client.send(new GetBucketEncryptionCommand({ Bucket: bucket })),
  PutBucketEncryption: ({ client, bucket }) =>
    client.send(
      new PutBucketEncryptionCommand({
        Bucket: bucket,
        ServerSideEncryptionConfiguration: {
          Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
        },
      }),
    ),
  DeleteBucketEncryption: ({ client, bucket }) =>
    client.send(new DeleteBucketEncryptionCommand({ Bucket: bucket })),
  DeleteBucket: ({ client, bucket }) => client.send(new DeleteBucketCommand({ Bucket: bucket })),
  ListObjects: ({ client, bucket, folder }) =>
    client.send(new ListObjectsCommand({ Bucket: bucket, Prefix: folder })),
  ListObjectsV2: ({ client, bucket, folder }) =>
    client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: folder })),
  ListMultipartUploads: ({ client, bucket, folder }) =>
    client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: folder })),
  GetObject: async ({ client, bucket, folder }) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `${folder}kept` }));
    await Body?.transformToByteArray();
  },
  HeadObject: ({ client, bucket, folder }) =>
    client.send(new HeadObjectCommand({ Bucket: bucket, Key: `${folder}kept` })),
  PutObject: ({ client, bucket, folder }) =>
    client.send(new PutObjectCommand({ Bucket: bucket, Key: `${folder}put`, Body: 'put' })),
  PostObject: ({ access, bucket, folder }) => post(access, bucket, `${folder}posted`),
  CopyObject: ({ client, bucket, folder }) =>
    client.send(
      new CopyObjectCommand({ Bucket: bucket, Key: `${folder}copy`, CopySource: `${bucket}/${folder}kept` }),
    ),
  CreateMultipartUpload: ({ client, bucket, folder }) =>
    client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: `${folder}another` })),
  UploadPart: ({ client, bucket, uploads: { toAbort } }) =>
    client.send(new UploadPartCommand({ ...named(bucket, toAbort), PartNumber: 2, Body: 'part' })),
  UploadPartCopy: ({ client, bucket, folder, uploads: { toAbort } }) =>
    client.send(
      new UploadPartCopyCommand({
        ...named(bucket, toAbort),
        PartNumber: 3,
        CopySource: `${bucket}/${folder}kept`,
      }),
    ),
  ListParts: ({ client, bucket, uploads: { toAbort } }) =>
    client.send(new ListPartsCommand(named(bucket, toAbort))),
  CompleteMultipartUpload: ({ client, bucket, uploads: { toComplete } }) =>
    client.send(
      new CompleteMultipartUploadCommand({
        ...named(bucket, toComplete),
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag: toComplete.ETag }] },
      }),
    ),
  AbortMultipartUpload: ({ client, bucket, uploads: { toAbort } }) =>
    client.send(new AbortMultipartUploadCommand(named(bucket, toAbort))),
  DeleteObject: ({ client, bucket, folder }) =>
    client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${folder}gone` })),
  DeleteObjects: async ({ client, bucket, folder }) => {
    const Objects = [{ Key: `${folder}gone too` }];
    const { Errors = [] } = await client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }),
    );
    // Denied key by key, inside the 200.
    for (const { Code = '' } of Errors) throw new KeyError(Code);
  },
};

class KeyError extends Error {}

const named = (Bucket: string, { Key, UploadId }: Upload) => ({ Bucket, Key, UploadId });

/** `allowed`, `AccessDenied`, or the code of any other refusal. */
export async function outcome(operation: OperationName, scene: Scene): Promise<string> {
  try {
    await SEND[operation](scene);
    return 'allowed';
  } catch (error) {
    if (error instanceof KeyError) return error.message;
    if (!(error instanceof S3ServiceException)) throw error;
    // A HEAD has no body that could tell its code.
    const isHead = operation.startsWith('Head');
    if (isHead && error.$metadata.httpStatusCode === 403) return 'AccessDenied';
    return ALLOWED_REFUSALS.has(`${operation} ${error.name}`) ? 'allowed' : error.name;
  }
}

/** Makes the bucket, with what the operations need under these folders, by the root. */
export async function prepare(root: S3Client, bucket: string, folder: string): Promise<Scene['uploads']> {
  await root.send(new CreateBucketCommand({ Bucket: bucket }));
  for (const name of ['kept', 'gone', 'gone too'])
    await root.send(new PutObjectCommand({ Bucket: bucket, Key: folder + name, Body: name }));
  const begin = async (name: string): Promise<Upload> => {
    const target = { Bucket: bucket, Key: folder + name };
    const { UploadId } = await root.send(new CreateMultipartUploadCommand(target));
    const { ETag } = await root.send(
      new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'part' }),
    );
    return { Key: target.Key, UploadId, ETag };
  };
  return { toComplete: await begin('completed'), toAbort: await begin('aborted') };
}

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** A browser's form, signed by its policy; throws what the SDK would. */
async function post(access: S3Access, bucket: string, key: string): Promise<void> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/${access.region}/s3/aws4_request`;
  const fields = {
    key,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${access.accessKeyId}/${scope}`,
    'x-amz-date': date,
  };
  const conditions = [{ bucket }, ...Object.entries(fields).map(([name, value]) => ({ [name]: value }))];
  const expiration = new Date(Date.now() + 600_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const signingKey = scope
    .split('/')
    .reduce<Buffer | string>((secret, step) => hmac(secret, step), `AWS4${access.secretAccessKey}`);
  const form = new FormData();
  const proof = { policy, 'x-amz-signature': hmac(signingKey, policy).toString('hex') };
  for (const [name, value] of Object.entries({ ...fields, ...proof })) form.set(name, value);
  form.set('file', new Blob(['posted']));
  const answer = await fetch(`${access.endpoint}/${bucket}`, { method: 'POST', body: form });
  const text = await answer.text();
  if (answer.ok) return;
  throw new S3ServiceException({
    name: /<Code>([^<]*)/.exec(text)?.[1] ?? 'Unknown',
    message: text,
    $fault: 'client',
    $metadata: { httpStatusCode: answer.status },
  });
}
