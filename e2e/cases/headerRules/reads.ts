/** The rows of the operations that read objects, and of every other operation. */
import type { RawAnswer, RawRequest } from '../../harness/signedRequest.ts';
import { type Attempt, type Subject, told } from './operations.ts';
import {
  bucketEncrypted,
  contentEncrypted,
  ENCRYPTION_RULE,
  md5Hex,
  PLACES,
  type Place,
  UNCHANGED,
  type World,
} from './world.ts';

interface Form {
  readonly title: string;
  readonly status: 200 | 206;
  readonly request: Pick<RawRequest, 'query' | 'headers'>;
  /** The bytes that it asks for. */
  slice(body: Buffer): Buffer;
}

const FORMS: readonly Form[] = [
  { title: 'whole', status: 200, request: {}, slice: (body) => body },
  {
    title: 'a range',
    status: 206,
    request: { headers: [['range', 'bytes=100-1099']] },
    slice: (body) => body.subarray(100, 1100),
  },
  { title: 'a part', status: 206, request: { query: [['partNumber', '1']] }, slice: (body) => body },
  { title: 'a version', status: 200, request: { query: [['versionId', 'null']] }, slice: (body) => body },
];

/** Judged by the object's own state, whatever its bucket says by now. */
const objectReads = (['GET', 'HEAD'] as const).flatMap((method) =>
  FORMS.flatMap((form) =>
    (form.title === 'whole' ? PLACES : UNCHANGED).map((place): Subject => {
      const operation = method === 'GET' ? 'GetObject' : 'HeadObject';
      const encrypted = contentEncrypted(place);
      return {
        operation,
        title: `${operation} of ${form.title}, ${encrypted ? 'encrypted' : 'plain'} object in a ${place} bucket`,
        encrypted,
        body: 'none',
        stateLater: true,
        attempt: (world) => ({
          plan: { kind: 'signed', request: { method, path: `/${place}/existing`, ...form.request } },
          accepted: (answer) => {
            const expected = form.slice(world.body(place));
            const wrong = told(answer, form.status, encrypted);
            if (answer.headers['content-length'] !== String(expected.length)) wrong.push('the wrong length');
            if (method === 'GET' && !answer.body.equals(expected)) wrong.push('other bytes');
            return wrong;
          },
        }),
      };
    }),
  ),
);

/** Nothing of the answer speaks of an object's encryption. */
const served = (status: number, more: (answer: RawAnswer) => boolean = () => true): Attempt['accepted'] => {
  return (answer) => [...told(answer, status, false), ...(more(answer) ? [] : ['it did not do its work'])];
};

type OtherAttempt = (
  world: World,
  place: Place,
  target: 'existing' | 'fresh',
) => (RawRequest & { done: Attempt['accepted'] }) | Promise<RawRequest & { done: Attempt['accepted'] }>;

/** Judged by the bucket's setting. */
function other(operation: string, body: 'read' | 'none', attempt: OtherAttempt): Subject[] {
  return UNCHANGED.map((place) => ({
    operation,
    title: `${operation}, ${place} bucket`,
    encrypted: bucketEncrypted(place),
    body,
    stateLater: false,
    attempt: async (world, target) => {
      const { done, ...request } = await attempt(world, place, target);
      return { plan: { kind: 'signed', request }, accepted: done };
    },
  }));
}

/** An empty bucket of that kind, that may be changed or deleted. */
async function emptyBucket(world: World, place: Place, target: 'existing' | 'fresh'): Promise<string> {
  if (target === 'existing') return `empty-${place}`;
  const name = world.newName();
  const headers = bucketEncrypted(place) ? ([['x-amz-server-side-encryption', 'AES256']] as const) : [];
  await world.done({ method: 'PUT', path: `/${name}`, headers });
  return name;
}

async function object(world: World, place: Place, target: 'existing' | 'fresh'): Promise<string> {
  if (target === 'existing') return 'existing';
  const key = world.newName();
  await world.done({ method: 'PUT', path: `/${place}/${key}`, body: world.newBody(bucketEncrypted(place)) });
  return key;
}

