/** The carriers of encryption headers: how each puts a wish into a request, down to the bytes on the wire. */
import { createHmac } from 'node:crypto';
import type { S3Access } from '../../harness/clients.ts';
import { exchange, type RawAnswer, type RawRequest, send, sign } from '../../harness/signedRequest.ts';
import { sendTrailers, type Trailers } from './trailers.ts';
import type { Arrival, Entry, Wish } from './wishes.ts';

/** A form upload; what it says about encryption is added by a carrier. */
export interface FormRequest {
  readonly bucket: string;
  readonly key: string;
  readonly file: Buffer;
}

/** What an operation sends, before anything is said about encryption. */
export type Plan =
  | { readonly kind: 'signed'; readonly request: RawRequest }
  | { readonly kind: 'form'; readonly form: FormRequest };

/** How the operation takes its body: signed and read to the end, a form, or not at all. */
export type BodyKind = 'read' | 'form' | 'none';

export interface Carrier {
  readonly title: string;
  readonly bodies: readonly BodyKind[];
  /** How many entries a wish must have to be carried so. */
  readonly entries: 'any' | 'some' | 'one' | 'two';
  readonly arrival: Arrival;
  /** Whether all of it comes before the body. */
  readonly inHead: boolean;
  send(access: S3Access, plan: Plan, wish: Wish): Promise<RawAnswer>;
}

type Pairs = readonly (readonly [string, string])[];
/** Where each pair goes. */
interface Load {
  readonly header?: Pairs;
  readonly query?: Pairs;
  readonly presigned?: boolean;
  readonly trailers?: Trailers;
  readonly before?: Pairs;
  readonly after?: Pairs;
}

const pairs = (entries: readonly Entry[]): Pairs => entries.map(({ name, value }) => [name, value]);
const names = (entries: readonly Entry[]): string => [...new Set(entries.map(({ name }) => name))].join(', ');
const capitals = (given: Pairs): Pairs =>
  given.map(([name, value]) => [name.replace(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase()), value]);

type Half = (part: Pairs) => Load;
const aws: Half = (part) => ({ trailers: { by: 'aws-chunked', announced: false, pairs: part } });

/** Both entries of a wish by two carriers. */
function split(title: string, bodies: readonly BodyKind[], second: Half): Carrier {
  return carrier(`a header and ${title}`, bodies, 'two', 'arrived', ({ entries }) => ({
    header: pairs(entries.slice(0, 1)),
    ...second(pairs(entries.slice(1))),
  }));
}

function carrier(
  title: string,
  bodies: readonly BodyKind[],
  entries: Carrier['entries'],
  arrival: Arrival,
  load: (wish: Wish) => Load,
): Carrier {
  return {
    title,
    bodies,
    entries,
    arrival,
    inHead: bodies.includes('none'),
    send: (access, plan, wish) =>
      plan.kind === 'form'
        ? sendForm(access, plan.form, load(wish))
        : sendSigned(access, plan.request, load(wish)),
  };
}

const EVERY: readonly BodyKind[] = ['read', 'form', 'none'];
const SIGNED: readonly BodyKind[] = ['read', 'none'];

