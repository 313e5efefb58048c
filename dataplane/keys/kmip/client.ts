/**
 * What the gateway does with keys in one KMS, in Fetch mode: create, find, activate and fetch a bucket key.
 *
 * Owns the meaning of KMIP answers (State, result reasons) and tells it as KmsError. Keeps no key: the cache does.
 */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { KmsError, type LocatedKey } from '../keys.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { type Connect, tlsConnector } from './connection.ts';
import { type EndpointObserver, type EndpointStatus, KmipEndpoint, payloadOf } from './endpoint.ts';
import { KmipError } from './errors.ts';
import { valueOf } from './fields.ts';
import type { ItemResult, RequestItem } from './messages.ts';
import * as operations from './operations.ts';
import { judge } from './reasons.ts';
import { AES, ENCRYPT_DECRYPT, STATE } from './tags.ts';
import { type Ttlv, TtlvError } from './ttlv.ts';

/** KMIP names that need no escaping anywhere. */
const KEY_NAME = /^[A-Za-z0-9._-]{1,128}$/;
/** The KMS's clock may be behind ours by this much when an unfinished Create is looked for. */
const INITIAL_DATE_SLACK_MS = 15 * 60 * 1000;

/** A key that may be used, and for what. */
export interface FetchedKey {
  readonly key: KeyObject;
  /** Only an Active key may protect new data. */
  readonly writable: boolean;
  readonly compromised: boolean;
}

export class KmipClient {
  readonly settings: KmsConnectionSettings;
  #endpoint: KmipEndpoint;

