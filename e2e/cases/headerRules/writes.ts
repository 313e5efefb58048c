/** The rows of the operations that write: buckets, objects, parts, and the ends of uploads. */
import { send } from '../../harness/signedRequest.ts';
import { type Attempt, type Subject, stored, storedObject, told } from './operations.ts';
import {
  bucketEncrypted,
  completionOf,
  contentEncrypted,
  type OpenUpload,
  PLACES,
  type Place,
  UNCHANGED,
  type World,
} from './world.ts';

const createBucket: Subject = {
  operation: 'CreateBucket',
  title: 'CreateBucket',
  encrypted: false,
  body: 'read',
  stateLater: false,
  attempt: (world) => {
    const name = world.newName();
    return {
      plan: { kind: 'signed', request: { method: 'PUT', path: `/${name}` } },
      accepted: async (answer, encrypted) => {
        const head = await send(world.deployment.server, { method: 'HEAD', path: `/${name}` });
        const said = head.headers['x-amz-scal-server-side-encryption'];
        const wrong = said === (encrypted ? 'AES256' : undefined) ? [] : [`HeadBucket says ${said}`];
        if (world.store.bucket(name)?.encrypted !== encrypted) wrong.push('its document is wrong');
        return [...told(answer, 200, false), ...wrong];
      },
    };
  },
};

type WriteAttempt = (world: World, place: Place, key: string) => Attempt;

/** Operations that put an object under a key: judged by the bucket's setting. */
function objectWrite(
  operation: string,
  title: string,
  body: Subject['body'],
  attempt: WriteAttempt,
): Subject[] {
  // Of a changed setting, one operation that asks for it is proof for all: they ask in the same way.
  const places = operation === 'PutObject' ? PLACES : UNCHANGED;
  return places.map((place) => ({
    operation,
    title: `${title}, ${place} bucket`,
    encrypted: bucketEncrypted(place),
    body,
    stateLater: body === 'form',
    attempt: (world, target) => attempt(world, place, target === 'fresh' ? world.newName() : 'existing'),
  }));
}

const putObject = objectWrite('PutObject', 'PutObject', 'read', (world, place, key) => {
  const body = world.newBody(bucketEncrypted(place));
  return {
    plan: { kind: 'signed', request: { method: 'PUT', path: `/${place}/${key}`, body } },
    accepted: (answer, encrypted) => [
      ...told(answer, 200, encrypted),
      ...storedObject(world, place, key, body, encrypted),
    ],
  };
});

const postObject = objectWrite('POST object', 'POST object', 'form', (world, place, key) => {
  const file = world.newBody(bucketEncrypted(place));
  return {
    plan: { kind: 'form', form: { bucket: place, key, file } },
    accepted: (answer, encrypted) => [
      ...told(answer, 204, encrypted),
      ...storedObject(world, place, key, file, encrypted),
    ],
  };
});

const copyObject = (['encrypted', 'plain'] as const).flatMap((from) =>
  objectWrite('CopyObject', `CopyObject from the ${from} bucket`, 'none', (world, place, key) => ({
    plan: {
      kind: 'signed',
      request: {
        method: 'PUT',
        path: `/${place}/${key}`,
        headers: [['x-amz-copy-source', `/${from}/source`]],
      },
    },
    accepted: (answer, encrypted) => [
      ...told(answer, 200, encrypted),
      ...storedObject(world, place, key, world.source(from), encrypted),
    ],
  })),
);

const createMultipartUpload = objectWrite(
  'CreateMultipartUpload',
  'CreateMultipartUpload',
  'none',
  (world, place, key) => ({
    plan: {
      kind: 'signed',
      request: { method: 'POST', path: `/${place}/${key}`, query: [['uploads', null]] },
    },
    accepted: (answer, encrypted) => {
      const uploadId = /<UploadId>([^<]+)</.exec(answer.body.toString('utf8'))?.[1] ?? '';
      const right = world.store.upload(uploadId)?.encrypted === encrypted;
      return [...told(answer, 200, encrypted), ...(right ? [] : ['its row is wrong'])];
    },
  }),
);

