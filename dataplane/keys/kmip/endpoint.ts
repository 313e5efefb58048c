/**
 * One KMIP server: its connections, the protocol version agreed on, and whether it is up.
 *
 * Owns retries on this endpoint and the circuit breaker: after a connection failure requests fail at once, without
 * waiting for a timeout each, until a probe in the background (Discover Versions, never a Create) gets an answer.
 */
import type { Clock } from '../clock.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import type { Connect, KmipConnection } from './connection.ts';
import { KmipError } from './errors.ts';
import {
  decodeResponse,
  encodeRequest,
  type ItemResult,
  type ProtocolVersion,
  type RequestItem,
} from './messages.ts';
import { discoverVersions, query, readQuery, readVersions } from './operations.ts';
import { ConnectionPool } from './pool.ts';
import { judge, reasonName } from './reasons.ts';
import { NEEDED_OPERATIONS, OPERATION, type OperationName } from './tags.ts';
import { type Ttlv, TtlvError } from './ttlv.ts';
import { DISCOVERY_HEADERS, highestCommon, parseVersion, versionName, versionsWithin } from './versions.ts';

const BACKOFF_MIN_MS = 1000;
const BACKOFF_MAX_MS = 5000;

/** What the endpoint tells while it works: metrics and the log hang here. */
export interface EndpointObserver {
  /** One batch item was answered, or its request failed; `result` is 'ok', a reason's name or a KmipErrorCode. */
  requested(endpoint: KmsEndpoint, operation: OperationName, result: string, durationMs: number): void;
  /** The endpoint went up or down; also told once when it is first known. */
  changed(endpoint: KmsEndpoint, up: boolean, why: string): void;
  /** The server lacks operations that we need. */
  lacking(endpoint: KmsEndpoint, operations: readonly string[]): void;
}

export interface EndpointStatus {
  readonly host: string;
  readonly port: number;
  readonly state: 'Unknown' | 'Up' | 'Down';
  readonly protocolVersion: string | null;
  readonly vendor: string | null;
  /** Why it is down. */
  readonly lastError: string | null;
  readonly serverCertificateExpiresMs: number | null;
}

/** How a request may be treated when no answer came. */
export type Repeat = 'idempotent' | 'once';

export class KmipEndpoint {
  readonly endpoint: KmsEndpoint;
  #settings: KmsConnectionSettings;
  #clock: Clock;
  #observer: EndpointObserver;
  #pool: ConnectionPool;
  #version: ProtocolVersion | null = null;
  #negotiation: Promise<ProtocolVersion> | null = null;
  #state: EndpointStatus['state'] = 'Unknown';
  #lastError: string | null = null;
  #vendor: string | null = null;
  #serverCertificateExpiresMs: number | null = null;
  #failures = 0;
  #cancelProbe: (() => void) | null = null;
  #closed = false;

  constructor(
    endpoint: KmsEndpoint,
    settings: KmsConnectionSettings,
    connect: Connect,
    deps: { readonly clock: Clock; readonly observer: EndpointObserver },
  ) {
    this.endpoint = endpoint;
    this.#settings = settings;
    this.#clock = deps.clock;
    this.#observer = deps.observer;
    this.#pool = new ConnectionPool(connect, deps.clock, settings.timeouts.connectMs);
  }

  get status(): EndpointStatus {
    return {
      host: this.endpoint.host,
      port: this.endpoint.port,
      state: this.#state,
      protocolVersion: this.#version === null ? null : versionName(this.#version),
      vendor: this.#vendor,
      lastError: this.#lastError,
      serverCertificateExpiresMs: this.#serverCertificateExpiresMs,
    };
  }

