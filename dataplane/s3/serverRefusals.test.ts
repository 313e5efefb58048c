import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BUCKET,
  HOST,
  head,
  openTestStore,
  slowBucket,
  startTestServer,
  type TestServer,
  type TestStore,
  Wire,
} from './server.testkit.ts';

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

describe('what is not HTTP', () => {
  it.each([
    ['garbage', '\x16\x03\x01\x02\x00\x01', 'InvalidRequest'],
    ['a head too large', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`, 'RequestHeaderSectionTooLarge'],
    [
      'a large head that does not end',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(2_000_000)}`,
      'RequestHeaderSectionTooLarge',
    ],
  ])('gets its error, which arrives: %s', async (_, text, code) => {
    server = await startTestServer(store);
    const client = wire();
    client.send(text);
    expect(await client.until('</Error>')).toContain(`<Code>${code}</Code>`);
    client.socket.end();
    await client.end();
    expect(server.log.join('')).toContain(`"code":"${code}"`);
  });

  it.each([
    ['in time', { bytes: 1_000_000_000, ms: 50 }],
    ['in bytes', { bytes: 100_000, ms: 60_000 }],
  ])('is read on within limits only: %s', async (_, discardLimits) => {
    server = await startTestServer(store, { discardLimits });
    const client = wire();
    const more = (): void => {
      if (client.socket.destroyed) return;
      client.socket.write(Buffer.alloc(50_000, 'x'), () => setImmediate(more));
    };
    client.send('garbage\r\n\r\n');
    more();
    expect(await client.end()).toContain('<Code>InvalidRequest</Code>');
  });

  it('in a body that is refused anyway does not keep the refusal from the client', async () => {
    server = await startTestServer(store, { discardLimits: { bytes: 1000, ms: 20 } });
    const client = wire();
    client.send(
      `PUT /${BUCKET}/a HTTP/1.1\r\nhost: ${HOST}\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n`,
    );
    expect(await client.end()).toContain('<Code>AccessDenied</Code>');
  });

  it('in a body that is not yet received fails it when its turn comes', async () => {
    const slow = slowBucket();
    server = await startTestServer(store, { discardLimits: { bytes: 1000, ms: 20 } }, slow.change);
    const client = wire();
    const headers = [
      ['transfer-encoding', 'chunked'],
      ['x-amz-decoded-content-length', '5'],
    ] as const;
    const payload = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
    client.send(`${head('PUT', `/${BUCKET}/a`, headers, '', payload)}nonsense\r\n`);
    await slow.asked;
    slow.goOn();
    expect(await client.end()).toContain('<Code>IncompleteBody</Code>');
  });

  it('behind a good request costs that client its connection, and nobody else', async () => {
    const slow = slowBucket();
    server = await startTestServer(store, {}, slow.change);
    const client = wire();
    client.send(`${head('HEAD', `/${BUCKET}`)}\x00\x00\x00`);
    expect(await client.end()).toBe('');
    slow.goOn();
    await server.s3.drain();
    const other = wire();
    other.send(head('HEAD', `/${BUCKET}`));
    await other.until('HTTP/1.1 200');
  });
});