const has = (text: string) => (answer: RawAnswer) => answer.body.includes(text);

const others: readonly Subject[] = [
  ...other('HeadBucket', 'none', (_, place) => ({
    method: 'HEAD',
    path: `/${place}`,
    done: served(200, ({ headers }) => {
      return headers['x-amz-scal-server-side-encryption'] === (bucketEncrypted(place) ? 'AES256' : undefined);
    }),
  })),
  ...other('GetBucketLocation', 'none', (_, place) => ({
    method: 'GET',
    path: `/${place}`,
    query: [['location', null]],
    done: served(200, has('<LocationConstraint')),
  })),
  ...other('GetBucketEncryption', 'none', (_, place) => ({
    method: 'GET',
    path: `/${place}`,
    query: [['encryption', null]],
    done: bucketEncrypted(place)
      ? served(200, has('<SSEAlgorithm>AES256</SSEAlgorithm>'))
      : served(404, ({ code }) => code === 'ServerSideEncryptionConfigurationNotFoundError'),
  })),
  ...other('PutBucketEncryption', 'read', async (world, place, target) => {
    const bucket = await emptyBucket(world, place, target);
    return {
      method: 'PUT',
      path: `/${bucket}`,
      query: [['encryption', null]],
      body: Buffer.from(ENCRYPTION_RULE),
      done: served(200, () => world.store.bucket(bucket)?.encrypted === true),
    };
  }),
  ...other('DeleteBucketEncryption', 'none', async (world, place, target) => {
    const bucket = await emptyBucket(world, place, target);
    return {
      method: 'DELETE',
      path: `/${bucket}`,
      query: [['encryption', null]],
      done: served(204, () => world.store.bucket(bucket)?.encrypted === false),
    };
  }),
  ...other('DeleteBucket', 'none', async (world, place, target) => {
    const bucket = await emptyBucket(world, place, target);
    const done = served(204, () => world.store.bucket(bucket) === null);
    return { method: 'DELETE', path: `/${bucket}`, done };
  }),
  ...other('ListObjects', 'none', (_, place) => ({
    method: 'GET',
    path: `/${place}`,
    done: served(200, has('<Key>existing</Key>')),
  })),
  ...other('ListObjectsV2', 'none', (_, place) => ({
    method: 'GET',
    path: `/${place}`,
    query: [['list-type', '2']],
    done: served(200, has('<Key>existing</Key>')),
  })),
  ...other('ListMultipartUploads', 'none', (_, place) => ({
    method: 'GET',
    path: `/${place}`,
    query: [['uploads', null]],
    done: served(200, has('<Key>open</Key>')),
  })),
  ...other('ListParts', 'none', (world, place) => ({
    method: 'GET',
    path: `/${place}/open`,
    query: [['uploadId', world.openUpload(place).uploadId]],
    done: served(200, has(world.openUpload(place).etag.replaceAll('"', ''))),
  })),
  ...other('DeleteObject', 'none', async (world, place, target) => {
    const key = await object(world, place, target);
    const done = served(204, () => world.store.object(place, key) === null);
    return { method: 'DELETE', path: `/${place}/${key}`, done };
  }),
  ...other('DeleteObjects', 'read', async (world, place, target) => {
    const key = await object(world, place, target);
    const body = Buffer.from(`<Delete><Object><Key>${key}</Key></Object></Delete>`);
    return {
      method: 'POST',
      path: `/${place}`,
      query: [['delete', null]],
      headers: [['content-md5', Buffer.from(md5Hex(body), 'hex').toString('base64')]],
      body,
      done: served(200, () => world.store.object(place, key) === null),
    };
  }),
];

const listBuckets: Subject = {
  operation: 'ListBuckets',
  title: 'ListBuckets',
  encrypted: false,
  body: 'none',
  stateLater: false,
  attempt: () => ({
    plan: { kind: 'signed', request: { method: 'GET', path: '/' } },
    accepted: served(200, has('<Name>encrypted</Name>')),
  }),
};

export const READS_AND_OTHERS: readonly Subject[] = [...objectReads, listBuckets, ...others];
