/** The rows of the table: each operation in each state, what it sends and what must be true after it was accepted. */
import type { RawAnswer } from '../../harness/signedRequest.ts';
import type { BodyKind, Plan } from './carriers.ts';
import type { World } from './world.ts';

/** One request to an operation. */
export interface Attempt {
  readonly plan: Plan;
  /** What is wrong with the answer, or with the store after it, when it was accepted. */
  accepted(answer: RawAnswer, encrypted: boolean): string[] | Promise<string[]>;
}

export interface Subject {
  /** As the page names it, in the row that judges it. */
  readonly operation: string;
  readonly title: string;
  /** State of what the row is about: the bucket, the upload or the object. */
  readonly encrypted: boolean;
  readonly body: BodyKind;
  /** Whether headers are first judged without that state: the object is looked up, the form read, only after it. */
  readonly stateLater: boolean;
  /**
   * With `target` 'existing' it aims at what is there and would be overwritten, ended or deleted; with 'fresh' at
   * something of its own.
   */
  attempt(world: World, target: 'existing' | 'fresh'): Attempt | Promise<Attempt>;
}

const SSE = 'x-amz-server-side-encryption';

/** Status, and that the header is there if and only if the operation is one that tells, and tells of encryption. */
export function told(answer: RawAnswer, status: number, encrypted: boolean): string[] {
  const wrong: string[] = [];
  if (answer.status !== status) wrong.push(`status ${answer.status}: ${answer.body.toString('utf8')}`);
  if (answer.cut) wrong.push('the answer was cut');
  if (answer.headers[SSE] !== (encrypted ? 'AES256' : undefined))
    wrong.push(`${SSE}: ${answer.headers[SSE]}`);
  return wrong;
}

/** What is wrong with stored bytes: plaintext where ciphertext belongs, or the other way round. */
export function stored(bytes: Buffer | undefined | null, plaintext: Buffer, encrypted: boolean): string[] {
  if (bytes === undefined || bytes === null) return ['nothing was stored'];
  if (bytes.length < plaintext.length) return [`only ${bytes.length} bytes were stored`];
  const readable = bytes.includes(plaintext.subarray(0, 60));
  if (readable === encrypted) return [encrypted ? 'plaintext was stored' : 'no plaintext was stored'];
  return [];
}

/** What is wrong with the object of that name. */
export function storedObject(
  world: World,
  bucket: string,
  key: string,
  body: Buffer,
  encrypted: boolean,
): string[] {
  const object = world.store.object(bucket, key);
  const descriptor = object !== null && object.encrypted !== encrypted ? ['its descriptor is wrong'] : [];
  return [...descriptor, ...stored(object?.bytes, body, encrypted)];
}
