/**
 * What the gateway does with keys in one KMS, in Fetch mode: create, find, activate and fetch a bucket key.
 *
 * Owns what is asked of which endpoint, and tells failures as KmsError. Keeps no key: the cache does.
 */
import type { Clock } from '../clock.ts';
import { KmsError, type LocatedKey } from '../keys.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { type Connect, tlsConnector } from './connection.ts';
import { type EndpointObserver, type EndpointStatus, KmipEndpoint, payloadOf } from './endpoint.ts';
import { type Answer, type Ask, EndpointGroup } from './endpointGroup.ts';
import { KmipError } from './errors.ts';
import { type FetchedKey, fetchFrom, isGone, notOurs, OUR_ATTRIBUTES, readState } from './keyAnswers.ts';
import type { RequestItem } from './messages.ts';
import * as operations from './operations.ts';
import { judge } from './reasons.ts';
import { waitForReplication } from './replication.ts';
import { STATE } from './tags.ts';

/** KMIP names that need no escaping anywhere. */
const KEY_NAME = /^[A-Za-z0-9._-]{1,128}$/;
/** Keys whose endpoint is remembered: between Create and the end of Activate, so a few at a time. */
const HOMES_LIMIT = 1000;

export class KmipClient {
  readonly settings: KmsConnectionSettings;
  #clock: Clock;
  #group: EndpointGroup;
  /** Key → the endpoint that made or found it; the others may lag behind. */
  #homes = new Map<string, KmipEndpoint>();
  #underWay = 0;
  #closing = false;

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
    this.#clock = deps.clock;
    if (settings.endpoints.length === 0) {
      throw new KmsError('Refused', `KMS connection ${settings.name} has no endpoint`);
    }
    try {
      const connector = deps.connector ?? ((of: KmsEndpoint) => tlsConnector(of, settings.tls, deps.clock));
      this.#group = new EndpointGroup(
        settings.endpoints.map((endpoint) => new KmipEndpoint(endpoint, settings, connector(endpoint), deps)),
        deps.clock,
      );
    } catch (error) {
      throw new KmsError('Refused', `KMS connection ${settings.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  get endpoints(): readonly EndpointStatus[] {
    return this.#group.endpoints.map(({ status }) => status);
  }

  /** Finds out which endpoints answer; resolves when one does, or all have been tried. Never rejects. */
  async probe(): Promise<void> {
    const probes = this.#group.endpoints.map(async (endpoint) => {
      await endpoint.probe();
      if (endpoint.status.state !== 'Up') throw new Error('it does not answer');
    });
    // The endpoints tell their observer why; here it only matters whether to wait any longer.
    await Promise.any(probes).catch(() => undefined);
  }

  /**
   * Reads State and the key's bytes in one message. Rejects with KmsError: InvalidState when State forbids any use,
   * NotFound when it is destroyed or missing on two endpoints, and so on. Servers hand out keys in the wrong state, so
   * State decides, not Get.
   */
  async fetchKey(kmsId: string): Promise<FetchedKey> {
    return await this.#run('read', async (deadlineMs) => {
      return (await this.#group.any(this.#fetchFrom(kmsId), deadlineMs)).value;
    });
  }

  /** KMIP Create; see KeyProvider.createKey. Sent once: Create is not idempotent. */
  async createKey(kmsName: string): Promise<string> {
    if (!KEY_NAME.test(kmsName))
      throw new KmsError('Refused', 'a key name is 1-128 characters of A-Z a-z 0-9 . _ -');
    const item = operations.create(kmsName, this.settings.objectGroup ? this.settings.keyNamePrefix : null);
    return await this.#run('change', async (deadlineMs) => {
      const made = await this.#group.one(
        async (endpoint, attempt) =>
          await endpoint.request([item], ([result]) => operations.readIdentifier(payloadOf(result)), attempt),
        deadlineMs,
      );
      return this.#remember(made);
    });
  }

  /** KMIP Locate; see KeyProvider.locateKey. "None" is what all endpoints must say, since Create is not idempotent. */
  async locateKey(kmsName: string, reservedMs: number): Promise<LocatedKey | null> {
    return await this.#run('read', async (deadlineMs) => {
      const found = await this.#group.search(
        async (endpoint, attempt) =>
          await endpoint.request(
            [operations.locate(kmsName)],
            ([result]) => operations.readIdentifiers(payloadOf(result)),
            attempt,
          ),
        (kmsIds) => kmsIds.length > 0,
        deadlineMs,
      );
      const [kmsId, ...more] = found?.value ?? [];
      if (found === null || kmsId === undefined) return null;
      if (more.length > 0) throw new KmsError('Conflict', `the KMS has several keys named ${kmsName}`);
      const wanted = operations.getAttributes(kmsId, OUR_ATTRIBUTES);
      const { value: wrong } = await this.#group.any(
        async (endpoint, attempt) =>
          await endpoint.request(
            [wanted],
            ([result]) => notOurs(operations.readAttributes(payloadOf(result)), reservedMs),
            attempt,
          ),
        deadlineMs,
        found.endpoint,
      );
      if (wrong !== null) throw new KmsError('Conflict', `the key named ${kmsName} is not ours: ${wrong}`);
      return { kmsId: this.#remember({ endpoint: found.endpoint, value: kmsId }) };
    });
  }

  /**
   * Makes a Pre-Active key Active and fetches it, and waits until every endpoint that is up gives it too; Unavailable
   * when one does not in time.
   */
  async activateKey(kmsId: string): Promise<FetchedKey> {
    return await this.#run('change', async (deadlineMs) => {
      const item = operations.activate(kmsId);
      const endpoint = await this.#step(kmsId, item, (state) => state !== STATE.preActive, deadlineMs);
      const fetched = await this.#group.any(this.#fetchFrom(kmsId), deadlineMs, endpoint);
      if (fetched.value.writable) {
        const others = this.#group.others(fetched.endpoint);
        await waitForReplication(others, this.#fetchFrom(kmsId), fetched.value, {
          clock: this.#clock,
          deadlineMs,
        });
      }
      this.#homes.delete(kmsId);
      return fetched.value;
    });
  }

  /** See KeyProvider.revokeKey. */
  async revokeKey(kmsId: string): Promise<void> {
    await this.#run('change', async (deadlineMs) => {
      await this.#step(kmsId, operations.revoke(kmsId), (state) => state !== STATE.active, deadlineMs);
    });
  }

  /** See KeyProvider.destroyKey. */
  async destroyKey(kmsId: string): Promise<void> {
    const done = (state: number): boolean => {
      if (state === STATE.active) {
        throw new KmsError('InvalidState', `key ${kmsId} is Active; it can be destroyed once it is revoked`);
      }
      return isGone(state);
    };
    await this.#run('change', async (deadlineMs) => {
      await this.#step(kmsId, operations.destroy(kmsId), done, deadlineMs);
    });
  }

  /** What is under way finishes, with all its requests; then the connections are closed. */
  close(): void {
    this.#closing = true;
    if (this.#underWay > 0) return;
    for (const endpoint of this.#group.endpoints) endpoint.close();
  }

  /** Ends everything now. */
  destroy(): void {
    for (const endpoint of this.#group.endpoints) endpoint.destroy();
  }

  /**
   * One step of a key's life, on the endpoint that knows the key. `done` judges its state before, and again after a
   * failure: the answer may be lost, or another process was faster. Only a step that may pass and is not done then is
   * sent again, once.
   */
  async #step(
    kmsId: string,
    item: RequestItem,
    done: (state: number) => boolean,
    deadlineMs: number,
  ): Promise<KmipEndpoint> {
    const send = async (endpoint: KmipEndpoint): Promise<KmipEndpoint> => {
      await endpoint.request([item], ([result]) => payloadOf(result).length, { deadlineMs, fresh: false });
      return endpoint;
    };
    const before = await this.#state(kmsId, deadlineMs, this.#homes.get(kmsId));
    if (done(before.value)) return before.endpoint;
    try {
      return await send(before.endpoint);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      const after = await this.#state(kmsId, deadlineMs, before.endpoint).catch(() => {
        // Whether it was carried out stays open.
        throw error;
      });
      if (done(after.value)) return after.endpoint;
      if (!judge(error).retryable) throw error;
      return await send(after.endpoint);
    }
  }

  /** The key's State; a key that the KMS does not know counts as Destroyed, since Destroy may leave nothing behind. */
  async #state(kmsId: string, deadlineMs: number, first?: KmipEndpoint): Promise<Answer<number>> {
    const item = operations.getAttributes(kmsId, ['State']);
    let asked: KmipEndpoint | undefined;
    try {
      return await this.#group.any(
        async (endpoint, attempt) => {
          asked = endpoint;
          return await endpoint.request([item], ([result]) => readState(result), attempt);
        },
        deadlineMs,
        first,
      );
    } catch (error) {
      if (!(error instanceof KmipError) || judge(error).code !== 'NotFound' || asked === undefined)
        throw error;
      return { endpoint: asked, value: STATE.destroyed };
    }
  }

  #fetchFrom(kmsId: string): Ask<FetchedKey> {
    return fetchFrom(kmsId, this.settings.separateMessages ?? false);
  }

  /** Notes where a key is sure to be; gives the key's identifier. */
  #remember({ endpoint, value: kmsId }: Answer<string>): string {
    this.#homes.set(kmsId, endpoint);
    const [oldest] = this.#homes.keys();
    if (this.#homes.size > HOMES_LIMIT && oldest !== undefined) this.#homes.delete(oldest);
    return kmsId;
  }

  /** Runs one operation inside the total limit and tells its failure as KmsError. */
  async #run<T>(kind: 'read' | 'change', work: (deadlineMs: number) => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work(this.#clock.now() + this.settings.timeouts.totalMs);
    } catch (error) {
      if (!(error instanceof KmipError)) throw error;
      const { code, retryable } = judge(error);
      // A refusal is an answer; anything else leaves open whether a change was carried out.
      const maybeDone = kind === 'change' && error.sent && retryable;
      throw new KmsError(code, `KMS connection ${this.settings.name}: ${error.message}`, {
        cause: error,
        maybeDone,
      });
    } finally {
      this.#underWay -= 1;
      if (this.#closing) this.close();
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown error');