/** Every carrier; which of them an operation can have follows from its body. */
export const CARRIERS: readonly Carrier[] = [
  carrier('a header', EVERY, 'any', 'arrived', ({ entries }) => ({ header: capitals(pairs(entries)) })),
  carrier('the query', EVERY, 'some', 'arrived', ({ entries }) => ({ query: pairs(entries) })),
  carrier('a presigned query', SIGNED, 'any', 'arrived', ({ entries }) => ({
    presigned: true,
    query: capitals(pairs(entries)),
  })),
  carrier('a header beside a presigned query', SIGNED, 'some', 'arrived', ({ entries }) => ({
    presigned: true,
    header: pairs(entries),
  })),
  split('the query', EVERY, (part) => ({ query: part })),
  split('an aws-chunked trailer', ['read'], aws),
  split('a field behind the file', ['form'], (part) => ({ after: part })),
  ...(['aws-chunked', 'signed aws-chunked', 'HTTP'] as const).flatMap((by) =>
    [true, false].map((announced) =>
      carrier(
        `${by} trailer, ${announced ? 'announced' : 'unannounced'}`,
        ['read'],
        announced ? 'some' : 'any',
        announced ? 'announced' : 'arrived',
        ({ entries }) => ({ trailers: { by, announced, pairs: pairs(entries) } }),
      ),
    ),
  ),
  ...['Trailer', 'x-amz-trailer'].map((by) =>
    carrier(
      `a trailer that ${by} announces where no body is read`,
      ['none'],
      'one',
      'never',
      ({ entries }) => ({
        header: [[by, names(entries)]],
      }),
    ),
  ),
  ...['Trailer', 'x-amz-trailer'].map((by) =>
    carrier(
      `a trailer that ${by} announces and that does not come`,
      ['form', 'read'],
      'one',
      'announced',
      ({ entries }) => ({
        header: [[by, names(entries)]],
      }),
    ),
  ),
  carrier('a field before the file', ['form'], 'some', 'arrived', ({ entries }) => ({
    before: capitals(pairs(entries)),
  })),
  carrier('a field behind the file', ['form'], 'some', 'arrived', ({ entries }) => ({
    after: pairs(entries),
  })),
];

/** The carriers that carry a wish to an operation with such a body. */
export function carriersOf(body: BodyKind, { entries }: Wish): Carrier[] {
  return CARRIERS.filter((it) => {
    if (!it.bodies.includes(body)) return false;
    if (it.entries === 'any') return true;
    if (it.entries === 'some') return entries.length > 0;
    if (it.entries === 'two') return entries.length === 2;
    // What never comes has no value: the empty one stands for all of group S.
    const [only] = entries;
    return entries.length === 1 && (only?.group !== 'S' || only.value === '');
  });
}

function sendSigned(access: S3Access, request: RawRequest, load: Load): Promise<RawAnswer> {
  const { header = [], query = [], presigned = false, trailers } = load;
  const said: RawRequest = {
    ...request,
    presigned,
    headers: [...(request.headers ?? []), ...header],
    query: [...(request.query ?? []), ...query],
  };
  return trailers === undefined ? send(access, said) : sendTrailers(access, said, trailers);
}

const BOUNDARY = 'boundary-of-a-form';

/** Sends a browser's form. Its policy speaks of the fields before the file; those behind it are covered by nothing. */
async function sendForm(access: S3Access, form: FormRequest, load: Load): Promise<RawAnswer> {
  const { header = [], query = [], before = [], after = [] } = load;
  const { signingKey, timestamp, scope } = sign(access, { method: 'POST', path: '/' });
  const signed: Pairs = [
    ['key', form.key],
    ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
    ['x-amz-credential', `${access.accessKeyId}/${scope}`],
    ['x-amz-date', timestamp],
    ...before,
  ];
  const conditions = [...new Set(signed.map(([name]) => name))].map((name) => [
    'starts-with',
    `$${name}`,
    '',
  ]);
  const expiration = new Date(Date.now() + 600_000).toISOString();
  const document = { expiration, conditions: [{ bucket: form.bucket }, ...conditions] };
  const policy = Buffer.from(JSON.stringify(document)).toString('base64');
  const signature = createHmac('sha256', signingKey).update(policy).digest('hex');
  const field = ([name, value]: readonly [string, string]): string =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const fields: Pairs = [...signed, ['policy', policy], ['x-amz-signature', signature]];
  const fileHead = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`;
  const body = Buffer.concat([
    Buffer.from(fields.map(field).join('') + fileHead),
    form.file,
    Buffer.from(`\r\n${after.map(field).join('')}--${BOUNDARY}--\r\n`),
  ]);
  const search = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const head = [
    `POST /${form.bucket}${search === '' ? '' : `?${search}`} HTTP/1.1`,
    `host: ${new URL(access.endpoint).host}`,
    `content-type: multipart/form-data; boundary=${BOUNDARY}`,
    `content-length: ${body.length}`,
    ...header.map(([name, value]) => `${name}: ${value}`),
    'connection: close',
  ];
  const bytes = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
  return await exchange(access.endpoint, bytes, { method: 'POST' });
}