  /** Throws KmsError 'Refused' when the TLS files or the endpoint list cannot be used. */
  constructor(
    settings: KmsConnectionSettings,
    deps: {
      readonly clock: Clock;
      readonly observer: EndpointObserver;
      /** Opens connections; the default is TLS. */
      readonly connector?: (endpoint: KmsEndpoint) => Connect;
    },
  ) {
    this.settings = settings;
    const [endpoint, ...more] = settings.endpoints;
    if (endpoint === undefined || more.length > 0) {
      throw new KmsError('Refused', `KMS connection ${settings.name} needs exactly one endpoint`);
    }
    try {
      const connector = deps.connector ?? ((of: KmsEndpoint) => tlsConnector(of, settings.tls, deps.clock));
      this.#endpoint = new KmipEndpoint(endpoint, settings, connector(endpoint), deps);
    } catch (error) {
      throw new KmsError('Refused', `KMS connection ${settings.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  get endpoints(): readonly EndpointStatus[] {
    return [this.#endpoint.status];
  }

  /** Finds out whether the KMS answers; the result is in `endpoints`. Never rejects. */
  async probe(): Promise<void> {
    await this.#endpoint.probe();
  }

  /**
   * Reads State and the key's bytes in one message. Rejects with KmsError: InvalidState when State forbids any use,
   * NotFound when it is destroyed, and so on. Servers hand out keys in the wrong state, so State decides, not Get.
   */
  async fetchKey(kmsId: string): Promise<FetchedKey> {
    const items = [operations.getAttributes(kmsId, ['State']), operations.get(kmsId)];
    return await this.#ask('idempotent', async (endpoint) =>
      endpoint.request(items, 'idempotent', (results) => usableKey(results, kmsId)),
    );
  }

  /** KMIP Create; see KeyProvider.createKey. Sent once: Create is not idempotent. */
  async createKey(kmsName: string): Promise<string> {
    if (!KEY_NAME.test(kmsName))
      throw new KmsError('Refused', 'a key name is 1-128 characters of A-Z a-z 0-9 . _ -');
    const item = operations.create(kmsName, this.settings.objectGroup ? this.settings.keyNamePrefix : null);
    return await this.#ask('once', async (endpoint) =>
      endpoint.request([item], 'once', ([result]) => operations.readIdentifier(payloadOf(result))),
    );
  }

  /** KMIP Locate; see KeyProvider.locateKey. */
  async locateKey(kmsName: string, reservedMs: number): Promise<LocatedKey | null> {
    const found = await this.#ask('idempotent', async (endpoint) =>
      endpoint.request([operations.locate(kmsName)], 'idempotent', ([result]) =>
        operations.readIdentifiers(payloadOf(result)),
      ),
    );
    const [kmsId, ...more] = found;
    if (kmsId === undefined) return null;
    if (more.length > 0) throw new KmsError('Conflict', `the KMS has several keys named ${kmsName}`);
    const wanted = [
      'Cryptographic Algorithm',
      'Cryptographic Length',
      'Cryptographic Usage Mask',
      'Initial Date',
    ];
    const wrong = await this.#ask('idempotent', async (endpoint) =>
      endpoint.request([operations.getAttributes(kmsId, wanted)], 'idempotent', ([result]) =>
        notOurs(operations.readAttributes(payloadOf(result)), reservedMs),
      ),
    );
    if (wrong !== null) throw new KmsError('Conflict', `the key named ${kmsName} is not ours: ${wrong}`);
    return { kmsId };
  }

  /** Makes a Pre-Active key Active and fetches it. */
  async activateKey(kmsId: string): Promise<FetchedKey> {
    await this.#step(kmsId, operations.activate(kmsId), (state) => state !== STATE.preActive);
    return await this.fetchKey(kmsId);
  }

  /** See KeyProvider.revokeKey. */
  async revokeKey(kmsId: string): Promise<void> {
    await this.#step(kmsId, operations.revoke(kmsId), (state) => state !== STATE.active);
  }

  /** See KeyProvider.destroyKey. */
  async destroyKey(kmsId: string): Promise<void> {
    await this.#step(kmsId, operations.destroy(kmsId), (state) => {
      if (state === STATE.active) {
        throw new KmsError('InvalidState', `key ${kmsId} is Active; it can be destroyed once it is revoked`);
      }
      return isGone(state);
    });
  }

  /** Requests under way finish; no new ones. */
  close(): void {
    this.#endpoint.close();
  }

  /** Ends everything now. */
  destroy(): void {
    this.#endpoint.destroy();
  }

  /**
   * One step of a key's life. `done` judges its state before, and again after a failure: the answer may be lost, or
   * another process was faster. Only a step that may pass and is not done then is sent again, once.
   */
  async #step(kmsId: string, item: RequestItem, done: (state: number) => boolean): Promise<void> {
    if (done(await this.#state(kmsId))) return;
    try {
      await this.#send(item);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      const state = await this.#state(kmsId).catch(() => {
        // Whether it was carried out stays open.
        throw error;
      });
      if (done(state)) return;
      if (error.code !== 'Unavailable') throw error;
      await this.#send(item);
    }
  }

  async #send(item: RequestItem): Promise<void> {
    await this.#ask('once', async (endpoint) =>
      endpoint.request([item], 'once', ([result]) => {
        payloadOf(result);
      }),
    );
  }

  /** The key's State; a key that the KMS does not know counts as Destroyed, since Destroy may leave nothing behind. */
  async #state(kmsId: string): Promise<number> {
    try {
      return await this.#ask('idempotent', async (endpoint) =>
        endpoint.request([operations.getAttributes(kmsId, ['State'])], 'idempotent', ([result]) =>
          readState(result),
        ),
      );
    } catch (error) {
      if (error instanceof KmsError && error.code === 'NotFound') return STATE.destroyed;
      throw error;
    }
  }

  /** Runs requests on an endpoint and tells failures as KmsError. */
  async #ask<T>(repeat: 'idempotent' | 'once', work: (endpoint: KmipEndpoint) => Promise<T>): Promise<T> {
    try {
      return await work(this.#endpoint);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      const { code, retryable } = judge(error);
      // A refusal is an answer; anything else leaves open whether a mutation was carried out.
      const maybeDone = repeat === 'once' && error.sent && retryable;
      throw new KmsError(code, `KMS connection ${this.settings.name}: ${error.message}`, {
        cause: error,
        maybeDone,
      });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown error');

function readState(result: ItemResult | undefined): number {
  const state = operations.readAttributes(payloadOf(result)).get('State');
  if (state === undefined) throw new TtlvError('the server sent no State');
  return valueOf(state, 'Enumeration');
}

const isGone = (state: number): boolean => state === STATE.destroyed || state === STATE.destroyedCompromised;

/** KMIP 1.4 section 3.22, read strictly: what is neither Active, Deactivated nor Compromised is not used. */
function usableKey([attributes, got]: ItemResult[], kmsId: string): FetchedKey {
  const state = readState(attributes);
  if (isGone(state)) {
    throw new KmsError('NotFound', `key ${kmsId} is destroyed`);
  }
  if (state !== STATE.active && state !== STATE.deactivated && state !== STATE.compromised) {
    throw new KmsError(
      'InvalidState',
      `key ${kmsId} is in state ${state === STATE.preActive ? 'Pre-Active' : state}`,
    );
  }
  if (got?.status === 'failure' && state !== STATE.active && judgedDenied(got.reason)) {
    throw new KmsError('InvalidState', `the KMS gives out key ${kmsId} in its state ${state} no more`);
  }
  return {
    key: operations.readKey(payloadOf(got), kmsId),
    writable: state === STATE.active,
    compromised: state === STATE.compromised,
  };
}

/** 1.x servers say Permission Denied also for a wrong state. */
const judgedDenied = (reason: number | null): boolean =>
  judge(new KmipError('Result', '', { sent: true, reason })).code === 'AccessDenied';

/** Why a located key cannot be the one that our unfinished Create made, or null when it can. */
function notOurs(attributes: ReadonlyMap<string, Ttlv>, reservedMs: number): string | null {
  const number = (name: string): number | null => {
    const item = attributes.get(name);
    if (item === undefined) return null;
    return valueOf(item, name === 'Cryptographic Algorithm' ? 'Enumeration' : 'Integer');
  };
  if (number('Cryptographic Algorithm') !== AES) return 'its algorithm is not AES';
  if (number('Cryptographic Length') !== 256) return 'its length is not 256 bits';
  if (number('Cryptographic Usage Mask') !== ENCRYPT_DECRYPT)
    return 'its usage mask is not Encrypt and Decrypt';
  const initialDate = attributes.get('Initial Date');
  if (initialDate === undefined) return 'it has no Initial Date';
  const createdMs = Number(valueOf(initialDate, 'DateTime')) * 1000;
  if (createdMs < reservedMs - INITIAL_DATE_SLACK_MS) return 'it is older than the reservation of its name';
  return null;
}
