/**
 * Brings the access entries of one bucket to what is declared: a Secret each, with a key that works.
 *
 * Owns the order of the steps, so that a crash between any two leaves neither a key that somebody could use and nobody
 * knows of, nor an application with a key that does not work: a key is made before its Secret, taken back before its
 * Secret goes, and every key of the owner that no Secret names is revoked at the next look.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AccessEntry, EncryptedBucket } from '../../../crds/encryptedbucket.ts';
import type { AccessKey } from '../../../dataplane/admin/schema/accessKeys.ts';
import type { AdminApi } from '../../admin/adminApi.ts';
import { SECRET } from '../../kube/kinds.ts';
import { isRefusedWrite } from '../../kube/kubeApi.ts';
import { keyOf, keyText } from '../../kube/paths.ts';
import type { KubeObject } from '../../kube/resource.ts';
import { bucketNameOf, ownerOf } from '../declaration.ts';
import {
  type EndpointFacts,
  endpointContent,
  isMarkedFor,
  marksOf,
  ownerSelector,
  standingOf,
} from './accessSecret.ts';
import { grantsOf, sameGrants } from './credentials.ts';
import {
  type AccessDeps,
  type EntryContext,
  type EntryProblem,
  type EntryState,
  noKeys,
  notWritable,
} from './entry.ts';
import { EntryKeys } from './entryKeys.ts';
import { giveBack, importEntry } from './importedSecret.ts';
import { ownEntry } from './ownSecret.ts';

export interface AccessOutcome {
  /** How many entries are declared. */
  readonly entries: number;
  /** Of the first entry that is not in order. */
  readonly problem: EntryProblem | null;
  /** Names of entries whose key was replaced on request just now. */
  readonly rotated: readonly string[];
  /** When a replaced key ends, in ms from now; null: none is to end. */
  readonly nextEndMs: number | null;
}

const ROTATE_ACCESS = 'rotate-access.sealgate.io/';

interface Verified {
  readonly version: string;
  readonly content: Readonly<Record<string, string>>;
  readonly state: EntryState;
}

export class AccessEntries {
  #deps: AccessDeps;
  /** What was found in order, by Secret: while its version stands, it need not be read again. No credential is kept. */
  #verified = new Map<string, Verified>();

  constructor(deps: AccessDeps) {
    this.#deps = deps;
  }

  /** For a bucket that is there and ours. Rejects with KubeError or AdminApiError, and may be repeated after any. */
  async reconcile(
    admin: AdminApi,
    bucket: EncryptedBucket,
    endpoint: EndpointFacts | null,
    signal: AbortSignal,
  ): Promise<AccessOutcome> {
    const owner = ownerOf(bucket);
    const entries = bucket.spec.access ?? [];
    if (endpoint === null && entries.length > 0) {
      const message = 'The address of the data plane is not known yet';
      return {
        entries: entries.length,
        problem: { reason: 'EndpointUnknown', message },
        rotated: [],
        nextEndMs: null,
      };
    }
    const keys = new EntryKeys(admin, owner, await admin.accessKeys(owner, signal), signal);
    const states: EntryState[] = [];
    for (const entry of entries) {
      if (endpoint === null) continue;
      states.push(await this.#entry(keys, bucket, entry, endpoint, signal));
    }
    const nowMs = this.#deps.clock.wallMs();
    await keys.revokeAllBut(liveIds(states, nowMs));
    const left = await this.#cleanUp(owner, bucket, signal);
    const ends = states.flatMap(({ previous }) =>
      previous.map(({ expiresAtMs }) => expiresAtMs - nowMs).filter((ms) => ms > 0),
    );
    return {
      entries: entries.length,
      problem: states.find(({ problem }) => problem !== null)?.problem ?? left,
      rotated: states.flatMap(({ entry, rotated }) => (rotated ? [entry] : [])),
      nextEndMs: ends.length === 0 ? null : Math.min(...ends),
    };
  }

  /** Takes back every key of the owner; the Secrets stay. For a bucket that is no longer the owner's. */
  async revokeAll(admin: AdminApi, owner: string, signal: AbortSignal): Promise<void> {
    const keys = new EntryKeys(admin, owner, await admin.accessKeys(owner, signal), signal);
    await keys.revokeAllBut(new Set());
    for (const secret of this.#deps.secrets.byIndex('owner', owner)) {
      this.#verified.delete(keyText(keyOf(secret)));
    }
  }

  /** Deletes the Secrets of the owner, and gives imported ones back. Asks the API server, since a cache can be behind. */
  async removeSecrets(owner: string, namespace: string, signal: AbortSignal): Promise<void> {
    const marked = await this.#deps.kube.list(
      SECRET,
      { namespace, labelSelector: ownerSelector(owner) },
      signal,
    );
    for (const secret of marked) if (isMarkedFor(secret, owner)) await this.#remove(secret, owner, signal);
  }