describe('the head of a request', () => {
  it('is seen whole, however many headers it has', async () => {
    server = await startTestServer(store);
    const client = wire();
    const many = Array.from({ length: 2100 }, () => ['a', ''] as const);
    const encryption = ['x-amz-server-side-encryption', 'aws:kms'] as const;
    const text = head('PUT', `/${BUCKET}/a`, [...many, encryption, ['content-length', '0']]);
    client.send(text.replaceAll('a: \r\n', 'a:\r\n'));
    expect(await client.until('</Error>')).toContain('<ArgumentName>x-amz-server-side-encryption<');
  });

  it.each([
    ['no Host', '', 'InvalidRequest'],
    ['two Hosts', `host: ${HOST}\r\nhost: other\r\n`, 'InvalidRequest'],
    [
      'a transfer coding besides chunked',
      `host: ${HOST}\r\ntransfer-encoding: gzip, chunked\r\n`,
      'NotImplemented',
    ],
    [
      'two headers of transfer codings',
      `host: ${HOST}\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked\r\n`,
      'NotImplemented',
    ],
  ])('with %s is refused, and the connection ends', async (_, lines, code) => {
    server = await startTestServer(store, { discardLimits: { bytes: 1000, ms: 20 } });
    const client = wire();
    client.send(`PUT /${BUCKET}/a HTTP/1.1\r\n${lines}\r\n0\r\n\r\n`);
    expect(await client.end()).toContain(`<Code>${code}</Code>`);
    expect(client.received.toLowerCase()).toContain('connection: close');
  });

  it('of HTTP/1.0 cannot have transfer codings', async () => {
    server = await startTestServer(store, { discardLimits: { bytes: 1000, ms: 20 } });
    const client = wire();
    client.send(
      `PUT /${BUCKET}/a HTTP/1.0\r\nhost: ${HOST}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
    );
    expect(await client.end()).toContain('<Code>InvalidRequest</Code>');
  });

  it('with an expectation that nobody knows is served like any other', async () => {
    server = await startTestServer(store);
    const client = wire();
    client.send(head('HEAD', `/${BUCKET}`, [['expect', 'wonders']]));
    await client.until('HTTP/1.1 200');
  });
});

describe('the server', () => {
  it('survives an answer that cannot be sent, and says so', async () => {
    let failures = 1;
    server = await startTestServer(store, {}, (services) => ({
      ...services,
      metrics: {
        ...services.metrics,
        requestStarted: () => {
          if (failures-- > 0) throw new Error('out of numbers');
          services.metrics.requestStarted();
        },
      },
    }));
    const first = wire();
    first.send(head('HEAD', `/${BUCKET}`));
    await first.end();
    const second = wire();
    second.send(head('HEAD', `/${BUCKET}`));
    await second.until('HTTP/1.1 200');
    await server.s3.drain();
    expect(server.log.join('')).toContain('an answer could not be sent');
  });

  it('says Connection: close while it drains, and drains once nothing is in flight', async () => {
    const slow = slowBucket();
    server = await startTestServer(store, {}, slow.change);
    const client = wire();
    client.send(head('HEAD', `/${BUCKET}`));
    await slow.asked;
    const drained = server.s3.drain();
    slow.goOn();
    await drained;
    expect((await client.end()).toLowerCase()).toContain('connection: close');
  });

  it('answers 503 to a body that does not end when it is told to refuse it, and is then drained', async () => {
    const before = store.contents();
    server = await startTestServer(store, { discardLimits: { bytes: 1_000_000, ms: 50 } });
    const client = wire();
    client.send(
      head('PUT', `/${BUCKET}/endless`, [
        ['content-length', '10'],
        ['expect', '100-continue'],
      ]),
    );
    await client.until('100 Continue');
    client.send('12345');
    const drained = server.s3.drain();
    server.s3.refuseBodies();
    const received = await client.end();
    expect(received).toContain('HTTP/1.1 503');
    expect(received).toContain('<Code>ServiceUnavailable</Code>');
    expect(received.toLowerCase()).toContain('connection: close');
    await drained;
    expect(store.contents()).toEqual(before);
  });

  it.each([
    ['was encoded', `/${BUCKET}/a%3FX-Amz-Signature=5ec7e7&x=y`, 'NoSuchKey'],
    ['was lost', `/${BUCKET}X-Amz-Signature=5ec7e7&x=y`, '</Error>'],
  ])('does not log the signature of a presigned URL whose question mark %s', async (_, target, answer) => {
    server = await startTestServer(store);
    const client = wire();
    client.send(head('GET', target));
    await client.until(answer);
    await server.s3.drain();
    expect(server.log.join('')).not.toContain('5ec7e7');
    expect(server.log.join('')).toContain('X-Amz-Signature=[redacted]&x=y');
  });
});

describe('the body of a refused request', () => {
  it.each([
    ['in time', { bytes: 1_000_000_000, ms: 50 }, 1_000_000_000],
    ['in bytes', { bytes: 100_000, ms: 60_000 }, 1_000_000_000],
    ['to its end, when that comes first', { bytes: 1_000_000, ms: 60_000 }, 50_000],
  ])('is read on within limits only: %s', async (_, discardLimits, sizeBytes) => {
    server = await startTestServer(store, { discardLimits });
    const client = wire();
    client.send(`PUT /${BUCKET}/a HTTP/1.1\r\nhost: ${HOST}\r\ncontent-length: ${sizeBytes}\r\n\r\n`);
    let left = sizeBytes;
    const more = (): void => {
      if (client.socket.destroyed || left === 0) return;
      left -= 50_000;
      client.socket.write(Buffer.alloc(50_000, 'x'), () => setImmediate(more));
    };
    more();
    expect(await client.end()).toContain('<Code>AccessDenied</Code>');
    await server.s3.drain();
    expect(server.finished).toHaveLength(1);
  });
});
