/**
 * What the cells of the table are tried on: buckets in all four histories, with objects and open uploads in them.
 *
 * `place` names both a bucket and its history. What is in turnedOn is plain, what is in turnedOff encrypted.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Deployment, startDeployment } from '../../harness/deployment.ts';
import { type RawAnswer, type RawRequest, send } from '../../harness/signedRequest.ts';
import { openStore, type Store } from '../../harness/store.ts';

export const PLACES = ['encrypted', 'plain', 'turned-off', 'turned-on'] as const;
/** Those that never had another setting. */
export const UNCHANGED = ['encrypted', 'plain'] as const satisfies readonly Place[];
export type Place = (typeof PLACES)[number];

/** Whether the bucket is encrypted now. */
export const bucketEncrypted = (place: Place): boolean => place === 'encrypted' || place === 'turned-on';
/** Whether the objects and uploads in it are, that were made before its setting was changed. */
export const contentEncrypted = (place: Place): boolean => place === 'encrypted' || place === 'turned-off';

/** Too large to be kept inside the metadata database. */
const BODY_BYTES = 70_000;

export const ENCRYPTION_RULE =
  '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256' +
  '</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>';

/** An open upload with its part 1. */
export interface OpenUpload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly etag: string;
  readonly body: Buffer;
}

export interface World {
  readonly deployment: Deployment;
  readonly store: Store;
  /** All over the bytes of everything that is encrypted and of nothing else. */
  readonly sealedMarker: string;
  /** The object `existing` of a place. */
  body(place: Place): Buffer;
  /** The object `source` of a place, without the marker: copies of it may be plain. */
  source(place: 'encrypted' | 'plain'): Buffer;
  /** Bytes that nobody else has, with the marker if they will be encrypted. */
  newBody(encrypted: boolean): Buffer;
  newName(): string;
  /** A part number that no upload has. */
  newPartNumber(): number;
  /** An upload that stays open. */
  openUpload(place: Place): OpenUpload;
  /** An upload that was completed: `completed` is its object. */
  completedUpload(place: Place): OpenUpload;
  /** One of those that may be ended. */
  takeUpload(place: Place): OpenUpload;
  /** Sends a request that must succeed. */
  done(request: RawRequest): Promise<RawAnswer>;
  close(): Promise<void>;
}

/** The request that completes an upload of one part. */
export const completionOf = ({ bucket, key, uploadId, etag }: Omit<OpenUpload, 'body'>): RawRequest => ({
  method: 'POST',
  path: `/${bucket}/${key}`,
  query: [['uploadId', uploadId]],
  body: Buffer.from(
    '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      `<Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`,
  ),
});

export const md5Hex = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

/** `spareUploads`: how many open uploads of each encrypted place may be ended; of the plain ones it is an eighth. */
export async function makeWorld(spareUploads = 0): Promise<World> {
  const deployment = await startDeployment({ workers: 2 });
  const { server } = deployment;
  const sealedMarker = `sealed-${randomBytes(12).toString('hex')}`;
  let names = 0;
  let partNumbers = 1;
  const newName = (): string => `new-${(names += 1)}`;
  const newBody = (encrypted: boolean): Buffer => {
    const own = randomBytes(16).toString('hex');
    return Buffer.alloc(BODY_BYTES, encrypted ? `${sealedMarker} ${own} ` : `clear-${own} `);
  };
  const done = async (request: RawRequest): Promise<RawAnswer> => {
    const answer = await send(server, request);
    if (answer.status < 300) return answer;
    throw new Error(`${request.method} ${request.path}: ${answer.status} ${answer.body.toString('utf8')}`);
  };
  const openOne = async (bucket: Place, key: string): Promise<OpenUpload> => {
    const path = `/${bucket}/${key}`;
    const created = await done({ method: 'POST', path, query: [['uploads', null]] });
    const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString('utf8'))?.[1] ?? '';
    const body = newBody(contentEncrypted(bucket));
    const query = [
      ['partNumber', '1'],
      ['uploadId', uploadId],
    ] as const;
    const part = await done({ method: 'PUT', path, query, body });
    return { bucket, key, uploadId, etag: part.headers['etag'] ?? '', body };
  };

  const bodies = new Map<Place, Buffer>();
  const sources = new Map<Place, Buffer>();
  const open = new Map<Place, OpenUpload>();
  const completed = new Map<Place, OpenUpload>();
  const spare = new Map<Place, OpenUpload[]>();
  const fill = async (place: Place): Promise<void> => {
    const encrypted = contentEncrypted(place);
    const headers = encrypted ? ([['x-amz-server-side-encryption', 'AES256']] as const) : [];
    await done({ method: 'PUT', path: `/${place}`, headers });
    if (place === bucketPlace(place)) await done({ method: 'PUT', path: `/empty-${place}`, headers });
    const body = newBody(encrypted);
    bodies.set(place, body);
    await done({ method: 'PUT', path: `/${place}/existing`, body });
    const source = newBody(false);
    sources.set(place, source);
    await done({ method: 'PUT', path: `/${place}/source`, body: source });
    open.set(place, await openOne(place, 'open'));
    const ended = await openOne(place, 'completed');
    completed.set(place, ended);
    await done(completionOf(ended));
    const uploads: OpenUpload[] = [];
    const wanted = encrypted ? spareUploads : spareUploads / 8;
    for (let i = 0; i < wanted; i += 6) {
      uploads.push(
        ...(await Promise.all(Array.from({ length: 6 }, (_, k) => openOne(place, `spare-${i + k}`)))),
      );
    }
    spare.set(place, uploads);
  };
  try {
    await Promise.all(PLACES.map(fill));
    const query = [['encryption', null]] as const;
    await done({ method: 'DELETE', path: '/turned-off', query });
    await done({ method: 'PUT', path: '/turned-on', query, body: Buffer.from(ENCRYPTION_RULE) });
  } catch (error) {
    await deployment.close();
    throw error;
  }
  return {
    deployment,
    store: openStore(server.dataFolder),
    sealedMarker,
    source: (place) => found(sources.get(place), place),
    body: (place) => found(bodies.get(place), place),
    newBody,
    newName,
    newPartNumber: () => (partNumbers += 1),
    completedUpload: (place) => found(completed.get(place), place),
    openUpload: (place) => found(open.get(place), place),
    takeUpload: (place) => found(spare.get(place)?.pop(), place),
    done,
    close: () => deployment.close(),
  };
}

/** The place whose bucket has that setting and never had another. */
function bucketPlace(place: Place): Place {
  return bucketEncrypted(place) ? 'encrypted' : 'plain';
}

function found<T>(value: T | undefined, place: Place): T {
  if (value === undefined) throw new Error(`nothing is left in ${place}`);
  return value;
}
