import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BUCKET,
  HOST,
  head,
  openTestStore,
  put,
  slowBucket,
  startTestServer,
  type TestServer,
  type TestStore,
  Wire,
  withMetadata,
} from './server.testkit.ts';

const PROGRESS = { progressTimeoutMs: 100 };

let store: TestStore;
beforeAll(async () => {
  store = await openTestStore();
}, 60_000);
afterAll(() => store[Symbol.asyncDispose]());

let server: TestServer;
const wires: Wire[] = [];
function wire(): Wire {
  const opened = new Wire(server.port);
  wires.push(opened);
  return opened;
}
afterEach(async () => {
  for (const { socket } of wires.splice(0)) socket.destroy();
  await server[Symbol.asyncDispose]();
});

/** Resolves when the server has seen the end of the connection that is made next. */
function nextConnectionEnded(): Promise<void> {
  return new Promise((resolve) => {
    server.s3.server.once('connection', (socket: Socket) => socket.once('close', () => resolve()));
  });
}

describe('a client that makes no progress', () => {
  it('in the middle of a body is told RequestTimeout, and nothing is stored', async () => {
    const before = store.contents();
    server = await startTestServer(store, { ...PROGRESS, discardLimits: { bytes: 1000, ms: 20 } });
    const client = wire();
    client.send(`${head('PUT', `/${BUCKET}/a`, [['content-length', '100000']])}${'x'.repeat(50_000)}`);
    expect(await client.end()).toContain('<Code>RequestTimeout</Code>');
    await server.served(1);
    expect(server.finished[0]).toMatchObject({ operation: 'PutObject', status: 400 });
    expect(store.contents()).toEqual(before);
  });

  it('in the middle of a head is cut', async () => {
    server = await startTestServer(store, PROGRESS);
    const client = wire();
    client.send('GET / HTTP/1.1\r\nHost: ');
    expect(await client.end()).toBe('');
  });

  it('without a byte is cut', async () => {
    server = await startTestServer(store, PROGRESS);
    expect(await wire().end()).toBe('');
  });

  it.each(['alone', 'hidden behind a request that was sent ahead'])(
    'taking no answer is cut: %s',
    async (how) => {
      const body = Buffer.alloc(32 * 1024 * 1024, 'x');
      // By a server that waits for long: on a busy machine so large a body stands still for a moment now and then.
      server = await startTestServer(store);
      const writer = wire();
      writer.send(head('PUT', `/${BUCKET}/a`, [['content-length', String(body.length)]]));
      writer.send(body);
      await writer.until('HTTP/1.1 200');
      writer.socket.destroy();
      await server[Symbol.asyncDispose]();
      server = await startTestServer(store, PROGRESS);
      const reader = wire();
      await once(reader.socket, 'connect');
      reader.socket.pause();
      reader.send(head('GET', `/${BUCKET}/a`));
      if (how !== 'alone') reader.send(head('HEAD', `/${BUCKET}/a`));
      await server.served(1);
      expect(server.finished[0]).toMatchObject({ operation: 'GetObject' });
      expect(server.finished[0]?.bytesOut).toBeLessThan(body.length);
    },
  );

  it('taking no long listing is cut', async () => {
    server = await startTestServer(
      store,
      PROGRESS,
      withMetadata((metadata) => ({
        // A page of 20 MB: more than the sockets on both sides hold.
        listObjects: async (query) => {
          const page = await metadata.listObjects(query);
          const object = page.objects[0];
          return {
            ...page,
            objects: object === undefined ? [] : Array.from({ length: 100_000 }, () => object),
          };
        },
      })),
    );
    const client = wire();
    client.send(put('a', 'x'));
    await client.until('HTTP/1.1 200');
    client.socket.pause();
    client.send(head('GET', `/${BUCKET}`));
    await server.served(2);
    expect(server.finished[1]?.operation).toBe('ListObjects');
  });

  it('is not blamed while the server itself takes long, and is watched again afterwards', async () => {
    const slow = slowBucket();
    server = await startTestServer(
      store,
      { ...PROGRESS, discardLimits: { bytes: 1000, ms: 20 } },
      slow.change,
    );
    const client = wire();
    client.send(head('PUT', `/${BUCKET}/a`, [['content-length', '10']]));
    await slow.asked;
    const [socket] = await new Promise<[{ timeout?: number }]>((resolve) => {
      server.s3.server.once('timeout', (timedOut) => resolve([timedOut]));
    });
    expect(socket.timeout).toBe(100);
    expect(client.received).toBe('');
    slow.goOn();
    expect(await client.end()).toContain('<Code>RequestTimeout</Code>');
  });
});

