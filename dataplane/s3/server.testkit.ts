/** A whole S3 server in this process, on a real socket, a real engine and a real blob store, for tests. */

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  ACCESS_KEY,
  authorization,
  NOW_MS,
  OWNER,
  SECRET_KEY,
  signCanonical,
  TIMESTAMP,
} from '../auth/signer.testkit.ts';
import type { BlobStore } from '../blobs/blobs.ts';
import { openFilesystemBlobs, prepareFilesystemBlobs } from '../blobs/filesystem.ts';
import { systemRandom } from '../crypto/random.ts';
import type { KeyProvider } from '../keys/keys.ts';
import { KmsError } from '../keys/keys.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { bucketNamed, type Engine, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import type { FinishedRequest } from '../monitoring/s3Metrics.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { createS3Server, type S3ServerOptions } from './server.ts';
import type { S3Server, S3Services } from './services.ts';

export const HOST = 'localhost';
/** Exists, plain and empty. */
export const BUCKET = 'bucket';

/** Metadata and blobs that the servers of one file's tests share, because opening them takes long. */
export interface TestStore extends AsyncDisposable {
  readonly engine: Engine;
  readonly blobs: BlobStore;
  /** Names of all blob files, and how many object versions there are. */
  contents(): { readonly blobFiles: readonly string[]; readonly versions: number };
}

export async function openTestStore(): Promise<TestStore> {
  const engine = await openEngine();
  await engine.metadata.createBucket(bucketNamed(BUCKET, { ownerId: OWNER }), null);
  const path = join(engine.folder, 'blobs');
  const options = { path, incarnation: engine.incarnation, freeSpaceReserveBytes: 0 };
  prepareFilesystemBlobs(options);
  const onFatal = (error: Error): never => {
    throw error;
  };
  return {
    engine,
    blobs: openFilesystemBlobs({ ...options, onFatal }),
    contents: () => ({
      blobFiles: readdirSync(join(path, engine.incarnation)),
      versions: Number(engine.rows('SELECT count(*) AS n FROM object_version')[0]?.['n']),
    }),
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

export interface TestServer extends AsyncDisposable {
  readonly s3: S3Server;
  readonly port: number;
  readonly finished: readonly FinishedRequest[];
  readonly log: readonly string[];
  /** Resolves when so many requests have been finished, and none is in flight. */
  served(requests: number): Promise<void>;
}

/** Starts it. `change` may replace services, such as the metadata by one that waits. */
export async function startTestServer(
  store: TestStore,
  options: S3ServerOptions = {},
  change: (services: S3Services) => S3Services = (services) => services,
): Promise<TestServer> {
  const { engine, blobs } = store;
  const finished: FinishedRequest[] = [];
  const log: string[] = [];
  const waiters: (() => void)[] = [];
  let started = 0;
  const services: S3Services = {
    settings: {
      region: 'us-east-1',
      domains: [],
      policy: { plainBuckets: 'Allowed', copyToPlain: 'Allowed' },
      defaultKmsConnection: null,
      installationId: 'a'.repeat(32),
      incarnation: engine.incarnation,
      keyNamePrefix: () => '',
    },
    credentials: (id) =>
      id === ACCESS_KEY ? { secretAccessKey: SECRET_KEY, ownerId: OWNER, rights: 'everything' } : null,
    metadata: engine.metadata,
    blobs,
    keys: unavailableKeys,
    log: pino({ level: 'trace' }, { write: (line: string) => void log.push(line) }),
    metrics: {
      requestStarted: () => void (started += 1),
      requestFinished: (request) => {
        finished.push(request);
        for (const wake of waiters.splice(0)) wake();
      },
      encryptionHeadersRefused: () => undefined,
      integrityFailure: () => undefined,
    },
    balance: { opened: () => undefined, closed: () => undefined, overloaded: () => false },
    random: systemRandom,
    listKeys: new ListKeys(),
    now: () => NOW_MS,
  };
  const s3 = createS3Server(change(services), options);
  const { server } = s3;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    s3,
    port: address.port,
    finished,
    log,
    served: async (requests) => {
      while (finished.length < requests || started > finished.length) {
        await new Promise<void>((resolve) => waiters.push(resolve));
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const unavailable = (): Promise<never> => Promise.reject(new KmsError('Unavailable', 'there is none'));
/** A KMS that is away. */
export const unavailableKeys: KeyProvider = {
  bucketKey: unavailable,
  createKey: unavailable,
  locateKey: unavailable,
  activateKey: unavailable,
  revokeKey: unavailable,
  destroyKey: unavailable,
};

/** The same services, their metadata changed. */
export function withMetadata(
  change: (metadata: Metadata) => Partial<Metadata>,
): (services: S3Services) => S3Services {
  return (services) => {
    const changed = change(services.metadata);
    const metadata = new Proxy(services.metadata, {
      get: (target, name) => {
        const value: unknown = Reflect.get(name in changed ? changed : target, name);
        return typeof value === 'function' ? value.bind(name in changed ? changed : target) : value;
      },
    });
    return { ...services, metadata };
  };
}

/** Metadata whose bucket() waits until it is told to go on; `asked` resolves when it was called. */
export function slowBucket(): {
  readonly change: (services: S3Services) => S3Services;
  readonly asked: Promise<void>;
  readonly goOn: () => void;
} {
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const change = withMetadata((metadata) => ({
    bucket: async (name) => {
      asked.resolve();
      await goOn.promise;
      return await metadata.bucket(name);
    },
  }));
  return { change, asked: asked.promise, goOn: goOn.resolve };
}

/** A signed head. Of `headers` those of S3, each once, are signed too; the others are added. */
export function head(
  method: string,
  path: string,
  headers: readonly (readonly [string, string])[] = [],
  query = '',
  payload = 'UNSIGNED-PAYLOAD',
): string {
  const amz = headers.filter(([name]) => name.startsWith('x-amz-'));
  const signed = [
    ['host', HOST] as const,
    ['x-amz-content-sha256', payload] as const,
    ['x-amz-date', TIMESTAMP] as const,
    ...amz,
  ].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    method,
    path,
    query,
    signed.map(([name, value]) => `${name}:${value}\n`).join(''),
    names,
    payload,
  ].join('\n');
  const others = headers.filter((header) => !amz.includes(header));
  const lines = [...signed, ...others, authorization(names, signCanonical(canonical))];
  const target = query === '' ? path : `${path}?${query}`;
  return `${method} ${target} HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`;
}

/** A whole PutObject of that text. */
export const put = (key: string, body: string): string =>
  `${head('PUT', `/${BUCKET}/${key}`, [['content-length', String(body.length)]])}${body}`;

/** A client's end of a connection: everything that arrived, and waiting for more. */
export class Wire {
  readonly socket: Socket;
  #received = '';
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  get received(): string {
    return this.#received;
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Resolves to everything so far once that text has arrived; rejects when the connection ends without. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) {
      if (this.#ended) throw new Error(`the connection ended after: ${this.#received}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }

  /** Everything, once the connection has ended. */
  async end(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }
}