  /**
   * Sends the items in one message and gives their payloads to `read`, after which the answer is erased.
   * An idempotent request is repeated once, on a new connection, after a failure that may pass; any request is when it
   * never left. Rejects with KmipError, at once when the endpoint is down.
   */
  async request<T>(
    items: readonly RequestItem[],
    repeat: Repeat,
    read: (results: ItemResult[]) => T,
  ): Promise<T> {
    if (this.#state === 'Down') {
      throw new KmipError('Connection', `${this.#address} is down: ${this.#lastError ?? ''}`, {
        sent: false,
      });
    }
    const deadlineMs = this.#clock.now() + this.#settings.timeouts.totalMs;
    for (let attempt = 1; ; attempt += 1) {
      const version = this.#version;
      try {
        return await this.#once(items, read, deadlineMs, attempt > 1);
      } catch (error) {
        if (!(error instanceof KmipError)) throw error;
        const verdict = judge(error);
        if (verdict.renegotiate) this.#version = null;
        const mayRepeat = attempt === 1 && (repeat === 'idempotent' || !error.sent);
        const timeLeft = this.#clock.now() < deadlineMs;
        if (error.code !== 'Result') {
          this.#pool.dropIdle();
          if (!mayRepeat || !timeLeft) {
            if (error.code !== 'Malformed') this.#goDown(error.message);
            throw error;
          }
        } else if (
          !mayRepeat ||
          !timeLeft ||
          !(verdict.retryable || (await this.#agreesAnew(version, verdict)))
        ) {
          throw error;
        }
      }
    }
  }

  /** Finds out whether the endpoint answers, and what it is. Never rejects. */
  async probe(): Promise<void> {
    const deadlineMs = this.#clock.now() + this.#settings.timeouts.totalMs;
    try {
      this.#version = null;
      await this.#negotiated(deadlineMs);
      const { operations, vendor } = await this.#exchange([query()], deadlineMs, false, ([result]) =>
        readQuery(payloadOf(result)),
      );
      this.#vendor = vendor;
      const lacking = NEEDED_OPERATIONS.filter(
        (name) => operations.length > 0 && !operations.includes(OPERATION[name]),
      );
      if (lacking.length > 0) this.#observer.lacking(this.endpoint, lacking);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      // An answer, even a refusal, shows that the server is there.
      if (error.code !== 'Result') this.#goDown(error.message);
    }
  }

  /** Requests under way finish; no new ones. */
  close(): void {
    this.#closed = true;
    this.#cancelProbe?.();
    this.#pool.close();
  }

  /** Ends everything now. */
  destroy(): void {
    this.close();
    this.#pool.destroy();
  }

  get #address(): string {
    return `${this.endpoint.host}:${this.endpoint.port}`;
  }

