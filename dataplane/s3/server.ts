/**
 * The S3 port of one worker: node:http with a router of our own, because S3 routes by query and host and needs
 * the undecoded path.
 *
 * Owns connections, timeouts by progress and the drain. What a request means is decided in dispatch.ts.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SigningKeys } from '../auth/signingKeys.ts';
import { dispatch } from './dispatch.ts';
import { S3Error } from './errors.ts';
import { Exchange, type SlowAnswerTimes } from './exchange.ts';
import type { S3Server, S3Services } from './services.ts';
import { errorXml } from './xml/errorDocument.ts';

/** A client that neither sends nor takes a byte for so long is cut off; the total time is not limited. */
const PROGRESS_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Head of a request: 8 KiB for AWS; presigned URLs and 2 KiB of user metadata fit well. */
const MAX_HEAD_BYTES = 16 * 1024;

/** As AWS for copies and CompleteMultipartUpload. */
const SLOW_ANSWER: SlowAnswerTimes = { afterMs: 5_000, everyMs: 5_000 };

export interface S3ServerOptions {
  readonly progressTimeoutMs?: number;
  readonly slowAnswer?: SlowAnswerTimes;
}

/** Builds the S3 server of a worker; the process binds it to its port. */
export function createS3Server(services: S3Services, options: S3ServerOptions = {}): S3Server {
  const signingKeys = new SigningKeys();
  const active = new Map<Socket, Exchange>();
  const idleWaiters: (() => void)[] = [];
  const load = { inFlight: 0 };
  const slowAnswer = options.slowAnswer ?? SLOW_ANSWER;
  let draining = false;

  const closing = (): boolean => draining || services.balance.overloaded();
  const handle = (req: IncomingMessage, res: ServerResponse, continueExpected: boolean): void => {
    const id = randomBytes(8).toString('hex').toUpperCase();
    const receivedMs = services.now();
    const exchange = new Exchange(req, res, { id, receivedMs, continueExpected, closing, slowAnswer });
    const { socket } = req;
    load.inFlight += 1;
    active.set(socket, exchange);
    void dispatch(services, signingKeys, exchange).finally(() => {
      if (active.get(socket) === exchange) active.delete(socket);
      load.inFlight -= 1;
      if (load.inFlight === 0) for (const wake of idleWaiters.splice(0)) wake();
    });
  };

  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: 0,
    headersTimeout: PROGRESS_TIMEOUT_MS,
    noDelay: true,
  });
  server.on('request', (req, res) => handle(req, res, false));
  server.on('checkContinue', (req, res) => handle(req, res, true));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const exchange = active.get(socket as Socket);
    if (exchange?.failBody) exchange.failBody(new S3Error('IncompleteBody', undefined, { cause: error }));
    else if (exchange === undefined) refuseUnparsed(error, socket as Socket);
    else exchange.destroy();
  });
  server.on('connection', (socket) => {
    services.balance.opened();
    socket.once('close', () => services.balance.closed());
  });
  server.setTimeout(options.progressTimeoutMs ?? PROGRESS_TIMEOUT_MS, (socket) => {
    const exchange = active.get(socket);
    if (exchange === undefined) socket.destroy();
    else if (exchange.failBody !== null && exchange.waitingForClient)
      exchange.failBody(new S3Error('RequestTimeout'));
    else if (exchange.waitingForClient) exchange.destroy();
  });

  return { server, drain: () => drain(server) };

  async function drain(server: Server): Promise<void> {
    draining = true;
    server.closeIdleConnections();
    while (load.inFlight > 0) await new Promise<void>((resolve) => idleWaiters.push(resolve));
  }
}

/** Answers what node:http could not parse, as far as anything can be said. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new S3Error('RequestHeaderSectionTooLarge')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new S3Error('RequestTimeout')
        : new S3Error('InvalidRequest', 'The request is not well-formed HTTP.');
  const body = errorXml(refusal, '/', randomBytes(8).toString('hex').toUpperCase());
  socket.end(
    `HTTP/1.1 ${refusal.status} Bad Request\r\nContent-Type: application/xml\r\nConnection: close\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
