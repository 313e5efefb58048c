import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, type RawRequest, send } from '../harness/signedRequest.ts';
import { storeState } from '../harness/untouched.ts';

/** Keys as people never type them; XML can hold those without control characters other than tab and line ends. */
const KEYS: readonly string[] = [
  '..',
  '../../etc/passwd',
  './a',
  'a/../b',
  '//',
  '/',
  'a//b',
  'a/',
  '%2f',
  '%2F..%2f',
  '%00',
  'a b+c',
  'a?b#c&d=e;f',
  '"quoted" <tag> & \'apostrophe\'',
  'tab\tline\nreturn\rend',
  '\u0001\u001f',
  '\u0000',
  '\u007f\u0080\u009f',
  '\u2028\ufeff\ufffe\uffff',
  'é and e\u0301',
  '日本語/キー',
  '😀'.repeat(256),
  'k'.repeat(1024),
  'blobs/0',
];

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
});
afterAll(() => deployment?.close());

const encoded = (key: string): string =>
  [...Buffer.from(key)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
const objectPath = (bucket: string, key: string): string => `/${bucket}/${encoded(key)}`;
const bodyOf = (key: string): Buffer => Buffer.from(`the object ${key}`);
const isXml = (key: string): boolean => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(key);

async function ask(request: Omit<RawRequest, 'method'> & { method?: string }): Promise<RawAnswer> {
  return await send(deployment.server, { method: 'GET', ...request });
}

/** Character data as a parser of XML gives it back. */
function unescapeXml(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

async function list(bucket: string, version: 1 | 2, encodingType: boolean): Promise<string[]> {
  const answer = await ask({
    path: `/${bucket}`,
    query: [
      ...(version === 2 ? ([['list-type', '2']] as const) : []),
      ...(encodingType ? ([['encoding-type', 'url']] as const) : []),
    ],
  });
  expect(answer.status).toBe(200);
  return [...answer.body.toString('utf8').matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) =>
    encodingType ? decodeURIComponent(key.replaceAll('+', '%20')) : unescapeXml(key),
  );
}

async function putAll(bucket: string): Promise<void> {
  for (const key of KEYS) {
    const answer = await ask({ method: 'PUT', path: objectPath(bucket, key), body: bodyOf(key) });
    expect([key, answer.status]).toEqual([key, 200]);
  }
}

const byBytes = (keys: readonly string[]): string[] =>
  keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe.each(BUCKETS)('odd keys in the %s bucket', (bucket) => {
  it('are written, read, listed by both versions with and without encoding, and deleted', async () => {
    const outside = storeState(deployment.server).files;
    await putAll(bucket);
    // Small objects are rows: no key became a file, wherever it points to.
    expect(storeState(deployment.server).files).toEqual(outside);
    for (const key of KEYS) {
      const path = objectPath(bucket, key);
      const read = await ask({ path });
      expect([read.status, read.body.toString()]).toEqual([200, bodyOf(key).toString()]);
      const head = await ask({ method: 'HEAD', path });
      expect(head.headers['etag']).toBe(`"${createHash('md5').update(bodyOf(key)).digest('hex')}"`);
    }
    for (const version of [1, 2] as const) {
      for (const encodingType of [true, false]) {
        expect(await list(bucket, version, encodingType)).toEqual(byBytes(KEYS));
      }
    }
    for (const key of KEYS) {
      expect((await ask({ method: 'DELETE', path: objectPath(bucket, key) })).status).toBe(204);
      expect((await ask({ path: objectPath(bucket, key) })).status).toBe(404);
    }
    expect(await list(bucket, 2, true)).toEqual([]);
  });

  it('are the same with their dots and slashes as they are on the wire', async () => {
    for (const key of ['.', '..', '../../etc/passwd', './a', 'a/../b', '/', '//', 'a//b', 'a/', '~']) {
      const path = `/${bucket}/${key}`;
      expect([key, (await ask({ method: 'PUT', path, body: bodyOf(key) })).status]).toEqual([key, 200]);
      expect(await list(bucket, 2, true)).toEqual([key]);
      const read = await ask({ path: objectPath(bucket, key) });
      expect([key, read.status, read.body.toString()]).toEqual([key, 200, bodyOf(key).toString()]);
      expect([key, (await ask({ method: 'DELETE', path })).status]).toEqual([key, 204]);
    }
    expect(await list(bucket, 2, true)).toEqual([]);
  });

  it('are deleted together, as far as XML can name them; a document that names others deletes nothing', async () => {
    await putAll(bucket);
    const document = (keys: readonly string[]): Buffer =>
      Buffer.from(
        `<Delete>${keys.map((key) => `<Object><Key>${referenced(key)}</Key></Object>`).join('')}</Delete>`,
      );
    const remove = async (keys: readonly string[]): Promise<RawAnswer> => {
      const body = document(keys);
      const md5 = createHash('md5').update(body).digest('base64');
      return await ask({
        method: 'POST',
        path: `/${bucket}`,
        query: [['delete', null]],
        headers: [['content-md5', md5]],
        body,
      });
    };
    const others = KEYS.filter((key) => !isXml(key));
    for (const key of others) expect((await remove(['..', key])).code).toBe('MalformedXML');
    expect(await list(bucket, 2, true)).toEqual(byBytes(KEYS));
    const answer = await remove(KEYS.filter(isXml));
    expect(answer.status).toBe(200);
    const deleted = [...answer.body.toString('utf8').matchAll(/<Key>([^<]*)<\/Key>/g)];
    expect(deleted.map(([, key = '']) => unescapeXml(key))).toEqual(KEYS.filter(isXml));
    expect(await list(bucket, 2, true)).toEqual(byBytes(others));
    for (const key of others) await ask({ method: 'DELETE', path: objectPath(bucket, key) });
  });

  it.each(['%ff', '%c3%28', '%ed%a0%80', '%f4%90%80%80', 'a%', '%zz'])(
    'are refused when they are ill-formed, whatever is asked: %s',
    async (key) => {
      const before = storeState(deployment.server);
      for (const method of ['PUT', 'GET', 'HEAD', 'DELETE', 'POST']) {
        const answer = await ask({ method, path: `/${bucket}/${key}` });
        expect([method, answer.status]).toEqual([method, 400]);
        if (method !== 'HEAD') expect(answer.code).toBe('InvalidURI');
      }
      expect(storeState(deployment.server)).toEqual(before);
    },
  );
});

/** As character data of a request, control characters as references. */
function referenced(key: string): string {
  return key.replace(/[&<>"\0-\x1f\x7f-\x9f]/g, (character) => `&#${character.charCodeAt(0)};`);
}
