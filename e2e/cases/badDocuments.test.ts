import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, type RawRequest, send } from '../harness/signedRequest.ts';
import { finished, storeState } from '../harness/untouched.ts';

const SMALL_PART = Buffer.alloc(20_000, 'part ');
const PATH = '/encrypted/upload';

let deployment: Deployment;
let uploadId = '';
let etag = '';
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
  await ask({ method: 'PUT', path: '/encrypted/existing', body: Buffer.from('old') });
  const created = await ask({ method: 'POST', path: PATH, query: [['uploads', null]] });
  uploadId = /<UploadId>([^<]*)</.exec(created.body.toString())?.[1] ?? '';
  for (const partNumber of ['1', '2']) {
    const answer = await ask({ method: 'PUT', path: PATH, query: partQuery(partNumber), body: SMALL_PART });
    etag = answer.headers['etag'] ?? '';
  }
});
afterAll(() => deployment?.close());

const partQuery = (partNumber: string): [string, string][] => [
  ['partNumber', partNumber],
  ['uploadId', uploadId],
];
const ask = (request: RawRequest): Promise<RawAnswer> => send(deployment.server, request);

/** Sends what must be refused, and looks that nothing changed. */
async function refused(request: RawRequest): Promise<RawAnswer> {
  const before = storeState(deployment.server);
  const answer = await ask(request);
  await finished(deployment.server, answer);
  expect(storeState(deployment.server)).toEqual(before);
  expect(await deployment.server.metric('sealgate_s3_requests_in_flight')).toBe(0);
  return answer;
}

const withMd5 = (body: Buffer): readonly (readonly [string, string])[] => [
  ['content-md5', createHash('md5').update(body).digest('base64')],
];
/** The requests that carry a document, by the name of its root. */
const REQUESTS: Readonly<Record<string, () => Pick<RawRequest, 'method' | 'path' | 'query'>>> = {
  Delete: () => ({ method: 'POST', path: '/encrypted', query: [['delete', null]] }),
  CreateBucketConfiguration: () => ({ method: 'PUT', path: '/new-bucket' }),
  CompleteMultipartUpload: () => ({ method: 'POST', path: PATH, query: [['uploadId', uploadId]] }),
  ServerSideEncryptionConfiguration: () => ({ method: 'PUT', path: '/plain', query: [['encryption', null]] }),
};

const LAUGHS = [
  '<!ENTITY a0 "ha">',
  ...Array.from({ length: 9 }, (_, i) => `<!ENTITY a${i + 1} "${`&a${i};`.repeat(10)}">`),
];
const DOCUMENTS: readonly (readonly [string, (root: string) => string])[] = [
  ['no XML', () => 'nonsense'],
  ['nothing but white space', () => '  \n '],
  ['an end that is missing', (root) => `<${root}>`],
  ['another root', () => '<Other/>'],
  ['an unknown element', (root) => `<${root}><Other/></${root}>`],
  ['text between elements', (root) => `<${root}>text</${root}>`],
  ['two roots', (root) => `<${root}/><${root}/>`],
  ['a billion laughs', (root) => `<!DOCTYPE x [${LAUGHS.join('')}]><${root}>&a9;</${root}>`],
  [
    'an external entity',
    (root) => `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><${root}>&e;</${root}>`,
  ],
  ['an external document type', (root) => `<!DOCTYPE x SYSTEM "http://127.0.0.1:1/"><${root}/>`],
  ['an entity that there is not', (root) => `<${root}>&nbsp;</${root}>`],
  ['depth without end', (root) => `<${root}>${'<a>'.repeat(10_000)}`],
  ['a hundred thousand elements', (root) => `<${root}>${'<Part/>'.repeat(9000)}</${root}>`],
  ['another encoding', (root) => `<?xml version="1.0" encoding="utf-16"?><${root}/>`],
  ['ill-formed UTF-8', (root) => `<${root}>\xff</${root}>`],
];

describe.each(Object.entries(REQUESTS))('a document %s', (root, request) => {
  it.each(DOCUMENTS)('of %s is MalformedXML and changes nothing', async (_, document) => {
    const body = Buffer.from(document(root), 'latin1');
    const answer = await refused({ ...request(), headers: withMd5(body), body });
    expect([answer.status, answer.code]).toEqual([400, 'MalformedXML']);
    expect(answer.body.toString()).not.toContain('root:');
  });

  it('that does not match its digest is refused', async () => {
    const body = Buffer.from(`<${root}/>`);
    const answer = await refused({ ...request(), headers: withMd5(Buffer.from('other')), body });
    expect(answer.code).toBe('BadDigest');
  });

  it('over its limit is refused without being read', async () => {
    const body = Buffer.from('<');
    const headers = [['content-length', String(9 * 2 ** 20)] as const, ...withMd5(body)];
    const answer = await refused({ ...request(), headers, body, wireBody: Buffer.alloc(0) });
    expect(answer.code).toBe('MaxMessageLengthExceeded');
  });
});

describe('parts', () => {
  it.each(['0', '10001', '-1', '1.5', 'one', '', '1e3', '99999999999'])(
    'numbered %j are refused',
    async (number) => {
      const answer = await refused({ method: 'PUT', path: PATH, query: partQuery(number), body: SMALL_PART });
      expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
    },
  );

  it('of an upload that there is not are refused', async () => {
    const query = [
      ['partNumber', '1'],
      ['uploadId', 'f'.repeat(32)],
    ] as const;
    const answer = await refused({ method: 'PUT', path: PATH, query, body: SMALL_PART });
    expect([answer.status, answer.code]).toEqual([404, 'NoSuchUpload']);
  });

  const part = (number: number | string, tag = etag): string =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${tag}</ETag></Part>`;
  it.each<[string, () => string, string]>([
    ['a part that there is not', () => part(1) + part(3), 'InvalidPart'],
    ['another ETag', () => part(1, `"${'0'.repeat(32)}"`), 'InvalidPart'],
    ['the wrong order', () => part(2) + part(1), 'InvalidPartOrder'],
    ['a part twice', () => part(1) + part(1), 'InvalidPartOrder'],
    ['a part too small before the last', () => part(1) + part(2), 'EntityTooSmall'],
    ['part 0', () => part(0), 'InvalidArgument'],
    ['part 10,001', () => part(10_001), 'InvalidArgument'],
    ['a part that is no number', () => part('one'), 'MalformedXML'],
    ['no part', () => '', 'MalformedXML'],
    ['10,001 parts', () => part(1).repeat(10_001), 'MalformedXML'],
  ])('are not completed with %s', async (_, parts, code) => {
    const body = Buffer.from(`<CompleteMultipartUpload>${parts()}</CompleteMultipartUpload>`);
    const answer = await refused({ method: 'POST', path: PATH, query: [['uploadId', uploadId]], body });
    expect([answer.status, answer.code]).toEqual([400, code]);
  });

  it('are still there after all of that', async () => {
    const body = Buffer.from(`<CompleteMultipartUpload>${part(2)}</CompleteMultipartUpload>`);
    const answer = await ask({ method: 'POST', path: PATH, query: [['uploadId', uploadId]], body });
    expect(answer.status).toBe(200);
    const read = await ask({ method: 'GET', path: PATH });
    expect(read.body.equals(SMALL_PART)).toBe(true);
  });
});
