/**
 * The doctor's conversation with one endpoint: one request at a time on one kept connection, each timed and noted. It
 * repeats nothing, so that the report shows what happened; connections are verified as the client's are.
 */
import type { Clock } from '../clock.ts';
import type { Connect, KmipConnection } from '../kmip/connection.ts';
import { KmipError } from '../kmip/errors.ts';
import { valueOf } from '../kmip/fields.ts';
import {
  decodeResponse,
  encodeRequest,
  type ItemResult,
  type ProtocolVersion,
  type RequestItem,
} from '../kmip/messages.ts';
import { reasonName } from '../kmip/reasons.ts';
import { TAG } from '../kmip/tags.ts';
import { decodeTtlv, TtlvError } from '../kmip/ttlv.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { addressOf } from './handshakeFindings.ts';
import { foreign } from './words.ts';

/** What the doctor does, by stable names; `GetState` and `Get` go in one message as the gateway sends them. */
export type StepName =
  | 'DiscoverVersions'
  | 'Query'
  | 'Create'
  | 'GetAttributes'
  | 'Locate'
  | 'Activate'
  | 'Get'
  | 'Encrypt'
  | 'Revoke'
  | 'GetDeactivated'
  | 'Destroy'
  | 'GetDestroyed';

/** How a request failed. */
export interface Failure {
  readonly kind: KmipError['code'];
  /** KMIP Result Reason, with kind 'Result'. */
  readonly reason: number | null;
  /** The reason's name in the specification, or an error code of the system or of OpenSSL; null when there is neither. */
  readonly reasonName: string | null;
  /** One line; the KMS's own words are in it. */
  readonly words: string;
  /** A byte of the request may have reached the KMS. */
  readonly sent: boolean;
}

/** One request and what came of it. */
export interface Step {
  readonly step: StepName;
  /** `host:port` */
  readonly endpoint: string;
  readonly failure: Failure | null;
  /** From the request to the answer, opening a connection not included; null when no answer came. */
  readonly latencyMs: number | null;
}

/** A request failed; `failure` says how, without secrets. */
export class StepFailed extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.words);
    this.name = 'StepFailed';
    this.failure = failure;
  }
}

export interface SessionDeps {
  readonly clock: Clock;
  /** Unix ms. */
  readonly wallNow: () => number;
  readonly note: (step: Step) => void;
}

export class DoctorSession {
  readonly address: string;
  /** Set once a version was agreed on. */
  version: ProtocolVersion | null = null;
  /** How far the KMS's clock is ahead of ours, by the Time Stamp of its last answer; null = it sends none. To a second. */
  clockAheadMs: number | null = null;
  /** How often the KMS had ended the connection although the request before was answered. */
  endedBetween = 0;
  #connect: Connect;
  #settings: KmsConnectionSettings;
  #deps: SessionDeps;
  #connection: KmipConnection | null = null;
  /** Whether the last request on the present connection was answered. */
  #answered = false;

  constructor(endpoint: KmsEndpoint, settings: KmsConnectionSettings, connect: Connect, deps: SessionDeps) {
    this.address = addressOf(endpoint);
    this.#connect = connect;
    this.#settings = settings;
    this.#deps = deps;
  }

  /**
   * Sends the items in one message and gives what came to `read`; the answer is erased afterwards. Rejects with
   * StepFailed. `quiet` keeps a success or a failure of it out of the notes (for questions that are asked again and again).
   */
  async ask<T>(
    step: StepName,
    items: readonly RequestItem[],
    read: (results: ItemResult[]) => T,
    { header = this.version, quiet = false }: { header?: ProtocolVersion | null; quiet?: boolean } = {},
  ): Promise<T> {
    const timing = { latencyMs: null as number | null };
    const note = (failure: Failure | null): void => {
      if (!quiet) this.#deps.note({ step, endpoint: this.address, failure, latencyMs: timing.latencyMs });
    };
    try {
      const value = await this.#exchange(items, read, header, timing);
      note(null);
      return value;
    } catch (error) {
      const failure = this.#failureOf(error);
      note(failure);
      throw new StepFailed(failure);
    }
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  async #exchange<T>(
    items: readonly RequestItem[],
    read: (results: ItemResult[]) => T,
    header: ProtocolVersion | null,
    timing: { latencyMs: number | null },
  ): Promise<T> {
    const { clock } = this.#deps;
    if (header === null) throw new TypeError('no protocol version was agreed on');
    const connection = await this.#open();
    const startedMs = clock.now();
    this.#answered = false;
    const frame = await connection.exchange(
      encodeRequest(header, items, this.#settings.credentials),
      this.#settings.timeouts.requestMs,
    );
    timing.latencyMs = clock.now() - startedMs;
    this.#answered = true;
    try {
      const operations = items.map(({ operation }) => operation);
      const results = decodeResponse(frame, operations);
      this.#compareClocks(frame);
      return read(results);
    } finally {
      frame.fill(0);
    }
  }

  async #open(): Promise<KmipConnection> {
    if (this.#connection?.usable === true) return this.#connection;
    if (this.#answered) this.endedBetween += 1;
    this.#answered = false;
    this.#connection?.destroy();
    this.#connection = await this.#connect(this.#settings.timeouts.connectMs);
    return this.#connection;
  }

  /** The response header's Time Stamp (KMIP 1.4, section 6.5) is in whole seconds, so the middle of its second counts. */
  #compareClocks(frame: Buffer): void {
    const message = valueOf(decodeTtlv(frame), 'Structure');
    const header = message.find(({ tag }) => tag === TAG.responseHeader);
    if (header === undefined) return;
    const stamp = valueOf(header, 'Structure').find(({ tag }) => tag === TAG.timeStamp);
    if (stamp === undefined) return;
    this.clockAheadMs = Number(valueOf(stamp, 'DateTime')) * 1000 + 500 - this.#deps.wallNow();
  }

  #failureOf(error: unknown): Failure {
    const words = (text: string): string => foreign(text, this.#settings.credentials?.password);
    if (error instanceof KmipError) {
      const named = error.code === 'Result' ? reasonName(error.reason) : systemCode(error.cause);
      return {
        kind: error.code,
        reason: error.reason,
        reasonName: named,
        words: words(error.message),
        sent: error.sent,
      };
    }
    if (!(error instanceof TtlvError)) throw error;
    return { kind: 'Malformed', reason: null, reasonName: null, words: words(error.message), sent: true };
  }
}

function systemCode(cause: unknown): string | null {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : null;
}