  async #once<T>(
    items: readonly RequestItem[],
    read: (results: ItemResult[]) => T,
    deadlineMs: number,
    fresh: boolean,
  ): Promise<T> {
    await this.#negotiated(deadlineMs);
    return await this.#exchange(items, deadlineMs, fresh, read);
  }

  /** The version to speak, agreed on first if need be; all requests wait for one agreement. */
  async #negotiated(deadlineMs: number): Promise<ProtocolVersion> {
    if (this.#version !== null) return this.#version;
    this.#negotiation ??= this.#negotiate(deadlineMs).finally(() => {
      this.#negotiation = null;
    });
    return await this.#negotiation;
  }

  /**
   * Discover Versions in a 1.2 header, then in a 1.1 header; a server that knows neither is spoken to in the lowest
   * configured version.
   */
  async #negotiate(deadlineMs: number): Promise<ProtocolVersion> {
    const offered = versionsWithin(this.#settings.protocol);
    let agreed: ProtocolVersion | null = null;
    for (const header of DISCOVERY_HEADERS) {
      try {
        const answered = await this.#exchange(
          [discoverVersions(offered)],
          deadlineMs,
          false,
          ([result]) => readVersions(payloadOf(result)),
          header,
        );
        agreed = highestCommon(offered, answered);
        if (agreed === null) {
          const names = answered.map(versionName).join(', ');
          throw new KmipError(
            'Result',
            `no common protocol version; the server speaks ${names || 'none of ours'}`,
            {
              sent: true,
            },
          );
        }
        break;
      } catch (error) {
        if (!(error instanceof KmipError) || error.code !== 'Result' || !judge(error).renegotiate)
          throw error;
      }
    }
    this.#version = agreed ?? parseVersion(this.#settings.protocol.min);
    return this.#version;
  }

  /** Whether a new agreement gave another version, so that repeating makes sense. */
  async #agreesAnew(
    before: ProtocolVersion | null,
    verdict: { readonly renegotiate: boolean },
  ): Promise<boolean> {
    if (!verdict.renegotiate || before === null) return false;
    const now = await this.#negotiated(this.#clock.now() + this.#settings.timeouts.totalMs);
    return versionName(now) !== versionName(before);
  }

  async #exchange<T>(
    items: readonly RequestItem[],
    deadlineMs: number,
    fresh: boolean,
    read: (results: ItemResult[]) => T,
    header: ProtocolVersion | null = this.#version,
  ): Promise<T> {
    const startedMs = this.#clock.now();
    const operations = items.map(({ operation }) => operation);
    let results: ItemResult[] | null = null;
    let failureLabel: string | null = null;
    let frame: Buffer | null = null;
    try {
      if (header === null) throw new TypeError('no protocol version was agreed on');
      frame = await this.#pool.exchange(
        encodeRequest(header, items, this.#settings.credentials),
        { requestMs: this.#settings.timeouts.requestMs, deadlineMs, fresh },
        (connection) => this.#connected(connection),
      );
      results = decodeResponse(frame, operations);
      // An answer, even a refusal, shows that the server is there.
      this.#comeUp();
      return read(results);
    } catch (error) {
      const failure =
        error instanceof TtlvError
          ? new KmipError('Malformed', `${this.#address}: ${error.message}`, { sent: true, cause: error })
          : error;
      if (failure instanceof KmipError && results === null) failureLabel = failure.code;
      throw failure;
    } finally {
      frame?.fill(0);
      const durationMs = this.#clock.now() - startedMs;
      for (const [index, operation] of operations.entries()) {
        const label = results === null ? failureLabel : resultLabel(results[index]);
        if (label !== null) this.#observer.requested(this.endpoint, operation, label, durationMs);
      }
    }
  }

  #connected(connection: KmipConnection): void {
    this.#serverCertificateExpiresMs = connection.serverCertificateExpiresMs;
  }

  #comeUp(): void {
    this.#failures = 0;
    this.#lastError = null;
    if (this.#state === 'Up' || this.#closed) return;
    this.#state = 'Up';
    this.#observer.changed(this.endpoint, true, 'it answers');
  }

  #goDown(why: string): void {
    this.#pool.dropIdle();
    this.#lastError = why;
    if (this.#closed) return;
    if (this.#state !== 'Down') {
      this.#state = 'Down';
      this.#observer.changed(this.endpoint, false, why);
    }
    this.#cancelProbe?.();
    const backoffMs = probeDelay(this.#failures, this.#clock.random());
    this.#failures += 1;
    this.#cancelProbe = this.#clock.schedule(backoffMs, () => {
      this.#cancelProbe = null;
      void this.probe();
    });
  }
}

/** Between one second and a limit that doubles up to five. */
function probeDelay(failures: number, random: number): number {
  const highestMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (failures + 1));
  return BACKOFF_MIN_MS + random * (highestMs - BACKOFF_MIN_MS);
}

function resultLabel(result: ItemResult | undefined): string | null {
  if (result === undefined || result.status === 'missing') return null;
  return result.status === 'success' ? 'ok' : reasonName(result.reason);
}

/** The payload of a successful item. Throws KmipError 'Result' with the server's reason otherwise. */
export function payloadOf(result: ItemResult | undefined): readonly Ttlv[] {
  if (result === undefined || result.status === 'missing')
    throw new TtlvError('the server left out an answer');
  if (result.status === 'success') return result.payload;
  throw new KmipError(
    'Result',
    `the KMS answered ${reasonName(result.reason)}${result.message === '' ? '' : `: ${result.message}`}`,
    { sent: true, reason: result.reason },
  );
}
