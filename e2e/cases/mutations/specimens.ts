/** The objects that are tampered with, and where they lie on the disk. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sealgate } from '../../harness/sealgate.ts';
import { type RawAnswer, type RawRequest, send } from '../../harness/signedRequest.ts';
import { bytesOf, type LiveDatabase, type Row, textOf } from './liveDatabase.ts';

/** One key of a bucket. */
export interface Specimen {
  readonly bucket: string;
  readonly bucketUid: string;
  readonly key: string;
  readonly encrypted: boolean;
  readonly shape: 'inline' | 'blob' | 'parts';
  /** Every content that was once committed under the key, the current one last. */
  readonly versions: readonly Buffer[];
  /** Of each version, in quotes. */
  readonly etags: readonly string[];
  /** Plaintext lengths of the current version's parts. */
  readonly partSizes: readonly number[];
  /** Other keys whose versions share this one's body. */
  readonly sharedWith: readonly Specimen[];
}

/** The rows that make one version readable. */
export interface VersionRows {
  readonly current: Row;
  readonly version: Row;
  readonly body: Row;
  readonly inline: Row | null;
  readonly blob: Row | null;
}

/** What one of the campaign's parallel lines works on: no other line touches it. */
export interface Lane {
  /** Of the first encrypted bucket. */
  readonly inline: readonly [Specimen, Specimen];
  /** Same length each. */
  readonly blobs: readonly [Specimen, Specimen];
  readonly big: Specimen;
  readonly parts: Specimen;
  readonly overwritten: {
    readonly specimen: Specimen;
    readonly before: VersionRows;
    readonly beforeFile: Buffer;
  };
  readonly original: Specimen;
  readonly copy: Specimen;
  /** Same shapes and lengths in the second encrypted bucket. */
  readonly elsewhere: { readonly inline: Specimen; readonly blob: Specimen; readonly parts: Specimen };
  readonly plain: { readonly inline: Specimen; readonly blob: Specimen };
}

export const ENCRYPTED = 'mutated-encrypted';
export const OTHER = 'mutated-other';
export const PLAIN = 'mutated-plain';

const MIB = 1024 * 1024;
const SIZES = { inline: 3000, blob: 700_000, big: 4 * MIB + 12_345, parts: [5 * MIB, 200_000] } as const;

/** Sends a request that has to succeed. */
export async function ask(server: Sealgate, request: RawRequest): Promise<RawAnswer> {
  const answer = await send(server, request);
  if (answer.status !== 200 || answer.cut) {
    throw new Error(`${request.method} ${request.path} was answered ${answer.status} ${answer.code}`);
  }
  return answer;
}

/** Starts an upload and puts its parts; resolves to its id and the parts' ETags in quotes. */
export async function putParts(
  server: Sealgate,
  path: string,
  parts: readonly Buffer[],
): Promise<{ readonly uploadId: string; readonly etags: readonly string[] }> {
  const created = await ask(server, { method: 'POST', path, query: [['uploads', null]] });
  const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())?.[1] ?? '';
  const etags: string[] = [];
  for (const [index, body] of parts.entries()) {
    const query = [
      ['partNumber', String(index + 1)],
      ['uploadId', uploadId],
    ] as const;
    const { headers } = await ask(server, { method: 'PUT', path, query, body });
    etags.push(headers['etag'] ?? '');
  }
  return { uploadId, etags };
}

export function completion(etags: readonly string[]): Buffer {
  const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  return Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
}

/** Finds rows and files of specimens. */
export class Places {
  readonly #db: LiveDatabase;
  readonly #blobFolder: string;

  constructor(db: LiveDatabase, dataFolder: string) {
    this.#db = db;
    this.#blobFolder = join(dataFolder, 'blobs');
  }

