import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { Exchange, XML_CONTENT } from './exchange.ts';
import { parseXml } from './xml/reader.ts';
import { xml } from './xml/writer.ts';

let server: Server | null = null;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Serves one exchange that does this work, and resolves to its answer's head. */
async function request(
  work: (exchange: Exchange) => Promise<string>,
  times: { readonly afterMs: number; readonly everyMs: number },
): Promise<IncomingMessage> {
  server = createServer((req, res) => {
    const exchange = new Exchange(req, res, {
      id: 'ID',
      receivedMs: 0,
      continueExpected: false,
      closing: () => false,
      slowAnswer: times,
      discardLimits: { bytes: 0, ms: 0 },
    });
    const headers = { 'x-amz-server-side-encryption': 'AES256' };
    void exchange
      .answerSlowly(headers, () => work(exchange))
      .then(
        (body) => exchange.respond({ status: 200, headers: { ...headers, ...XML_CONTENT }, body }),
        (error: unknown) => {
          expect(exchange.canAnswer).toBe(true);
          return exchange.respondError(
            error instanceof S3Error ? error : new S3Error('InternalError'),
            '/key',
          );
        },
      );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get({ port: address.port, host: '127.0.0.1' }, resolve).on('error', reject);
  return await promise;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer) text += String(piece);
  return text;
}

const DOCUMENT = xml('CopyObjectResult', [['ETag', '"x"']]);
const SLOW = { afterMs: 1, everyMs: 1 };
const NEVER = { afterMs: 1_000_000, everyMs: 1_000_000 };

describe('work that takes long', () => {
  it('is answered with a 200 and white space, and then with its document', async () => {
    const release = Promise.withResolvers<string>();
    const answer = await request(() => release.promise, SLOW);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/xml',
      'x-amz-server-side-encryption': 'AES256',
      'transfer-encoding': 'chunked',
    });
    let text = '';
    answer.on('data', (piece: Buffer) => {
      text += piece.toString();
      if (/ {3}$/.test(text)) release.resolve(DOCUMENT);
    });
    await once(answer, 'end');
    expect(text).toMatch(/^<\?xml [^>]*>\n {3,}<CopyObjectResult /);
    expect(parseXml(Buffer.from(text), { maxBytes: 10_000, maxElements: 10, maxDepth: 3 }).name).toBe(
      'CopyObjectResult',
    );
  });

  it('and fails is answered with the error inside the 200', async () => {
    const release = Promise.withResolvers<string>();
    const answer = await request(() => release.promise, SLOW);
    release.reject(new S3Error('PreconditionFailed'));
    const text = await textOf(answer);
    expect(answer.statusCode).toBe(200);
    expect(text).toMatch(/^<\?xml [^>]*>\n *<Error><Code>PreconditionFailed<\/Code>/);
  });

  it('stops writing to a client that went away', async () => {
    const gone = Promise.withResolvers<void>();
    const answer = await request(async (exchange) => {
      exchange.signal.addEventListener('abort', () => gone.resolve());
      await gone.promise;
      return DOCUMENT;
    }, SLOW);
    answer.destroy();
    await gone.promise;
  });
});

describe('work that takes no time', () => {
  it('is answered like anything else', async () => {
    const answer = await request(() => Promise.resolve(DOCUMENT), NEVER);
    expect(answer.headers['content-length']).toBe(String(DOCUMENT.length));
    expect(await textOf(answer)).toBe(DOCUMENT);
  });

  it('has a status of its own when it fails', async () => {
    const answer = await request(() => Promise.reject(new S3Error('PreconditionFailed')), NEVER);
    expect(answer.statusCode).toBe(412);
    expect(await textOf(answer)).toContain('<Code>PreconditionFailed</Code>');
  });
});
