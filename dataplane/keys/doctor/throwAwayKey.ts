/**
 * One throw-away key through its whole life, as the gateway treats a bucket's key, and out of the KMS again whatever
 * happens. Create is sent once (and once more without Object Group, only after the KMS has refused it in so many words).
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { payloadOf } from '../kmip/endpoint.ts';
import * as operations from '../kmip/operations.ts';
import { AES, ENCRYPT_DECRYPT } from '../kmip/tags.ts';
import type { KmsConnectionSettings } from '../settings.ts';
import { askKey } from './keyQuestion.ts';
import { stateIn, verdictOn } from './keyState.ts';
import { type Removal, removeKey } from './removal.ts';
import { type Replication, watchReplication } from './replication.ts';
import { type DoctorSession, StepFailed } from './session.ts';

/** Get is measured this often: enough for a median, and nothing to a KMS. */
const GETS = 5;

/** What was learned about the key that every gateway key depends on; steps hold what failed. */
export interface KeyTrial {
  readonly name: string;
  readonly kmsId: string | null;
  readonly removal: Removal;
  /** Create was refused with the Object Group attribute and accepted without it. */
  readonly objectGroupRefused: boolean;
  /** How many keys Locate found under the key's own name; null when it was not answered. */
  readonly located: number | null;
  /** Attributes that Sealgate asked for and the KMS does not tell, or tells otherwise; empty also when it was not asked. */
  readonly wrongAttributes: readonly string[];
  /** State after Create and after Activate, where the KMS told it. */
  readonly createdState: number | null;
  readonly activeState: number | null;
  /** Whether Get alone works where State and Get in one message do not; null when they do. */
  readonly getAloneWorks: boolean | null;
  /** Whether the user may Encrypt with a key that it may not Get; null when Get worked in some way. */
  readonly encryptWorks: boolean | null;
  /** Whether the key can be had after Revoke; null when it was not tried. */
  readonly readableWhenDeactivated: boolean | null;
  /** One for every other endpoint that answers. */
  readonly replication: readonly Replication[];
  readonly interrupted: boolean;
}

export interface TrialDeps {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Hexadecimal, unique for every run. */
  readonly random?: () => string;
}

type Learned = { -readonly [name in keyof KeyTrial]: KeyTrial[name] };

/** Runs the trial on the first session; the others are asked for the key. Never rejects but for faults of our own. */
export async function tryKey(
  sessions: readonly [DoctorSession, ...DoctorSession[]],
  settings: Pick<KmsConnectionSettings, 'keyNamePrefix' | 'objectGroup' | 'separateMessages'>,
  { clock, signal, random = () => randomBytes(8).toString('hex') }: TrialDeps,
): Promise<KeyTrial> {
  const learned: Learned = {
    name: `${settings.keyNamePrefix}-doctor-${random()}`,
    kmsId: null,
    removal: 'NotCreated',
    objectGroupRefused: false,
    located: null,
    wrongAttributes: [],
    createdState: null,
    activeState: null,
    getAloneWorks: null,
    encryptWorks: null,
    readableWhenDeactivated: null,
    replication: [],
    interrupted: false,
  };
  try {
    await lead(sessions, settings, learned, { clock, signal });
  } catch (error) {
    if (signal.aborted) learned.interrupted = true;
    else if (!(error instanceof StepFailed)) throw error;
  } finally {
    if (learned.removal !== 'NotCreated') learned.removal = await removeKey(sessions, learned, clock);
  }
  return learned;
}