  bucketUid(bucket: string): string {
    return textOf(this.#db.row('bucket', { name: bucket }), 'bucket_uid');
  }

  rows({ bucketUid, key }: Pick<Specimen, 'bucketUid' | 'key'>): VersionRows {
    const place = { bucket_uid: bucketUid, key: Buffer.from(key) };
    const current = this.#db.row('object_current', place);
    const version = this.#db.row('object_version', { ...place, seq: current['seq'] ?? null });
    const body = this.#db.row('body', { body_no: version['body_no'] ?? null });
    const [inline = null] = this.#db.rows('inline_body', { body_no: body['body_no'] ?? null });
    const [blob = null] = this.#db.rows('blob', { blob_id: body['blob_id'] ?? null });
    return { current, version, body, inline, blob };
  }

  page(specimen: Specimen): Row {
    return this.#db.row('body_parts', { body_id: textOf(this.rows(specimen).version, 'body_id') });
  }

  /** The files of an object's blobs, in order. */
  files(specimen: Specimen): readonly string[] {
    if (specimen.shape === 'parts') {
      const entries = JSON.parse(textOf(this.page(specimen), 'parts')) as [
        number,
        number,
        number,
        string,
        string,
      ][];
      return entries.map((entry) => join(this.#blobFolder, entry[3], entry[4]));
    }
    const { blob } = this.rows(specimen);
    return blob === null
      ? []
      : [join(this.#blobFolder, textOf(blob, 'incarnation'), textOf(blob, 'blob_id'))];
  }

  /** What the row of a plain object says of its content in clear. */
  clearRecord(specimen: Specimen): Buffer {
    return bytesOf(this.rows(specimen).version, 'clear_record');
  }
}

/** Writes the objects of one lane. */
export async function createLane(server: Sealgate, places: Places, lane: number): Promise<Lane> {
  const uids = new Map([ENCRYPTED, OTHER, PLAIN].map((bucket) => [bucket, places.bucketUid(bucket)]));
  const specimen = (
    bucket: string,
    name: string,
    shape: Specimen['shape'],
    parts: readonly Buffer[],
  ): Specimen => ({
    bucket,
    bucketUid: uids.get(bucket) ?? '',
    key: `lane-${lane}-${name}`,
    encrypted: bucket !== PLAIN,
    shape,
    versions: [Buffer.concat(parts)],
    etags: [
      shape === 'parts'
        ? `"${md5(...parts.map((part) => md5(part))).toString('hex')}-${parts.length}"`
        : `"${md5(...parts).toString('hex')}"`,
    ],
    partSizes: parts.map((part) => part.length),
    sharedWith: [],
  });
  const put = async (bucket: string, name: string, shape: 'inline' | 'blob' | 'big'): Promise<Specimen> => {
    const body = randomBytes(SIZES[shape]);
    const written = specimen(bucket, name, shape === 'inline' ? shape : 'blob', [body]);
    await ask(server, {
      method: 'PUT',
      path: pathOf(written),
      headers: [['x-amz-meta-name', name]],
      body,
    });
    return written;
  };
  const putMultipart = async (bucket: string): Promise<Specimen> => {
    const parts = SIZES.parts.map((size) => randomBytes(size));
    const written = specimen(bucket, 'parts', 'parts', parts);
    const path = pathOf(written);
    const { uploadId, etags } = await putParts(server, path, parts);
    await ask(server, { method: 'POST', path, query: [['uploadId', uploadId]], body: completion(etags) });
    return written;
  };

  const first = await put(ENCRYPTED, 'overwritten', 'blob');
  const before = places.rows(first);
  const beforeFile = readFileSync(places.files(first)[0] ?? '');
  const second = await put(ENCRYPTED, 'overwritten', 'blob');
  const overwritten = {
    ...second,
    versions: [...first.versions, ...second.versions],
    etags: [...first.etags, ...second.etags],
  };

  const original = await put(ENCRYPTED, 'original', 'blob');
  const copied = specimen(ENCRYPTED, 'copy', 'blob', original.versions);
  const source = `/${original.bucket}/${original.key}`;
  await ask(server, { method: 'PUT', path: pathOf(copied), headers: [['x-amz-copy-source', source]] });
  const copy = { ...copied, sharedWith: [original] };

  return {
    inline: [await put(ENCRYPTED, 'inline-1', 'inline'), await put(ENCRYPTED, 'inline-2', 'inline')],
    blobs: [await put(ENCRYPTED, 'blob-1', 'blob'), await put(ENCRYPTED, 'blob-2', 'blob')],
    big: await put(ENCRYPTED, 'big', 'big'),
    parts: await putMultipart(ENCRYPTED),
    overwritten: { specimen: overwritten, before, beforeFile },
    original: { ...original, sharedWith: [copied] },
    copy,
    elsewhere: {
      inline: await put(OTHER, 'inline-1', 'inline'),
      blob: await put(OTHER, 'blob-1', 'blob'),
      parts: await putMultipart(OTHER),
    },
    plain: { inline: await put(PLAIN, 'inline-1', 'inline'), blob: await put(PLAIN, 'blob-1', 'blob') },
  };
}

export function pathOf({ bucket, key }: Pick<Specimen, 'bucket' | 'key'>): string {
  return `/${bucket}/${key}`;
}

function md5(...pieces: readonly Buffer[]): Buffer {
  const hash = createHash('md5');
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}