describe('a client that goes away', () => {
  it.each([
    ['PUT', [['content-length', '10']]],
    ['GET', []],
    ['HEAD', []],
  ] satisfies readonly (readonly [string, readonly (readonly [string, string])[]])[])(
    'while the server looks up the bucket of its %s leaves nothing behind',
    async (method, headers) => {
      const before = store.contents();
      const slow = slowBucket();
      server = await startTestServer(store, {}, slow.change);
      const ended = nextConnectionEnded();
      const client = wire();
      client.send(head(method, `/${BUCKET}/a`, headers));
      await slow.asked;
      client.socket.resetAndDestroy();
      await ended;
      slow.goOn();
      await server.served(1);
      expect(server.finished[0]?.status).toBe(0);
      await server.s3.drain();
      expect(store.contents()).toEqual(before);
    },
  );

  it('before an answer that succeeds does not hold the request', async () => {
    const slow = slowBucket();
    server = await startTestServer(store, {}, slow.change);
    const ended = nextConnectionEnded();
    const client = wire();
    client.send(head('HEAD', `/${BUCKET}`));
    await slow.asked;
    client.socket.resetAndDestroy();
    await ended;
    slow.goOn();
    await server.served(1);
    await server.s3.drain();
  });

  it('with requests sent ahead leaves none of them in flight', async () => {
    const before = store.contents();
    const slow = slowBucket();
    server = await startTestServer(store, {}, slow.change);
    const ended = nextConnectionEnded();
    const client = wire();
    client.send(head('HEAD', `/${BUCKET}`) + head('HEAD', `/${BUCKET}`) + put('a', 'x'));
    await slow.asked;
    client.socket.resetAndDestroy();
    await ended;
    slow.goOn();
    await server.s3.drain();
    expect(server.finished).toHaveLength(1);
    expect(store.contents()).toEqual(before);
  });
});

describe('requests sent ahead on one connection', () => {
  it('are served in order, one at a time', async () => {
    server = await startTestServer(store);
    const client = wire();
    client.send(
      put('a', 'first') + head('GET', `/${BUCKET}/a`) + put('a', 'second') + head('GET', `/${BUCKET}/a`),
    );
    await client.until('second');
    expect(client.received.indexOf('first')).toBeLessThan(client.received.indexOf('second'));
    await server.served(4);
    expect(server.finished.map(({ operation }) => operation)).toEqual([
      'PutObject',
      'GetObject',
      'PutObject',
      'GetObject',
    ]);
  });

  it('are cut when there are too many', async () => {
    const slow = slowBucket();
    server = await startTestServer(store, {}, slow.change);
    const client = wire();
    client.send(head('HEAD', `/${BUCKET}`).repeat(40));
    expect(await client.end()).toBe('');
    slow.goOn();
    await server.s3.drain();
    expect(server.finished).toHaveLength(1);
  });

  it('are dropped behind an answer that ends the connection', async () => {
    const before = store.contents();
    server = await startTestServer(store);
    const client = wire();
    client.send(
      `PUT /${BUCKET}/a HTTP/1.1\r\nhost: ${HOST}\r\nhost: other\r\ncontent-length: 1\r\n\r\nx${put('b', 'x')}`,
    );
    expect(await client.end()).toContain('<Code>InvalidRequest</Code>');
    await server.s3.drain();
    expect(server.finished).toHaveLength(1);
    expect(store.contents()).toEqual(before);
  });
});
