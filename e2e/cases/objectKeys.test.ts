import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RawAnswer, send } from '../harness/signedRequest.ts';
import { BUCKETS, type Stand, startStand } from '../harness/stand.ts';

/** Keys that a careless server would take for a path, a query, a terminator or an entity. */
const KEYS = [
  '.',
  '..',
  '../up',
  '../../../../etc/passwd',
  'a/../b',
  'a/./b',
  'b',
  '/',
  '//',
  '/leading',
  'a//b',
  'a/b',
  'trailing/',
  'trailing//',
  '%2f',
  'a%2fb',
  'a%2Fb',
  '%252e%252e',
  '%',
  '%zz',
  '+',
  'a b+c',
  '?x=1&y=2#z',
  ';:@&=$,!*\'()"<>\\^`{|}[]~',
  '\u0000',
  'a\u0000b',
  'a\u0001b',
  '\t\n\r',
  '\u001f\u007f\u0080\u009f',
  ' leading and trailing ',
  'ü',
  'u\u0308',
  '\ufeff\ufffe\uffff',
  '\u202eright to left',
  '😀/🗝️',
  'constructor',
  '__proto__',
  `${'x'.repeat(1023)}y`,
  'ü'.repeat(512),
  '😀'.repeat(256),
  '/'.repeat(1024),
];

let stand: Stand;
beforeAll(async () => {
  stand = await startStand('keys');
});
afterAll(() => stand?.close());

const unreserved = /[A-Za-z0-9\-._~/]/;

/** As SigV4 wants paths: dots and slashes as they are, so that `..` goes over the wire as `..`. */
function pathOf(bucket: string, key: string): string {
  const bytes = [...Buffer.from(key)].map((byte) => {
    const character = String.fromCharCode(byte);
    return unreserved.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  return `/${bucket}/${bytes.join('')}`;
}

function request(method: string, bucket: string, key: string, body = Buffer.alloc(0)): Promise<RawAnswer> {
  return send(stand.sealgate, { method, path: pathOf(bucket, key), body });
}

async function listed(bucket: string): Promise<string[]> {
  const query = [
    ['list-type', '2'],
    ['encoding-type', 'url'],
  ] as const;
  const answer = await send(stand.sealgate, { method: 'GET', path: `/${bucket}`, query });
  return [...answer.body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) =>
    decodeURIComponent(key.replaceAll('+', ' ')),
  );
}

describe.each(BUCKETS)('object keys in the %s bucket', (bucket) => {
  it('are opaque: whatever they look like they are stored, listed and read as they were sent', async () => {
    for (const key of KEYS) {
      const put = await request('PUT', bucket, key, Buffer.from(`content of ${key}`));
      expect([key, put.status, put.code]).toEqual([key, 200, '']);
    }
    for (const key of KEYS) {
      const got = await request('GET', bucket, key);
      expect([key, got.status, got.body.toString()]).toEqual([key, 200, `content of ${key}`]);
    }
    const bytewise = KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await listed(bucket)).toEqual(bytewise);
  });

  it('are gone one by one', async () => {
    for (const [index, key] of KEYS.entries()) {
      const gone = await request('DELETE', bucket, key);
      expect([key, gone.status]).toEqual([key, 204]);
      expect([key, (await listed(bucket)).length]).toEqual([key, KEYS.length - index - 1]);
      const got = await request('GET', bucket, key);
      expect([key, got.status, got.code]).toEqual([key, 404, 'NoSuchKey']);
    }
  });

  it('of 1,025 bytes are refused, however few characters they are', async () => {
    for (const key of ['x'.repeat(1025), `${'ü'.repeat(512)}x`, '/'.repeat(1025)]) {
      const put = await request('PUT', bucket, key, Buffer.from('too long'));
      expect([put.status, put.code]).toEqual([400, 'KeyTooLongError']);
    }
    expect(await listed(bucket)).toEqual([]);
  });

  it('that are not well-formed UTF-8 are refused by every method', async () => {
    for (const encoded of ['%FF', '%C0%AF', '%ED%A0%80', '%F4%90%80%80', 'a%E2%82', '%80']) {
      for (const method of ['PUT', 'GET', 'HEAD', 'DELETE']) {
        const path = `/${bucket}/${encoded}`;
        const answer = await send(stand.sealgate, { method, path, body: Buffer.alloc(0) });
        expect([method, encoded, answer.status]).toEqual([method, encoded, 400]);
        if (method !== 'HEAD') expect(answer.code).toBe('InvalidURI');
      }
    }
    expect(await listed(bucket)).toEqual([]);
  });
});
