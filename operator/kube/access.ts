/**
 * Where the API server is and how the operator shows who it is.
 *
 * Reading a kubeconfig or the pod's service account is left to @kubernetes/client-node; this keeps one dispatcher over
 * it, so that requests share connections (the library opens one per request), and reads again what rotates.
 */
import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { Agent, type Dispatcher } from 'undici';
import type { Clock } from '../clock.ts';
import { KubeError } from './kubeApi.ts';

/** The kubelet renews a service account's token long before its end; client-go reads it as often. */
const REREAD_MS = 60_000;

/** A peer that is gone without a word is noticed about 25 s later: libuv probes each second, ten times. */
const KEEP_ALIVE_MS = 15_000;

export interface Access {
  readonly server: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
}

export interface ApiAccess {
  /** What the next request needs. Rejects with KubeError Unavailable when it was never readable. */
  current(): Promise<Access>;
  /** The API server did not accept the credentials: the next `current` reads them anew. */
  refused(): void;
  close(): Promise<void>;
}

export interface ApiAccessOptions {
  /** One file or several as in KUBECONFIG; undefined: the service account of the pod. */
  readonly kubeconfig: string | undefined;
  /** Folder in front of /var/run/secrets; for tests. */
  readonly serviceAccountRoot?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Loaded {
  readonly server: URL;
  readonly headers: Record<string, string>;
  readonly tls: Record<string, unknown>;
  readonly fingerprint: string;
}

export function createApiAccess(options: ApiAccessOptions): ApiAccess {
  return new SharedAccess(options);
}

class SharedAccess implements ApiAccess {
  readonly #options: ApiAccessOptions;
  #access: Access | null = null;
  #fingerprint = '';
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<Access> | null = null;

  constructor(options: ApiAccessOptions) {
    this.#options = options;
  }

  current(): Promise<Access> {
    if (this.#access !== null && this.#options.clock.steadyMs() - this.#readAtMs < REREAD_MS) {
      return Promise.resolve(this.#access);
    }
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  refused(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  async close(): Promise<void> {
    await this.#access?.dispatcher.destroy();
  }

  async #read(): Promise<Access> {
    this.#readAtMs = this.#options.clock.steadyMs();
    let loaded: Loaded;
    try {
      loaded = await load(this.#options);
    } catch (error) {
      if (this.#access === null) {
        this.refused();
        throw new KubeError('Unavailable', 'the access to the API server is not readable', { cause: error });
      }
      this.#options.log.warn(
        { err: error },
        'the access to the API server is not readable: the last one stays',
      );
      return this.#access;
    }
    const access = { server: loaded.server, headers: loaded.headers, dispatcher: this.#dispatcher(loaded) };
    this.#access = access;
    return access;
  }

  /** The same one for as long as the TLS material is the same; a replaced one ends with its last request. */
  #dispatcher(loaded: Loaded): Dispatcher {
    if (this.#access !== null && this.#fingerprint === loaded.fingerprint) return this.#access.dispatcher;
    const previous = this.#access?.dispatcher;
    this.#fingerprint = loaded.fingerprint;
    previous?.close().catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'connections to the API server did not close');
    });
    return new Agent({
      // Each watch has a connection of its own, so that none waits behind another.
      allowH2: false,
      bodyTimeout: 0,
      connect: { ...loaded.tls, timeout: 5_000, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
    });
  }
}

async function load(options: ApiAccessOptions): Promise<Loaded> {
  const config = readConfig(options);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig names no current cluster');
  if (cluster.proxyUrl !== undefined) throw new Error('a kubeconfig with proxy-url is not supported');
  const told: RequestOptions = {};
  await config.applyToHTTPSOptions(told);
  const headers: Record<string, string> = { 'user-agent': 'sealgate-operator' };
  for (const [name, value] of Object.entries(told.headers ?? {}))
    headers[name.toLowerCase()] = String(value).trim();
  if (typeof told.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(told.auth).toString('base64')}`;
  }
  const { ca, cert, key, servername, rejectUnauthorized } = told;
  const tls = Object.fromEntries(
    Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const fingerprint = createHash('sha256').update(JSON.stringify(tls)).digest('hex');
  return { server: new URL(cluster.server), headers, tls, fingerprint };
}

function readConfig(options: ApiAccessOptions): KubeConfig {
  const config = new KubeConfig();
  if (options.kubeconfig === undefined) {
    if ((process.env['KUBERNETES_SERVICE_HOST'] ?? '') === '') {
      throw new Error('no KUBECONFIG is given, and this is not a pod of a cluster');
    }
    config.loadFromCluster(options.serviceAccountRoot ?? '');
    return config;
  }
  const [first, ...others] = options.kubeconfig.split(path.delimiter).filter((file) => file !== '');
  if (first === undefined) throw new Error('KUBECONFIG names no file');
  config.loadFromFile(first);
  for (const file of others) {
    const more = new KubeConfig();
    more.loadFromFile(file);
    config.mergeConfig(more, true);
  }
  return config;
}
