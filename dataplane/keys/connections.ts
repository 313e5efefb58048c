/**
 * All KMS connections of the process: for each a KMIP client and the cache in front of it. Lives in the key-holder
 * thread; it knows nothing of threads and ports.
 */
import { X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { KeyCache, type KeyGrant } from './cache.ts';
import { CertificateWatch, type WatchedCertificate } from './certificateWatch.ts';
import type { Clock } from './clock.ts';
import { KmsError, type LocatedKey } from './keys.ts';
import { KmipClient } from './kmip/client.ts';
import type { Connect } from './kmip/connection.ts';
import type { EndpointStatus } from './kmip/endpoint.ts';
import type { LogFields, LogLevel } from './messages.ts';
import { KeyMetrics, type MetricsJson } from './metrics.ts';
import type { KmsConnectionSettings, KmsEndpoint } from './settings.ts';

/** One connection, as GET /admin/v1/status shows it. */
export interface KmsConnectionStatus {
  readonly name: string;
  readonly endpoints: readonly EndpointStatus[];
  readonly cachedKeys: number;
  /** Unix ms. */
  readonly clientCertificateExpiresMs: number;
}

export interface KmsConnectionsDeps {
  readonly clock: Clock;
  readonly log: (level: LogLevel, fields: LogFields, message: string) => void;
  /** Workers must drop this key; null = all keys of the connection. */
  readonly evict: (connection: string, kmsId: string | null) => void;
  /** Opens connections; the default is TLS. */
  readonly connector?: (endpoint: KmsEndpoint) => Connect;
  /** Unix time in ms, for certificates; default: the system's. */
  readonly unixMs?: () => number;
}

/** How often idle keys are looked for that must be forgotten, and certificates that end. */
const SWEEP_MS = 60_000;

interface Connection {
  client: KmipClient;
  readonly cache: KeyCache;
}

export class KmsConnections {
  #deps: KmsConnectionsDeps;
  #metrics = new KeyMetrics();
  #certificates = new CertificateWatch();
  #connections = new Map<string, Connection>();
  #updating: Promise<void> = Promise.resolve();
  #cancelSweep: () => void;

  constructor(deps: KmsConnectionsDeps) {
    this.#deps = deps;
    this.#cancelSweep = deps.clock.schedule(SWEEP_MS, () => this.#sweep());
  }

  /**
   * Takes over the connections as configured. For a changed one the new connection is opened first, then the old one
   * finishes what it does. Keys of a changed connection are asked for again at their next use; keys of a removed one are forgotten.
   * An unreachable KMS is no failure. Rejects with KmsError 'Refused', with nothing changed, for unusable settings.
   */
  async update(settings: readonly KmsConnectionSettings[]): Promise<void> {
    const update = this.#updating.then(async () => await this.#update(settings));
    this.#updating = update.catch(() => undefined);
    await update;
  }

  /** The key for a worker. Rejects with KmsError. */
  async key(connection: string, kmsId: string, keyCheckValue: string): Promise<KeyGrant> {
    return await this.#connection(connection).cache.get(kmsId, keyCheckValue);
  }

  /** Counts uses of keys that a worker served by itself. */
  served(connection: string, uses: number): void {
    if (this.#connections.has(connection)) this.#metrics.cacheAsked(connection, 'hit', uses);
  }

  /** See KeyProvider.createKey. */
  async createKey(connection: string, kmsName: string): Promise<string> {
    const kmsId = await this.#connection(connection).client.createKey(kmsName);
    this.#deps.log('info', { connection, kmsId, kmsName }, 'created a bucket key in the KMS');
    return kmsId;
  }

  /** See KeyProvider.locateKey. */
  async locateKey(connection: string, kmsName: string, reservedMs: number): Promise<LocatedKey | null> {
    return await this.#connection(connection).client.locateKey(kmsName, reservedMs);
  }

  /** See KeyProvider.activateKey. */
  async activateKey(connection: string, kmsId: string): Promise<string> {
    const { client, cache } = this.#connection(connection);
    const fetched = await client.activateKey(kmsId);
    if (!fetched.writable)
      throw new KmsError('InvalidState', `key ${kmsId} is not Active and cannot serve a bucket`);
    return cache.put(kmsId, fetched);
  }

  /** See KeyProvider.revokeKey. Workers ask anew: the key serves reads only from now on. */
  async revokeKey(connection: string, kmsId: string): Promise<void> {
    const { client, cache } = this.#connection(connection);
    await client.revokeKey(kmsId);
    cache.forget(kmsId);
    this.#deps.log('info', { connection, kmsId }, 'revoked a bucket key in the KMS');
  }

  /** See KeyProvider.destroyKey. */
  async destroyKey(connection: string, kmsId: string): Promise<void> {
    const { client, cache } = this.#connection(connection);
    await client.destroyKey(kmsId);
    cache.forget(kmsId);
    this.#deps.log('warn', { connection, kmsId }, 'destroyed a bucket key in the KMS');
  }

  /** Forgets all keys of the connection. Throws KmsError 'UnknownConnection'. */
  flush(connection: string): void {
    this.#connection(connection).cache.flush();
  }

  /** Of all connections, or of that one if there is one of the name. */
  status(only: string | null = null): KmsConnectionStatus[] {
    const names = only === null ? [...this.#connections.keys()] : [only];
    return names.flatMap((name) => {
      const connection = this.#connections.get(name);
      if (connection === undefined) return [];
      const { client, cache } = connection;
      return [
        {
          name,
          endpoints: client.endpoints,
          cachedKeys: cache.summary.keys,
          clientCertificateExpiresMs: expiryOf(client.settings),
        },
      ];
    });
  }

  async metrics(): Promise<MetricsJson> {
    return await this.#metrics.collect(
      this.status().map(({ name, endpoints, clientCertificateExpiresMs }) => {
        const summary = this.#connection(name).cache.summary;
        return {
          connection: name,
          cachedKeys: summary.keys,
          compromisedKeys: summary.compromised,
          oldestKeyMs: summary.oldestMs,
          clientCertificateExpiresMs,
          serverCertificates: endpoints.flatMap(({ host, port, serverCertificateExpiresMs: expiresMs }) =>
            expiresMs === null ? [] : [{ endpoint: `${host}:${port}`, expiresMs }],
          ),
        };
      }),
    );
  }

  /** Ends all connections at once and forgets all keys. */
  close(): void {
    this.#cancelSweep();
    for (const { client, cache } of this.#connections.values()) {
      client.destroy();
      cache.flush();
    }
    this.#connections.clear();
  }

  #sweep(): void {
    for (const { cache } of this.#connections.values()) cache.sweep();
    const nowMs = (this.#deps.unixMs ?? Date.now)();
    this.#certificates.look(this.status().flatMap(certificatesOf), nowMs, this.#deps.log);
    this.#cancelSweep = this.#deps.clock.schedule(SWEEP_MS, () => this.#sweep());
  }

  #connection(name: string): Connection {
    const connection = this.#connections.get(name);
    if (connection === undefined)
      throw new KmsError('UnknownConnection', `no KMS connection is named ${name}`);
    return connection;
  }

  async #update(wanted: readonly KmsConnectionSettings[]): Promise<void> {
    const changed = wanted.filter(
      (settings) => !isDeepStrictEqual(this.#connections.get(settings.name)?.client.settings, settings),
    );
    const clients = this.#clients(changed);
    await Promise.all(
      clients.map(async (client) => {
        const probed = client.probe();
        // A connection in use waits until its successor is open; a new one may be used while it is being opened.
        if (this.#connections.has(client.settings.name)) await probed;
        this.#take(client);
      }),
    );
    for (const [name, { client, cache }] of this.#connections) {
      if (wanted.some((settings) => settings.name === name)) continue;
      this.#connections.delete(name);
      cache.flush();
      client.close();
      for (const endpoint of client.settings.endpoints) this.#metrics.endpointRemoved(name, endpoint);
      this.#deps.log('info', { connection: name }, 'KMS connection removed');
    }
  }

  /** Clients for the settings, or none at all. */
  #clients(settings: readonly KmsConnectionSettings[]): KmipClient[] {
    const clients: KmipClient[] = [];
    try {
      for (const of of settings) clients.push(this.#newClient(of));
    } catch (error) {
      for (const client of clients) client.destroy();
      throw error;
    }
    return clients;
  }

  #newClient(settings: KmsConnectionSettings): KmipClient {
    expiryOf(settings);
    const { clock, connector, log } = this.#deps;
    const connection = settings.name;
    const address = (endpoint: KmsEndpoint) => `${endpoint.host}:${endpoint.port}`;
    return new KmipClient(settings, {
      clock,
      ...(connector === undefined ? {} : { connector }),
      observer: {
        requested: (_endpoint, operation, result, durationMs) =>
          this.#metrics.requested(connection, operation, result, durationMs),
        changed: (endpoint, up, why) => {
          this.#metrics.endpointChanged(connection, endpoint, up);
          const fields = { connection, endpoint: address(endpoint), why };
          if (up) log('info', fields, 'KMS endpoint is up');
          else log('warn', fields, 'KMS endpoint is down');
        },
        lacking: (endpoint, operations) =>
          log(
            'warn',
            { connection, endpoint: address(endpoint), operations: operations.join(' ') },
            'the KMS does not list operations that are needed',
          ),
      },
    });
  }

  /** Puts a client into service, in place of an older one if there is one. */
  #take(client: KmipClient): void {
    const { settings } = client;
    const current = this.#connections.get(settings.name);
    if (current !== undefined) {
      const old = current.client;
      current.client = client;
      current.cache.expire(settings.cache);
      old.close();
      for (const endpoint of old.settings.endpoints) {
        if (!settings.endpoints.some(({ host, port }) => host === endpoint.host && port === endpoint.port)) {
          this.#metrics.endpointRemoved(settings.name, endpoint);
        }
      }
      this.#deps.log('info', { connection: settings.name }, 'KMS connection changed');
      return;
    }
    this.#metrics.connectionAdded(settings.name);
    this.#connections.set(settings.name, { client, cache: this.#newCache(settings) });
  }

  #newCache(settings: KmsConnectionSettings): KeyCache {
    const connection = settings.name;
    const { clock, evict, log } = this.#deps;
    return new KeyCache(settings.cache, {
      clock,
      fetchKey: async (kmsId) => await this.#connection(connection).client.fetchKey(kmsId),
      observer: {
        asked: (result) => this.#metrics.cacheAsked(connection, result, 1),
        evicted: (kmsId) => evict(connection, kmsId),
        refused: (kmsId, error, again) => {
          const mismatch = error.code === 'KeyMismatch';
          if (mismatch) this.#metrics.mismatched(connection);
          if (again) return;
          const fields = { connection, kmsId, code: error.code, why: error.message };
          if (mismatch)
            log('error', fields, 'ALARM: the KMS gave other key bytes than the bucket was made with');
          else log('warn', fields, 'the KMS refuses a bucket key');
        },
        compromised: (kmsId) =>
          log(
            'error',
            { connection, kmsId },
            'ALARM: the KMS marks a bucket key as compromised; it serves reads only',
          ),
      },
    });
  }
}

function certificatesOf({
  name: connection,
  endpoints,
  clientCertificateExpiresMs,
}: KmsConnectionStatus): WatchedCertificate[] {
  return [
    { connection, certificate: 'client', endpoint: null, expiresMs: clientCertificateExpiresMs },
    ...endpoints.flatMap(({ host, port, serverCertificateExpiresMs: expiresMs }): WatchedCertificate[] =>
      expiresMs === null
        ? []
        : [{ connection, certificate: 'server', endpoint: `${host}:${port}`, expiresMs }],
    ),
  ];
}

/** When the client certificate expires, Unix ms. Throws KmsError 'Refused' when it cannot be read. */
function expiryOf(settings: KmsConnectionSettings): number {
  try {
    return Date.parse(new X509Certificate(settings.tls.cert).validTo);
  } catch (error) {
    throw new KmsError('Refused', `KMS connection ${settings.name}: the client certificate cannot be read`, {
      cause: error,
    });
  }
}
