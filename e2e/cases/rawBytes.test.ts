import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunkedRequest } from '../harness/chunkedBody.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { exchange, type RawAnswer, send, sign } from '../harness/signedRequest.ts';
import { finishedKey, type StoreState, storeState } from '../harness/untouched.ts';

const OLD = Buffer.alloc(40_000, 'old ');
const BODY = Buffer.alloc(300_000, 'new ');
const RUNS = process.env['SEALGATE_SOAK'] === '1' ? 20_000 : 300;

let deployment: Deployment;
let before: StoreState;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
  for (const key of ['existing', 'left'])
    await send(deployment.server, { method: 'PUT', path: `/encrypted/${key}`, body: OLD });
  before = storeState(deployment.server);
});
afterAll(() => deployment?.close());

async function expectUntouched(): Promise<void> {
  expect(storeState(deployment.server)).toEqual(before);
  expect(await deployment.server.metric('sealgate_s3_requests_in_flight')).toBe(0);
  const existing = await send(deployment.server, { method: 'GET', path: '/encrypted/existing' });
  expect(existing.body.equals(OLD)).toBe(true);
}

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(deployment.server.endpoint);
  return await new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => resolve(socket));
    socket.on('error', () => undefined);
  });
}

const write = (socket: Socket, bytes: Buffer): Promise<void> =>
  new Promise((resolve) => {
    socket.write(bytes, () => resolve());
  });

describe('a client that goes away in the middle of a body', () => {
  it.each([
    ['by a reset', (socket: Socket) => socket.resetAndDestroy()],
    ['by closing', (socket: Socket) => socket.destroy()],
    ['by closing its side', (socket: Socket) => socket.end()],
  ])('leaves nothing: %s', async (how, leave) => {
    const key = `gone ${how}`;
    const { head } = sign(deployment.server, {
      method: 'PUT',
      path: `/encrypted/${encodeURIComponent(key)}`,
      headers: [['content-length', String(BODY.length)]],
      body: BODY,
    });
    const socket = await open();
    await write(socket, Buffer.concat([Buffer.from(head), BODY.subarray(0, BODY.length - 1)]));
    leave(socket);
    await finishedKey(deployment.server, key);
    socket.destroy();
    await expectUntouched();
  });

  it('while it takes an object frees the object', async () => {
    const { head } = sign(deployment.server, { method: 'GET', path: '/encrypted/left' });
    const socket = await open();
    await write(socket, Buffer.from(head));
    socket.resetAndDestroy();
    await deployment.server.logLine(
      ({ msg, operation, key }) => msg === 'request' && operation === 'GetObject' && key === 'left',
    );
    await expectUntouched();
  });
});

describe('a body in a slow trickle', () => {
  it('is stored whole', async () => {
    const bytes = Buffer.from('drop by drop');
    const { head } = sign(deployment.server, { method: 'PUT', path: '/encrypted/trickle', body: bytes });
    const socket = await open();
    socket.setNoDelay(true);
    const answer = new Promise<string>((resolve) => {
      socket.once('data', (piece) => resolve(piece.toString()));
    });
    for (const byte of Buffer.concat([Buffer.from(head), bytes])) await write(socket, Buffer.from([byte]));
    expect(await answer).toContain('HTTP/1.1 200');
    socket.destroy();
    const read = await send(deployment.server, { method: 'GET', path: '/encrypted/trickle' });
    expect(read.body.equals(bytes)).toBe(true);
    await send(deployment.server, { method: 'DELETE', path: '/encrypted/trickle' });
    before = { ...before, rows: storeState(deployment.server).rows };
  });
});

