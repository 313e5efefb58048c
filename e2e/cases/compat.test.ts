/** What docs/s3-compatibility.md says, tried over HTTP, and answers that a conformance suite found wrong once. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, type RawRequest, send } from '../harness/signedRequest.ts';

const PAGE = readFileSync(new URL('../../docs/s3-compatibility.md', import.meta.url), 'utf8');
const BODY = Buffer.from('what was stored before');

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
  for (const bucket of BUCKETS) expect((await request('PUT', `/${bucket}/kept`, BODY)).status).toBe(200);
});
afterAll(() => deployment?.close());

type Query = NonNullable<RawRequest['query']>;
type Headers = NonNullable<RawRequest['headers']>;

function request(
  method: string,
  path: string,
  body = Buffer.alloc(0),
  more: { readonly query?: Query; readonly headers?: Headers } = {},
): Promise<RawAnswer> {
  return send(deployment.server, { method, path, body, ...more });
}

const shortly = ({ status, code }: RawAnswer): string => `${status} ${code}`.trim();

/** The names in backquotes in the second column of the table under this heading. */
function namesUnder(heading: string): string[] {
  const section = PAGE.split('\n## ').find((text) => text.startsWith(heading)) ?? '';
  const table = section.split('\n\n').find((block) => block.startsWith('| feature |')) ?? '';
  const cells = table
    .split('\n')
    .slice(2)
    .map((row) => row.split(' | ')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([\w-]+)`/g)].map((match) => match[1] ?? ''));
}

describe('a sub-resource that the page calls not built', () => {
  const names = namesUnder('Not built').filter((name) => name !== 'versionId' && name !== 'null');

  it('is on a list that is not empty', () => {
    expect(names).toContain('tagging');
    expect(names.length).toBeGreaterThan(30);
  });

  it.each(names)('%s is 501 with every method, and the object stays', async (name) => {
    const query: Query = [[name, null]];
    const answers: string[] = [];
    for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
      for (const path of ['/plain', '/plain/kept']) {
        const body = method === 'PUT' || method === 'POST' ? Buffer.from('<x/>') : Buffer.alloc(0);
        answers.push(shortly(await request(method, path, body, { query })));
      }
    }
    expect(new Set(answers)).toEqual(new Set(['501 NotImplemented']));
    expect((await request('GET', '/plain/kept')).body).toEqual(BODY);
  });
});

describe.each(BUCKETS)('in the %s bucket', (bucket) => {
  it.each<readonly [string, string, Query]>([
    ['GET', 'NotImplemented', [['versionId', 'abc']]],
    ['DELETE', 'NotImplemented', [['versionId', 'abc']]],
    ['PUT', 'NotImplemented', [['unknown', 'x']]],
    ['GET', 'NotImplemented', [['unknown', null]]],
    ['OPTIONS', 'NotImplemented', []],
  ])('%s is %s with the query %j', async (method, code, query) => {
    expect(shortly(await request(method, `/${bucket}/kept`, Buffer.alloc(0), { query }))).toBe(`501 ${code}`);
    expect((await request('GET', `/${bucket}/kept`)).body).toEqual(BODY);
  });

  it('a read ignores a query parameter with a value that it does not know', async () => {
    const query: Query = [['unknown', 'x']];
    const answer = await request('GET', `/${bucket}/kept`, Buffer.alloc(0), { query });
    expect([answer.status, answer.body]).toEqual([200, BODY]);
  });

  it.each([
    ['x-amz-tagging', 'a=b', '501 NotImplemented'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', '501 NotImplemented'],
    ['x-amz-website-redirect-location', '/x', '501 NotImplemented'],
    ['x-amz-mfa', '1 2', '501 NotImplemented'],
    ['x-amz-write-offset-bytes', '3', '501 NotImplemented'],
    ['x-amz-acl', 'public-read', '400 AccessControlListNotSupported'],
    ['x-amz-grant-read', 'id=1', '400 AccessControlListNotSupported'],
    ['x-amz-storage-class', 'GLACIER', '400 InvalidStorageClass'],
    ['x-amz-security-token', 'x', '400 InvalidToken'],
    ['if-none-match', '"d41d8cd98f00b204e9800998ecf8427e"', '501 NotImplemented'],
    ['x-amz-trailer', 'x-amz-server-side-encryption-context', '400 InvalidArgument'],
  ])('a PUT with %s: %s is %s, and the object stays', async (name, value, answer) => {
    const headers: Headers = [[name, value]];
    expect(shortly(await request('PUT', `/${bucket}/kept`, Buffer.from('new'), { headers }))).toBe(answer);
    expect((await request('GET', `/${bucket}/kept`)).body).toEqual(BODY);
  });

  it.each([
    ['x-amz-acl', 'private'],
    ['x-amz-acl', 'bucket-owner-full-control'],
    ['x-amz-storage-class', 'STANDARD'],
  ])('a PUT with %s: %s is stored', async (name, value) => {
    expect((await request('PUT', `/${bucket}/put`, BODY, { headers: [[name, value]] })).status).toBe(200);
  });

  it('GET with AES256 is served if and only if the object is encrypted', async () => {
    const headers: Headers = [['x-amz-server-side-encryption', 'AES256']];
    const answer = await request('GET', `/${bucket}/kept`, Buffer.alloc(0), { headers });
    expect(shortly(answer)).toBe(bucket === 'encrypted' ? '200' : '400 InvalidArgument');
  });

  it('is 409 when it is created once more', async () => {
    const again = await request('PUT', `/${bucket}`);
    expect(shortly(again)).toBe('409 BucketAlreadyOwnedByYou');
    const head = await request('HEAD', `/${bucket}`);
    const told = head.headers['x-amz-scal-server-side-encryption'];
    expect(told).toBe(bucket === 'encrypted' ? 'AES256' : undefined);
  });

  it.each([
    ['deflate, gzip', 'deflate, gzip'],
    ['gzip, aws-chunked', 'gzip'],
    ['aws-chunked', undefined],
  ])('Content-Encoding %s is given back as %s', async (sent, told) => {
    await request('PUT', `/${bucket}/coded`, BODY, { headers: [['content-encoding', sent]] });
    expect((await request('HEAD', `/${bucket}/coded`)).headers['content-encoding']).toBe(told);
  });

  it('a PUT in chunks of HTTP, of a length that nobody announces, is 411', async () => {
    const answer = await send(deployment.server, {
      method: 'PUT',
      path: `/${bucket}/kept`,
      payloadHash: 'UNSIGNED-PAYLOAD',
      headers: [['transfer-encoding', 'chunked']],
      withoutLength: true,
      wireBody: Buffer.from('3\r\nnew\r\n0\r\n\r\n'),
    });
    expect(shortly(answer)).toBe('411 MissingContentLength');
    expect((await request('GET', `/${bucket}/kept`)).body).toEqual(BODY);
  });

  it('user metadata that is not ASCII is given back byte for byte', async () => {
    const bytes = Buffer.from('Grüße, 世界').toString('latin1');
    await request('PUT', `/${bucket}/named`, BODY, { headers: [['x-amz-meta-name', bytes]] });
    expect((await request('HEAD', `/${bucket}/named`)).headers['x-amz-meta-name']).toBe(bytes);
  });

  it('If-Match finds nothing to delete in a key that holds nothing', async () => {
    for (const value of ['*', '"d41d8cd98f00b204e9800998ecf8427e"']) {
      const headers: Headers = [['if-match', value]];
      const answer = await request('DELETE', `/${bucket}/absent`, Buffer.alloc(0), { headers });
      expect(shortly(answer)).toBe('404 NoSuchKey');
    }
  });

  it('a listing in URL encoding writes a blank as + and a plus as %2B, as AWS does', async () => {
    await request('PUT', `/${bucket}/list/a%20b%2Bc`, BODY);
    const query: Query = [
      ['list-type', '2'],
      ['prefix', 'list/'],
      ['encoding-type', 'url'],
    ];
    const listing = await request('GET', `/${bucket}`, Buffer.alloc(0), { query });
    expect(listing.body.toString()).toContain('<Key>list/a+b%2Bc</Key>');
  });

  it('checksums are told with the object that came with one, and in no listing', async () => {
    const checksum = 'x-amz-checksum-crc32';
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32(BODY));
    const sums: Headers = [[checksum, crc.toString('base64')]];
    await request('PUT', `/${bucket}/sums/with`, BODY, { headers: sums });
    await request('PUT', `/${bucket}/sums/without`, BODY);
    const told = async (key: string): Promise<string[]> => {
      const headers: Headers = [['x-amz-checksum-mode', 'ENABLED']];
      const head = await request('HEAD', `/${bucket}/sums/${key}`, Buffer.alloc(0), { headers });
      return Object.keys(head.headers).filter((name) => name.startsWith('x-amz-checksum-'));
    };
    expect(await told('with')).toContain(checksum);
    expect(await told('without')).toEqual([]);
    const query: Query = [['prefix', 'sums/']];
    const listing = await request('GET', `/${bucket}`, Buffer.alloc(0), { query });
    expect(listing.body.toString()).toContain('<Key>sums/with</Key>');
    expect(listing.body.toString()).not.toContain('Checksum');
  });

  it('an empty continuation token is none of ours', async () => {
    const query: Query = [
      ['list-type', '2'],
      ['continuation-token', ''],
    ];
    expect(shortly(await request('GET', `/${bucket}`, Buffer.alloc(0), { query }))).toBe(
      '400 InvalidArgument',
    );
  });
});

describe('an error document names what is missing', () => {
  it.each([
    ['/no-such-bucket/kept', 'NoSuchBucket', '<BucketName>no-such-bucket</BucketName>'],
    ['/plain/absent', 'NoSuchKey', '<Key>absent</Key>'],
  ])('%s is %s', async (path, code, element) => {
    const answer = await request('GET', path);
    expect(shortly(answer)).toBe(`404 ${code}`);
    expect(answer.body.toString()).toContain(element);
  });
});

describe('a request that is not signed with version 4', () => {
  const answer = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> => {
    const response = await fetch(deployment.server.endpoint + path, { headers });
    const code = /<Code>(.*?)<\/Code>/.exec(await response.text())?.[1];
    return `${response.status} ${code}`;
  };

  it('is refused with a word on version 4 when version 2 signs it, in the header or in the URL', async () => {
    const { accessKeyId, secretAccessKey, endpoint } = deployment.server;
    const sign = (text: string): string => createHmac('sha1', secretAccessKey).update(text).digest('base64');
    const date = new Date().toUTCString();
    const header = `AWS ${accessKeyId}:${sign(`GET\n\n\n${date}\n/plain/kept`)}`;
    expect(await answer('/plain/kept', { authorization: header, date })).toBe('400 InvalidRequest');
    const expires = Math.floor(Date.now() / 1000) + 600;
    const query = new URLSearchParams({
      AWSAccessKeyId: accessKeyId,
      Signature: sign(`GET\n\n\n${expires}\n/plain/kept`),
      Expires: String(expires),
    });
    const presigned = await fetch(`${endpoint}/plain/kept?${query.toString()}`);
    expect(presigned.status).toBe(400);
    expect(await presigned.text()).toContain('Please use AWS4-HMAC-SHA256.');
  });

  it('is 403 without a signature, whether or not the bucket exists', async () => {
    for (const path of ['/plain/kept', '/plain', '/no-such-bucket/kept', '/']) {
      expect(await answer(path)).toBe('403 AccessDenied');
    }
  });
});