  async #entry(
    keys: EntryKeys,
    bucket: EncryptedBucket,
    entry: AccessEntry,
    endpoint: EndpointFacts,
    signal: AbortSignal,
  ): Promise<EntryState> {
    const { kube } = this.#deps;
    const { namespace } = bucket.metadata;
    const secretKey = { namespace, name: entry.secretName };
    const context: EntryContext = {
      deps: this.#deps,
      keys,
      bucket,
      owner: ownerOf(bucket),
      entry,
      secretKey,
      content: endpointContent(bucketNameOf(bucket), endpoint),
      asked: bucket.metadata.annotations?.[`${ROTATE_ACCESS}${entry.name}`] ?? '',
      signal,
    };
    const verified = this.#stillInOrder(context);
    if (verified !== null) return verified;
    this.#verified.delete(keyText(secretKey));
    const secret = await kube.get(SECRET, secretKey, signal);
    const { state, written } = await this.#bring(context, secret);
    const version = (written ?? secret)?.metadata.resourceVersion;
    if (state.problem === null && version !== undefined) {
      this.#verified.set(keyText(secretKey), { version, content: context.content, state });
    }
    return state;
  }

  async #bring(
    context: EntryContext,
    secret: KubeObject | null,
  ): Promise<{ readonly state: EntryState; readonly written: KubeObject | null }> {
    if (secret === null) return await ownEntry(context, null);
    const standing = standingOf(secret, context.owner, this.#deps.fleetName);
    if (standing === 'Ours') return await ownEntry(context, secret);
    if (standing === 'Imported') return await importEntry(context, secret);
    const message = `Secret ${context.entry.secretName} exists and is not this resource's; label it sealgate.io/import: "true" to use the credential in it, or delete it`;
    const problem = { reason: 'SecretNotOwned', message } as const;
    return { state: noKeys(context, problem), written: null };
  }

  /** The state as verified before, if neither the Secret nor the declaration nor the data plane has changed since. */
  #stillInOrder({ secretKey, content, entry, bucket, asked, keys }: EntryContext): EntryState | null {
    const verified = this.#verified.get(keyText(secretKey));
    const cached = this.#deps.secrets.get(secretKey);
    if (verified === undefined || cached?.metadata.resourceVersion !== verified.version) return null;
    const { state } = verified;
    const grants = grantsOf(bucketNameOf(bucket), entry);
    const current = state.keyId === null ? undefined : keys.get(state.keyId);
    const nowMs = this.#deps.clock.wallMs();
    const inOrder =
      isDeepStrictEqual(verified.content, content) &&
      state.entry === entry.name &&
      (asked === '' || state.imported || asked === marksOf(cached).rotated) &&
      isAs(current, grants, null) &&
      state.previous.every(
        ({ id, expiresAtMs }) =>
          expiresAtMs <= nowMs || keys.get(id) === undefined || isAs(keys.get(id), grants, expiresAtMs),
      );
    return inOrder ? { ...state, rotated: false } : null;
  }

  /**
   * Secrets of entries that are no longer declared, by the metadata cache. Their keys are already revoked. Why one is
   * left; null: none is.
   */
  async #cleanUp(
    owner: string,
    { spec, metadata }: EncryptedBucket,
    signal: AbortSignal,
  ): Promise<EntryProblem | null> {
    let left: EntryProblem | null = null;
    const wanted = new Set((spec.access ?? []).map(({ secretName }) => secretName));
    for (const cached of this.#deps.secrets.byIndex('owner', owner)) {
      const key = keyOf(cached);
      if (key.namespace !== metadata.namespace || wanted.has(key.name)) continue;
      const secret = await this.#deps.kube.get(SECRET, key, signal);
      if (secret === null || !isMarkedFor(secret, owner)) continue;
      try {
        await this.#remove(secret, owner, signal);
      } catch (error) {
        if (!isRefusedWrite(error)) throw error;
        left = notWritable(key.name, error);
      }
    }
    return left;
  }

  async #remove(secret: KubeObject, owner: string, signal: AbortSignal): Promise<void> {
    const { kube, fleetName } = this.#deps;
    this.#verified.delete(keyText(keyOf(secret)));
    const standing = standingOf(secret, owner, fleetName);
    if (standing !== 'Ours') {
      await giveBack(kube, secret, signal);
      return;
    }
    const { uid, resourceVersion } = secret.metadata;
    const only = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    await kube.delete(SECRET, keyOf(secret), only, { signal });
  }
}

function liveIds(states: readonly EntryState[], nowMs: number): ReadonlySet<string> {
  return new Set(
    states.flatMap(({ keyId, previous }) => [
      ...(keyId === null ? [] : [keyId]),
      ...previous.filter(({ expiresAtMs }) => expiresAtMs > nowMs).map(({ id }) => id),
    ]),
  );
}

/** Whether the data plane has that key as it should be. */
function isAs(
  key: AccessKey | undefined,
  grants: ReturnType<typeof grantsOf>,
  expiresAtMs: number | null,
): boolean {
  if (key === undefined) return false;
  const ends = key.expiresAt === null ? null : Date.parse(key.expiresAt);
  return ends === expiresAtMs && sameGrants(key.grants, grants);
}
