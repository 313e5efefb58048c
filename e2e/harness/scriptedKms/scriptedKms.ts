/**
 * A KMIP server for tests that can be told to do what real ones do only on their bad days: delays, cut connections,
 * split and merged frames, other keys, lag, refusals with any reason, malformed answers, TLS failures.
 *
 * A test tool and nothing else: keys lie in memory in the clear. It speaks KMIP 1.0 to 1.4 over mutual TLS on the
 * loopback; a key belongs to the common name of the client certificate that made it. It must not import the client
 * that it tests.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { CertificateFiles, Certificates } from '../certificates.ts';
import { type KeyStore, newKeyStore } from './keyStore.ts';
import { Link, type LinkHost } from './link.ts';
import type { RecordedRequest } from './messages.ts';
import { OPERATIONS, type Operation } from './numbers.ts';
import type { Quirks } from './operations.ts';
import { type ConnectBehaviour, type Rule, Script } from './script.ts';

export interface ScriptedKmsOptions {
  readonly certificates: Pick<Certificates, 'ca' | 'server'>;
  /** Keys shared with other servers; default: a store of its own. */
  readonly store?: KeyStore;
  /** How late this server learns what another one did, in ms; see ScriptedKms.lagMs. */
  readonly lagMs?: number;
  /** Protocol versions, preferred first; default 1.4 down to 1.0. */
  readonly versions?: readonly string[];
  /** Operations that it knows; default: all of OPERATIONS. */
  readonly operations?: readonly Operation[];
  readonly vendor?: string;
  readonly quirks?: Quirks;
  /** The Credential that every request must carry; default: none is looked at. */
  readonly credential?: { readonly username: string; readonly password: string };
  /** How far the server's clock is ahead, in ms. */
  readonly clockOffsetMs?: number;
  /** Default: a free one. */
  readonly port?: number;
  /** Default: the loopback. */
  readonly host?: string;
}

export interface ScriptedKms extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly store: KeyStore;
  /** May be changed at any time. Infinity: learns nothing until it is set to 0. */
  lagMs: number;
  readonly quirks: Quirks;
  /** Every batch item that was read, in order. */
  readonly requests: readonly RecordedRequest[];
  /** Connections accepted so far, also those that never got through the handshake. */
  readonly connections: number;
  /** Why TLS handshakes failed, in order. */
  readonly handshakeFailures: readonly string[];
  /** How often an operation was read, or any. */
  count(operation?: Operation): number;
  /** The next request of this operation (or any) that is read after this call. */
  next(operation?: Operation): Promise<RecordedRequest>;
  /** Adds a rule; the returned function removes it. */
  script(rule: Rule): () => void;
  /** Ends every open connection. */
  cut(): void;
  /** Ends every connection and stops listening: connecting is refused by the kernel. Resolves when that is so. */
  pause(): Promise<void>;
  /** Listens again on the same port. */
  resume(): Promise<void>;
  /** Ends everything. */
  stop(): Promise<void>;
}

const ALL_VERSIONS = ['1.4', '1.3', '1.2', '1.1', '1.0'];

/** Starts a server, on the loopback unless told otherwise. Rejects when the port is taken or a certificate file cannot be read. */
export async function startScriptedKms(options: ScriptedKmsOptions): Promise<ScriptedKms> {
  const { certificates } = options;
  const script = new Script();
  const store = options.store ?? newKeyStore();
  const requests: RecordedRequest[] = [];
  const handshakeFailures: string[] = [];
  const open = new Set<Socket | TLSSocket>();
  let waiting: {
    readonly operation: Operation | undefined;
    readonly seen: (one: RecordedRequest) => void;
  }[] = [];
  let connections = 0;

  const linkHost: LinkHost = {
    script,
    credential: options.credential ?? null,
    record: (request) => {
      requests.push(request);
      const wanted = waiting.filter(
        ({ operation }) => operation === undefined || operation === request.operation,
      );
      waiting = waiting.filter((one) => !wanted.includes(one));
      for (const { seen } of wanted) seen(request);
    },
    context: (user) => ({
      store,
      server: identity,
      lagMs: kms.lagMs,
      user,
      versions: options.versions ?? ALL_VERSIONS,
      operations: options.operations ?? (Object.keys(OPERATIONS) as Operation[]),
      vendor: options.vendor ?? 'Sealgate scripted KMIP server, a test tool',
      quirks: kms.quirks,
      nowMs: Date.now() + (options.clockOffsetMs ?? 0),
    }),
  };
  const identity = Symbol('scripted KMS');

  const track = (socket: Socket | TLSSocket): void => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    // A client that goes away is no concern of the server's.
    socket.on('error', () => socket.destroy());
  };
  /** TLS on an accepted connection. Each gets a server of its own that never listens, so that its certificate may differ. */
  const handshake = (socket: Socket, number: number, files: CertificateFiles): void => {
    const server = createTlsServer({
      cert: readFileSync(files.cert),
      key: readFileSync(files.key),
      ca: readFileSync(certificates.ca),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    });
    server.on('secureConnection', (secured) => {
      track(secured);
      new Link(secured, { number, reset: () => socket.resetAndDestroy() }, linkHost);
    });
    server.on('tlsClientError', (error) => handshakeFailures.push(error.message));
    server.emit('connection', socket);
  };
  const accept = (socket: Socket): void => {
    connections += 1;
    const number = connections;
    track(socket);
    socket.setNoDelay(true);
    const behaviours = script.connect();
    const of = <K extends ConnectBehaviour['kind']>(
      kind: K,
    ): Extract<ConnectBehaviour, { kind: K }> | undefined =>
      behaviours.find((one): one is Extract<ConnectBehaviour, { kind: K }> => one.kind === kind);
    if (of('refuse') !== undefined) socket.destroy();
    else if (of('hang') === undefined) {
      const begin = (): void => {
        if (!socket.destroyed) handshake(socket, number, of('certificate')?.files ?? certificates.server);
      };
      const ms = of('slowAccept')?.ms ?? 0;
      if (ms === 0) begin();
      else {
        const timer = setTimeout(begin, ms);
        socket.on('close', () => clearTimeout(timer));
      }
    }
  };

  let listener: Server | null = null;
  const { host = '127.0.0.1' } = options;
  let port = options.port ?? 0;
  const listen = async (): Promise<void> => {
    const server = createServer(accept);
    server.listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error(`${host} gave no port`);
    ({ port } = address);
    listener = server;
  };
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const pause = async (): Promise<void> => {
    const server = listener;
    listener = null;
    cut();
    if (server === null) return;
    await new Promise<void>((resolve, reject) => {
      server.close((error) => (error === undefined ? resolve() : reject(error)));
    });
  };
  await listen();

  const kms: ScriptedKms = {
    host,
    port,
    store,
    lagMs: options.lagMs ?? 0,
    quirks: { ...options.quirks },
    requests,
    handshakeFailures,
    get connections() {
      return connections;
    },
    count: (operation) =>
      operation === undefined
        ? requests.length
        : requests.filter((request) => request.operation === operation).length,
    next: async (operation) =>
      await new Promise((seen) => {
        waiting.push({ operation, seen });
      }),
    script: (rule) => script.add(rule),
    cut,
    pause,
    resume: async () => {
      if (listener === null) await listen();
    },
    stop: pause,
    [Symbol.asyncDispose]: pause,
  };
  return kms;
}