/** Shapes that two servers on one connection could read differently. */
const SMUGGLING: readonly (readonly [string, string])[] = [
  ['two different lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n'],
  ['the same length twice', 'Content-Length: 1\r\nContent-Length: 1\r\n'],
  ['a list of lengths', 'Content-Length: 1, 1\r\n'],
  ['a length and a coding', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'],
  ['a coding and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 1\r\n'],
  ['two codings', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'],
  ['chunked twice', 'Transfer-Encoding: chunked, chunked\r\n'],
  ['chunked not last', 'Transfer-Encoding: chunked, gzip\r\n'],
  ['chunked behind another', 'Transfer-Encoding: gzip, chunked\r\n'],
  ['identity', 'Transfer-Encoding: identity\r\n'],
  ['an almost chunked coding', 'Transfer-Encoding: xchunked\r\n'],
  ['a negative length', 'Content-Length: -1\r\n'],
  ['a length with a sign', 'Content-Length: +1\r\n'],
  ['a hexadecimal length', 'Content-Length: 0x1\r\n'],
  ['a length beyond 64 bits', 'Content-Length: 99999999999999999999\r\n'],
  ['an empty length', 'Content-Length:\r\n'],
  ['a blank before the colon', 'Content-Length : 1\r\n'],
  ['a folded line', 'X-A: b\r\n Content-Length: 1\r\n'],
  ['a bare line feed', 'X-A: b\nContent-Length: 1\r\n'],
  ['a bare carriage return', 'X-A: b\rContent-Length: 1\r\n'],
  ['a NUL', 'X-A: \0\r\n'],
  ['an odd byte in a name', 'X-\x80: 1\r\n'],
  ['two Hosts', 'Host: other\r\nContent-Length: 1\r\n'],
];

describe('a request whose end is not clear', () => {
  it.each(SMUGGLING)(
    'is refused, and the connection ends before what hides behind it: %s',
    async (_, lines) => {
      const hidden = sign(deployment.server, { method: 'DELETE', path: '/encrypted/existing' }).head;
      const bytes = `PUT /encrypted/existing HTTP/1.1\r\nHost: a\r\n${lines}\r\n0\r\n\r\n${hidden}`;
      const answer = await exchange(deployment.server.endpoint, Buffer.from(bytes, 'latin1'), {
        method: 'PUT',
      });
      expect([400, 501]).toContain(answer.status);
      expect(['InvalidRequest', 'NotImplemented']).toContain(answer.code);
      expect(answer.body.toString('latin1').split('HTTP/1.1').length).toBe(1);
      await expectUntouched();
    },
  );
});

/** Bytes that are almost a request: a signed one, cut, spliced, repeated, or with bytes changed. */
function spoil(bytes: Buffer, edits: readonly Edit[]): Buffer {
  let spoilt = bytes;
  for (const { at, remove, insert } of edits) {
    const start = at % (spoilt.length + 1);
    spoilt = Buffer.concat([spoilt.subarray(0, start), insert, spoilt.subarray(start + remove)]);
  }
  return spoilt;
}

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: Buffer;
}

const TOKENS = [
  '\r\n',
  '\n',
  '\r\n\r\n',
  '\0',
  ' ',
  ':',
  '%',
  '%ff',
  '..',
  '?',
  '&',
  '=',
  ';',
  '0\r\n\r\n',
  'ffffffff',
];
const pieces = fc.oneof(
  fc
    .constantFrom(...TOKENS, 'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n')
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const edits = fc.array(fc.record({ at: fc.nat(3000), remove: fc.nat(20), insert: pieces }), {
  minLength: 1,
  maxLength: 4,
});

describe('arbitrary bytes', () => {
  it('never end the process, hang a connection, are answered 500, or store anything', async () => {
    // Another secret: whatever the edits make of it, none of it may be believed.
    const access = { ...deployment.server, secretAccessKey: 'wrong' };
    const requests: readonly (() => Buffer)[] = [
      () => Buffer.from(sign(access, { method: 'GET', path: '/encrypted/existing' }).head),
      () => Buffer.from(sign(access, { method: 'GET', path: '/encrypted/existing', presigned: true }).head),
      () => {
        const body = Buffer.from('<Delete><Object><Key>existing</Key></Object></Delete>');
        const { head } = sign(access, {
          method: 'POST',
          path: '/encrypted',
          query: [['delete', null]],
          body,
        });
        return Buffer.concat([Buffer.from(head), body]);
      },
      () =>
        chunkedRequest(access, {
          method: 'PUT',
          path: '/encrypted/existing',
          form: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
          chunks: [Buffer.alloc(500, 'x')],
          httpChunkBytes: 100,
        }),
    ];
    await fc.assert(
      fc.asyncProperty(fc.nat(requests.length - 1), edits, async (which, changes) => {
        const request = requests[which]?.() ?? Buffer.alloc(0);
        const answer: RawAnswer = await exchange(deployment.server.endpoint, spoil(request, changes), {
          method: 'GET',
          halfClose: true,
        });
        expect(answer.status === 0 || (answer.status >= 400 && answer.status !== 500)).toBe(true);
      }),
      { seed: 20_260_101, numRuns: RUNS },
    );
    await expectUntouched();
  });

  it('behind a valid signature never end the process, nor are answered 500', async () => {
    const seen: number[] = [];
    const query = fc.array(
      fc.tuple(
        fc.constantFrom(
          'prefix',
          'max-keys',
          'partNumber',
          'uploadId',
          'marker',
          'list-type',
          'encoding-type',
          'versionId',
          'response-expires',
          'uploads',
          'delimiter',
          '__proto__',
        ),
        fc.oneof(fc.string(), fc.constant(null)),
      ),
      { maxLength: 4 },
    );
    const path = fc
      .oneof(fc.string(), fc.constantFrom('existing', '', '__proto__', 'constructor'))
      .map((key) => `/encrypted/${encodeURIComponent(key.toWellFormed())}`);
    const headers = fc.array(
      fc.tuple(
        fc.constantFrom(
          'range',
          'if-match',
          'if-none-match',
          'if-modified-since',
          'content-md5',
          'x-amz-meta-a',
          'x-amz-checksum-sha256',
          'x-amz-copy-source',
          'x-amz-trailer',
          'content-type',
          'expires',
        ),
        fc
          .string({ unit: 'binary-ascii', maxLength: 60 })
          .map((text) => text.replace(/[\0-\x1f\x7f]/g, '~').trim()),
      ),
      { maxLength: 4 },
    );
    const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS');
    await fc.assert(
      fc.asyncProperty(method, path, query, headers, async (verb, target, parameters, lines) => {
        const wellFormed = parameters.map(([name, value]) => [name, value?.toWellFormed() ?? null] as const);
        const answer = await send(deployment.server, {
          method: verb,
          path: target,
          query: wellFormed,
          headers: lines,
        });
        seen.push(answer.status);
        expect(answer.status).toBeGreaterThan(0);
        expect([verb, target, parameters, lines, answer.status < 500 || answer.status === 501]).toEqual([
          verb,
          target,
          parameters,
          lines,
          true,
        ]);
      }),
      { seed: 20_260_102, numRuns: RUNS },
    );
    expect(new Set(seen).size).toBeGreaterThan(3);
    expect(await deployment.server.metric('sealgate_s3_requests_in_flight')).toBe(0);
  });

  it('leave no secret in the log, and no failure of the server', () => {
    const log = deployment.server.logLines();
    expect(log.length).toBeGreaterThan(RUNS);
    const { secretAccessKey, adminToken } = deployment.server;
    for (const secret of [secretAccessKey, adminToken, /signature=[0-9a-f]{4}/i]) {
      expect(log.filter((line) => line.search(secret) >= 0)).toEqual([]);
    }
    expect(log.filter((line) => /"level":"(?:error|fatal)"/.test(line))).toEqual([]);
  });
});