type UploadAttempt = (
  world: World,
  upload: OpenUpload,
  target: 'existing' | 'fresh',
  place: Place,
) => Attempt;

/** Operations on an upload: judged by how it was created, whatever its bucket says by now. */
function uploadWrite(operation: string, body: Subject['body'], attempt: UploadAttempt): Subject[] {
  const ends = operation.startsWith('Complete') || operation.startsWith('Abort');
  return PLACES.map((place) => ({
    operation,
    title: `${operation}, ${contentEncrypted(place) ? 'encrypted' : 'plain'} upload in a ${place} bucket`,
    encrypted: contentEncrypted(place),
    body,
    stateLater: false,
    attempt: (world, target) => {
      const upload = ends && target === 'fresh' ? world.takeUpload(place) : world.openUpload(place);
      return attempt(world, upload, target, place);
    },
  }));
}

/** Part 1 of the upload is there; the others are not. */
const partNumber = (world: World, target: 'existing' | 'fresh'): number =>
  target === 'existing' ? 1 : world.newPartNumber();

const uploadPart = uploadWrite('UploadPart', 'read', (world, upload, target, place) => {
  const body = world.newBody(contentEncrypted(place));
  const number = partNumber(world, target);
  const query = [
    ['partNumber', String(number)],
    ['uploadId', upload.uploadId],
  ] as const;
  return {
    plan: { kind: 'signed', request: { method: 'PUT', path: `/${place}/${upload.key}`, query, body } },
    accepted: (answer, encrypted) => [
      ...told(answer, 200, encrypted),
      ...stored(world.store.part(upload.uploadId, number), body, encrypted),
    ],
  };
});

const uploadPartCopy = uploadWrite('UploadPartCopy', 'none', (world, upload, target, place) => {
  const number = partNumber(world, target);
  const query = [
    ['partNumber', String(number)],
    ['uploadId', upload.uploadId],
  ] as const;
  const headers = [['x-amz-copy-source', '/plain/source']] as const;
  return {
    plan: { kind: 'signed', request: { method: 'PUT', path: `/${place}/${upload.key}`, query, headers } },
    accepted: (answer, encrypted) => [
      ...told(answer, 200, encrypted),
      ...stored(world.store.part(upload.uploadId, number), world.source('plain'), encrypted),
    ],
  };
});

const completion = (world: World, upload: OpenUpload): Attempt => ({
  plan: { kind: 'signed', request: completionOf(upload) },
  accepted: (answer, encrypted) => [
    ...told(answer, 200, encrypted),
    ...storedObject(world, upload.bucket, upload.key, upload.body, encrypted),
  ],
});

const completeMultipartUpload = uploadWrite('CompleteMultipartUpload', 'read', completion);

/** Repeated, it says again what became of the upload. */
const repeatedComplete = UNCHANGED.map(
  (place): Subject => ({
    operation: 'CompleteMultipartUpload',
    title: `CompleteMultipartUpload once more, ${place} upload`,
    encrypted: contentEncrypted(place),
    body: 'read',
    stateLater: false,
    attempt: (world) => completion(world, world.completedUpload(place)),
  }),
);

const abortMultipartUpload = uploadWrite(
  'AbortMultipartUpload',
  'none',
  (world, { key, uploadId }, _, place) => ({
    plan: {
      kind: 'signed',
      request: { method: 'DELETE', path: `/${place}/${key}`, query: [['uploadId', uploadId]] },
    },
    accepted: (answer) => [
      ...told(answer, 204, false),
      ...(world.store.upload(uploadId) === null ? [] : ['it is still there']),
    ],
  }),
);

export const WRITES: readonly Subject[] = [
  createBucket,
  ...putObject,
  ...postObject,
  ...copyObject,
  ...createMultipartUpload,
  ...uploadPart,
  ...uploadPartCopy,
  ...completeMultipartUpload,
  ...repeatedComplete,
  ...abortMultipartUpload,
];
