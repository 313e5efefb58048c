/**
 * One KMIP server: its connections, the protocol version agreed on, and whether it is up. One attempt per request:
 * where to try again is the group's decision (endpointGroup.ts).
 */
import type { Clock } from '../clock.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import type { Connect } from './connection.ts';
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

/** A request that had less time than this, because its deadline was near, proves nothing by failing. */
const FAIR_MS = 1000;

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
  readonly tier: number;
  readonly state: BreakerState;
  readonly protocolVersion: string | null;
  readonly vendor: string | null;
  /** Why it is down, or in doubt. */
  readonly lastError: string | null;
  readonly serverCertificateExpiresMs: number | null;
}

export class KmipEndpoint {
  readonly endpoint: KmsEndpoint;
  #settings: KmsConnectionSettings;
  #clock: Clock;
  #observer: EndpointObserver;
  #pool: ConnectionPool;
  #version: ProtocolVersion | null = null;
  #negotiation: Promise<ProtocolVersion> | null = null;
  #vendor: string | null = null;
  #serverCertificateExpiresMs: number | null = null;
  #breaker: Breaker;
  #underWay = 0;
  /** Told once, not at every probe. */
  #lacking = '';

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
    this.#breaker = new Breaker(
      deps.clock,
      async () => await this.probe(),
      (up, why) => {
        // What waits for a connection here would wait in vain; elsewhere it may be served.
        if (!up) this.#pool.giveUp(why);
        deps.observer.changed(endpoint, up, why);
      },
    );
  }

  get address(): string {
    return `${this.endpoint.host}:${this.endpoint.port}`;
  }

  /** 0 is used first. */
  get tier(): number {
    return this.endpoint.tier ?? 0;
  }

  /** Whether requests may be sent: it is not known to be down. */
  get usable(): boolean {
    return this.#breaker.state !== 'Down';
  }

  /** Whether it has been up for long enough to be preferred. */
  get steady(): boolean {
    return this.#breaker.steady;
  }

  /** Requests that wait for this endpoint. */
  get underWay(): number {
    return this.#underWay;
  }

  get status(): EndpointStatus {
    return {
      host: this.endpoint.host,
      port: this.endpoint.port,
      tier: this.tier,
      state: this.#breaker.state,
      protocolVersion: this.#version === null ? null : versionName(this.#version),
      vendor: this.#vendor,
      lastError: this.#breaker.lastError,
      serverCertificateExpiresMs: this.#serverCertificateExpiresMs,
    };
  }

  /**
   * Sends the items in one message, once, and gives their payloads to `read`, after which the answer is erased. Sent
   * again only when the server refused the protocol version and another one could be agreed on.
   * Rejects with KmipError, at once when the endpoint is down. `deadlineMs` is on the clock's scale; `fresh` asks for a
   * new connection.
   */
  async request<T>(
    items: readonly RequestItem[],
    read: (results: ItemResult[]) => T,
    { deadlineMs, fresh }: { readonly deadlineMs: number; readonly fresh: boolean },
  ): Promise<T> {
    if (!this.usable) {
      throw new KmipError('Connection', `${this.address} is down: ${this.#breaker.lastError ?? ''}`, {
        sent: false,
      });
    }
    this.#underWay += 1;
    const version = this.#version;
    try {
      return await this.#once(items, read, deadlineMs, fresh);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      const { renegotiate } = judge(error);
      if (renegotiate) this.#version = null;
      if (error.code !== 'Result' || !renegotiate || version === null) throw error;
      const now = await this.#negotiated(deadlineMs, fresh);
      if (versionName(now) === versionName(version)) throw error;
      return await this.#once(items, read, deadlineMs, fresh);
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Finds out whether the endpoint answers, and what it is. Never rejects. */
  async probe(): Promise<void> {
    const deadlineMs = this.#clock.now() + this.#settings.timeouts.totalMs;
    const fresh = this.#breaker.state !== 'Up' || this.#breaker.inDoubt;
    try {
      if (this.#breaker.state !== 'Up') this.#version = null;
      await this.#negotiated(deadlineMs, fresh);
      const { operations, vendor } = await this.#exchange([query()], deadlineMs, false, ([result]) =>
        readQuery(payloadOf(result)),
      );
      this.#vendor = vendor;
      const lacking = NEEDED_OPERATIONS.filter(
        (name) => operations.length > 0 && !operations.includes(OPERATION[name]),
      );
      if (lacking.length > 0 && lacking.join() !== this.#lacking) {
        this.#observer.lacking(this.endpoint, lacking);
      }
      this.#lacking = lacking.join();
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      // An answer, even a refusal, shows that the server is there. A kept connection that broke is only a doubt.
      if (error.code !== 'Result' && fresh) this.#breaker.failed(error.message);
    }
  }

  /** Requests under way finish; no new ones. */
  close(): void {
    this.#breaker.close();
    this.#pool.close();
  }

  /** Ends everything now. */
  destroy(): void {
    this.close();
    this.#pool.destroy();
  }

  async #once<T>(
    items: readonly RequestItem[],
    read: (results: ItemResult[]) => T,
    deadlineMs: number,
    fresh: boolean,
  ): Promise<T> {
    try {
      await this.#negotiated(deadlineMs, fresh);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      // Whatever became of the agreement, the items themselves never left.
      throw new KmipError(error.code, error.message, { sent: false, reason: error.reason, cause: error });
    }
    return await this.#exchange(items, deadlineMs, fresh, read);
  }

  /** The version to speak, agreed on first if need be; all requests wait for one agreement. */
  async #negotiated(deadlineMs: number, fresh: boolean): Promise<ProtocolVersion> {
    if (this.#version !== null) return this.#version;
    this.#negotiation ??= this.#negotiate(deadlineMs, fresh).finally(() => {
      this.#negotiation = null;
    });
    return await this.#negotiation;
  }

  /**
   * Discover Versions in a 1.2 header, then in a 1.1 header; a server that knows neither is spoken to in the lowest
   * configured version.
   */
  async #negotiate(deadlineMs: number, fresh: boolean): Promise<ProtocolVersion> {
    const offered = versionsWithin(this.#settings.protocol);
    let agreed: ProtocolVersion | null = null;
    for (const header of DISCOVERY_HEADERS) {
      try {
        const answered = await this.#exchange(
          [discoverVersions(offered)],
          deadlineMs,
          fresh,
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
    let keptConnection = false;
    try {
      if (header === null) throw new TypeError('no protocol version was agreed on');
      frame = await this.#pool.exchange(
        encodeRequest(header, items, this.#settings.credentials),
        { requestMs: this.#settings.timeouts.requestMs, deadlineMs, fresh },
        (connection, kept) => {
          this.#serverCertificateExpiresMs = connection.serverCertificateExpiresMs;
          keptConnection = kept;
        },
      );
      results = decodeResponse(frame, operations);
      // An answer, even a refusal, shows that the server is there.
      this.#breaker.answered();
      return read(results);
    } catch (error) {
      const failure =
        error instanceof TtlvError
          ? new KmipError('Malformed', `${this.address}: ${error.message}`, { sent: true, cause: error })
          : error;
      if (failure instanceof KmipError) {
        if (results === null) failureLabel = failure.code;
        this.#judgeFailure(failure, keptConnection, this.#clock.now() - startedMs);
      }
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

  /**
   * Silence on a new connection speaks for itself, and so does a second connection that fails. One that fails or is cut
   * may be chance, and a deadline that was near says little about the server: a probe decides.
   */
  #judgeFailure({ code, message }: KmipError, keptConnection: boolean, tookMs: number): void {
    if (code === 'Malformed') this.#breaker.doubted(message, false);
    if (code !== 'Connection' && code !== 'Timeout') return;
    this.#pool.dropIdle();
    const { connectMs, requestMs } = this.#settings.timeouts;
    const hurried = code === 'Timeout' && tookMs < Math.min(connectMs, requestMs, FAIR_MS);
    const chance = keptConnection || (code === 'Connection' && !this.#breaker.inDoubt);
    if (chance || hurried) this.#breaker.doubted(message, code === 'Timeout');
    else this.#breaker.failed(message);
  }
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