/** The life itself; what fails for good ends it with StepFailed. */
async function lead(
  sessions: readonly [DoctorSession, ...DoctorSession[]],
  settings: Pick<KmsConnectionSettings, 'keyNamePrefix' | 'objectGroup' | 'separateMessages'>,
  learned: Learned,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const [session, ...others] = sessions;
  signal.throwIfAborted();
  const kmsId = await create(session, settings, learned);
  learned.kmsId = kmsId;
  signal.throwIfAborted();
  const created = await attempt(() => readAttributes(session, kmsId));
  if (created !== null) {
    learned.createdState = created.state;
    learned.wrongAttributes = created.wrong;
  }
  signal.throwIfAborted();
  learned.located = await attempt(() =>
    session.ask('Locate', [operations.locate(learned.name)], ([result]) => {
      const found = operations.readIdentifiers(payloadOf(result));
      return found.length === 1 && found[0] !== kmsId ? 0 : found.length;
    }),
  );
  signal.throwIfAborted();
  await session.ask('Activate', [operations.activate(kmsId)], ([result]) => payloadOf(result).length);
  const activeMs = clock.now();
  signal.throwIfAborted();
  const separate = settings.separateMessages ?? false;
  const got = await attempt(() => askKey(session, kmsId, { step: 'Get', separate }));
  if (got === null) {
    learned.getAloneWorks = await getsAlone(session, kmsId);
    if (!learned.getAloneWorks) learned.encryptWorks = await encrypts(session, kmsId);
    return;
  }
  const { key } = got;
  learned.activeState = got.state;
  learned.replication = await watchReplication(others, { kmsId, key, activeMs, separate }, { clock, signal });
  for (let more = 1; more < GETS; more += 1) {
    signal.throwIfAborted();
    await askKey(session, kmsId, { step: 'Get', separate });
  }
  signal.throwIfAborted();
  await session.ask('Revoke', [operations.revoke(kmsId)], ([result]) => payloadOf(result).length);
  const deactivated = await attempt(() => askKey(session, kmsId, { step: 'GetDeactivated', separate }));
  learned.readableWhenDeactivated = deactivated?.key.equals(key) ?? false;
  await session.ask('Destroy', [operations.destroy(kmsId)], ([result]) => payloadOf(result).length);
}

async function create(
  session: DoctorSession,
  { objectGroup, keyNamePrefix }: Pick<KmsConnectionSettings, 'keyNamePrefix' | 'objectGroup'>,
  learned: Learned,
): Promise<string> {
  const send = async (group: string | null): Promise<string> => {
    // Whether a lost answer left a key behind is found out at the end.
    learned.removal = 'Unknown';
    try {
      return await session.ask('Create', [operations.create(learned.name, group)], ([result]) =>
        operations.readIdentifier(payloadOf(result)),
      );
    } catch (error) {
      const refused = error instanceof StepFailed && (error.failure.kind === 'Result' || !error.failure.sent);
      if (refused) learned.removal = 'NotCreated';
      throw error;
    }
  };
  try {
    return await send(objectGroup ? keyNamePrefix : null);
  } catch (error) {
    if (!(error instanceof StepFailed) || error.failure.kind !== 'Result') throw error;
    if (!objectGroup || verdictOn(error.failure).code !== 'Refused') throw error;
  }
  const kmsId = await send(null);
  learned.objectGroupRefused = true;
  return kmsId;
}

async function getsAlone(session: DoctorSession, kmsId: string): Promise<boolean> {
  const key = await attempt(() =>
    session.ask('Get', [operations.get(kmsId)], ([result]) => operations.readKey(payloadOf(result), kmsId), {
      quiet: true,
    }),
  );
  return key !== null;
}

async function encrypts(session: DoctorSession, kmsId: string): Promise<boolean> {
  const { version } = session;
  if (version === null || version.minor < 2) return false;
  const done = await attempt(() =>
    session.ask('Encrypt', [operations.encryptBlock(kmsId, version)], ([result]) => payloadOf(result).length),
  );
  return done !== null;
}

/** What an interrupted bucket creation is recognised by. */
async function readAttributes(
  session: DoctorSession,
  kmsId: string,
): Promise<{ readonly state: number; readonly wrong: string[] }> {
  const expected: Readonly<Record<string, number | null>> = {
    'Cryptographic Algorithm': AES,
    'Cryptographic Length': 256,
    'Cryptographic Usage Mask': ENCRYPT_DECRYPT,
    'Initial Date': null,
  };
  const names = Object.keys(expected);
  return await session.ask(
    'GetAttributes',
    [operations.getAttributes(kmsId, ['State', ...names])],
    ([result]) => {
      const told = operations.readAttributes(payloadOf(result));
      const wrong = names.filter((name) => {
        const value = told.get(name)?.value;
        return value === undefined || (expected[name] !== null && value !== expected[name]);
      });
      return { state: stateIn(result), wrong };
    },
  );
}

/** Null when the KMS refused the question; a lost connection is passed on. */
async function attempt<T>(question: () => Promise<T>): Promise<T | null> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof StepFailed && error.failure.kind === 'Result') return null;
    throw error;
  }
}
