/**
 * The S3 port of one worker: node:http with a router of our own, because S3 routes by query and host and needs
 * the undecoded path.
 *
 * Owns connections, timeouts by progress and the drain. What a request means is decided in dispatch.ts.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Logger } from 'pino';
import { SigningKeys } from '../auth/signingKeys.ts';
import { dispatch } from './dispatch.ts';
import { S3Error } from './errors.ts';
import { DISCARD_LIMITS, type DiscardLimits, Exchange, type SlowAnswerTimes } from './exchange.ts';
import type { S3Server, S3Services } from './services.ts';
import { errorXml } from './xml/errorDocument.ts';

/** A client that neither sends nor takes a byte for so long is cut off; the total time is not limited. */
const PROGRESS_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Head of a request: 8 KiB for AWS; presigned URLs and 2 KiB of user metadata fit well. */
const MAX_HEAD_BYTES = 16 * 1024;

/** As AWS for copies and CompleteMultipartUpload. */
const SLOW_ANSWER: SlowAnswerTimes = { afterMs: 5_000, everyMs: 5_000 };

/** Requests that a client may send ahead on one connection before the answer to the first. */
const MAX_PIPELINED = 32;

export interface S3ServerOptions {
  readonly progressTimeoutMs?: number;
  readonly slowAnswer?: SlowAnswerTimes;
  readonly discardLimits?: DiscardLimits;
}

/** Builds the S3 server of a worker; the process binds it to its port. */
export function createS3Server(services: S3Services, options: S3ServerOptions = {}): S3Server {
  const signingKeys = new SigningKeys();
  const connections = new Map<Socket, Connection>();
  const refused = new WeakSet<Socket>();
  const idleWaiters: (() => void)[] = [];
  const load = { inFlight: 0 };
  const slowAnswer = options.slowAnswer ?? SLOW_ANSWER;
  const discardLimits = options.discardLimits ?? DISCARD_LIMITS;
  const progressTimeoutMs = options.progressTimeoutMs ?? PROGRESS_TIMEOUT_MS;
  let draining = false;

  const closing = (): boolean => draining || services.balance.overloaded();
  const handle = (req: IncomingMessage, res: ServerResponse, continueExpected: boolean): void => {
    const id = newRequestId();
    const receivedMs = services.now();
    const exchange = new Exchange(req, res, {
      id,
      receivedMs,
      continueExpected,
      closing,
      slowAnswer,
      discardLimits,
    });
    const { socket } = req;
    const connection = connections.get(socket);
    load.inFlight += 1;
    if (connection === undefined) void serveInTurn(socket, exchange);
    else if (connection.waiting.push(exchange) > MAX_PIPELINED) socket.destroy();
  };

  // One after another: a client that sends ahead must neither have many requests served at once nor hide a stalled
  // one behind another.
  const serveInTurn = async (socket: Socket, first: Exchange): Promise<void> => {
    const connection: Connection = { current: first, waiting: [] };
    connections.set(socket, connection);
    for (let next: Exchange | undefined = first; next !== undefined; next = connection.waiting.shift()) {
      connection.current = next;
      // Without its socket a later answer cannot be sent: the connection ended with the one before.
      if (next === first || next.res.socket !== null) await serve(next);
      load.inFlight -= 1;
    }
    connections.delete(socket);
    if (load.inFlight === 0) for (const wake of idleWaiters.splice(0)) wake();
  };

  const serve = async (exchange: Exchange): Promise<void> => {
    try {
      await dispatch(services, signingKeys, exchange);
    } catch (error) {
      // Whatever it is, it must cost this client alone its connection.
      services.log.error({ err: error, requestId: exchange.id }, 'an answer could not be sent');
      exchange.destroy();
    }
  };

  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: 0,
    headersTimeout: progressTimeoutMs,
    noDelay: true,
    // Refused by us, with a document that says why.
    requireHostHeader: false,
  });
  // The size of the head is limit enough. A limit on the number of headers makes some releases of Node.js drop what is
  // beyond it without a word, and an encryption header could be among that.
  server.maxHeadersCount = 0;
  server.on('request', (req, res) => handle(req, res, false));
  server.on('checkContinue', (req, res) => handle(req, res, true));
  // By itself node:http would answer 417 and swallow the body, however long.
  server.on('checkExpectation', (req, res) => handle(req, res, false));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!(socket instanceof Socket)) throw new TypeError('not a socket');
    const exchange = connections.get(socket)?.current;
    if (exchange?.failBody || (exchange?.req.complete === false && isParseError(error)))
      exchange.breakBody(new S3Error('IncompleteBody', undefined, { cause: error }));
    else if (exchange !== undefined) exchange.destroy();
    else if (refused.has(socket)) discardUnparsed(error, socket, discardLimits);
    else {
      refused.add(socket);
      refuseUnparsed(error, socket, services.log, discardLimits);
    }
  });
  server.on('connection', (socket) => {
    services.balance.opened();
    socket.once('close', () => services.balance.closed());
  });
  server.setTimeout(progressTimeoutMs, (socket) => {
    const exchange = connections.get(socket)?.current;
    if (exchange === undefined) socket.destroy();
    // It is the server that takes long; without this the timer would not run again before the next byte.
    else if (!exchange.waitingForClient) socket.setTimeout(progressTimeoutMs);
    else if (exchange.failBody !== null) exchange.failBody(new S3Error('RequestTimeout'));
    else exchange.destroy();
  });

  return { server, drain: () => drain(server), refuseBodies };

  async function drain(server: Server): Promise<void> {
    draining = true;
    server.closeIdleConnections();
    while (load.inFlight > 0) await new Promise<void>((resolve) => idleWaiters.push(resolve));
  }

  function refuseBodies(): void {
    for (const { current } of connections.values())
      current.breakBody(new S3Error('ServiceUnavailable', 'The server is ending. Please try again.'));
  }
}

/** What is served on one connection, and what its client has sent ahead. */
interface Connection {
  current: Exchange;
  readonly waiting: Exchange[];
}

function newRequestId(): string {
  return randomBytes(8).toString('hex').toUpperCase();
}

/** Answers what node:http could not parse, as far as anything can be said. */
function refuseUnparsed(
  error: NodeJS.ErrnoException,
  socket: Socket,
  log: Logger,
  limits: DiscardLimits,
): void {
  if (!socket.writable || !isParseError(error)) {
    socket.destroy();
    return;
  }
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new S3Error('RequestHeaderSectionTooLarge')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new S3Error('RequestTimeout')
        : new S3Error('InvalidRequest', 'The request is not well-formed HTTP.');
  const requestId = newRequestId();
  log.info({ requestId, code: refusal.code, parser: error.code }, 'not HTTP');
  const body = errorXml(refusal, '/', requestId);
  socket.end(
    `HTTP/1.1 ${refusal.status} Bad Request\r\nContent-Type: application/xml\r\nConnection: close\r\n` +
      `x-amz-request-id: ${requestId}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // With unread bytes behind it a close would be a reset, and the client might never see the answer.
  const timer = setTimeout(() => socket.destroy(), limits.ms);
  socket.once('close', () => clearTimeout(timer));
}

/** More came in from a client that was refused: every further piece is an error again. */
function discardUnparsed(error: NodeJS.ErrnoException, socket: Socket, limits: DiscardLimits): void {
  if (!isParseError(error) || socket.bytesRead > limits.bytes) socket.destroy();
}

function isParseError(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
}
