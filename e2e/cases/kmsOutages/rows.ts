/**
 * The outage table of the KMS design, one row per cause: what the KMS does, and what S3 clients must see of it for a key
 * that is not in memory (cold) and for one that is, inside the stale limit (warm).
 */
import type { CertificateFiles } from '../../harness/certificates.ts';
import { REASON, STATES } from '../../harness/scriptedKms/numbers.ts';
import type { RequestBehaviour } from '../../harness/scriptedKms/script.ts';
import type { ScriptedKms } from '../../harness/scriptedKms/scriptedKms.ts';
import { HOSTILE } from './hostile.ts';

/** The short form has every line of the table, and a few causes of each. */
const SOAK = process.env['SEALGATE_SOAK'] === '1';

/** Status and code of an answer, '200' when it was served. */
export type Seen =
  | '200'
  | '503 ServiceUnavailable'
  | '403 KMS.AccessDenied'
  | '400 KMS.NotFound'
  | '400 KMS.InvalidState'
  | '500 InternalError';

/** What GET and PUT of a bucket come to. */
export interface Answers {
  readonly get: Seen;
  readonly put: Seen;
}

export interface Row {
  readonly cause: string;
  readonly cold: Answers;
  readonly warm: Answers;
  /** Whether an outage right after it is tried as well, in the short form: one row of each kind. */
  readonly thenOutage?: boolean;
  /** Whether the alarm of a wrong key must sound. */
  readonly alarm?: boolean;
  /** Starts it; the returned function ends it. `kmsIds` are the keys of both buckets. */
  begin(kms: ScriptedKms, kmsIds: readonly string[], certificates: OddCertificates): Promise<() => unknown>;
}

/** Server certificates that a client must not accept. */
export interface OddCertificates {
  readonly expired: CertificateFiles;
  readonly elsewhere: CertificateFiles;
  readonly foreign: CertificateFiles;
}

const both = (seen: Seen): Answers => ({ get: seen, put: seen });
const SERVED = both('200');
const OUTAGE = { cold: both('503 ServiceUnavailable'), warm: SERVED };
const REFUSAL = (seen: Seen) => ({ cold: both(seen), warm: both(seen) });
const READ_ONLY = { get: '200', put: '400 KMS.InvalidState' } as const;

/** What reads a key: the answers that decide about an S3 request. */
const FETCH = ['GetAttributes', 'Get'] as const;

const behaves =
  (on: typeof FETCH | 'any' | 'Get', behaviour: RequestBehaviour, times?: number): Row['begin'] =>
  async (kms) => {
    const limit = times === undefined ? {} : { times };
    return await Promise.resolve(kms.script({ on, ...limit, do: behaviour }));
  };

/** A rule for connections, which the open ones are made to meet. */
const connects =
  (
    behaviour: (odd: OddCertificates) => Parameters<ScriptedKms['script']>[0] & { on: 'connect' },
  ): Row['begin'] =>
  async (kms, _kmsIds, odd) => {
    const end = kms.script(behaviour(odd));
    kms.cut();
    return await Promise.resolve(end);
  };

const state =
  (next: number | 'gone'): Row['begin'] =>
  async (kms, kmsIds) => {
    for (const kmsId of kmsIds) kms.store.setState(kmsId, next);
    return await Promise.resolve(() => {
      for (const kmsId of kmsIds) kms.store.setState(kmsId, STATES.active);
    });
  };

const certificate = (kind: keyof OddCertificates): Row['begin'] =>
  connects((odd) => ({ on: 'connect', do: { kind: 'certificate', files: odd[kind] } }));

/** Ways for a server to be of no use. */
export const AWAY: readonly (readonly [string, Row['begin']])[] = [
  [
    'nobody listens on its port',
    async (kms) => {
      await kms.pause();
      return async () => await kms.resume();
    },
  ],
  ['it closes every connection', connects(() => ({ on: 'connect', do: { kind: 'refuse' } }))],
  ['it accepts and says nothing', connects(() => ({ on: 'connect', do: { kind: 'hang' } }))],
  ['it accepts too slowly', connects(() => ({ on: 'connect', do: { kind: 'slowAccept', ms: 60_000 } }))],
  ['its certificate has expired', certificate('expired')],
  ['its certificate is for another name', certificate('elsewhere')],
  ['its certificate is of another authority', certificate('foreign')],
  ['it takes requests and does not answer', behaves('any', { kind: 'hang' })],
  ['it answers too late', behaves('any', { kind: 'delay', ms: 60_000 })],
  ['it ends the connection at each request', behaves('any', { kind: 'cutBeforeRequest' })],
  ['it resets the connection at each request', behaves('any', { kind: 'cutBeforeRequest', reset: true })],
  ...(SOAK ? [0, 1, 7, 8, 9, 64, 200] : [0, 9, 200]).map(
    (bytes) =>
      [
        `it ends the connection after ${bytes} bytes of the answer`,
        behaves(FETCH, { kind: 'cutAfter', bytes }),
      ] as const,
  ),
  [
    'it resets the connection inside the answer',
    behaves(FETCH, { kind: 'cutAfter', bytes: 100, reset: true }),
  ],
  ['it answers twice', behaves(FETCH, { kind: 'merge' })],
  ['it gives half a key', behaves('Get', { kind: 'shortKey', bytes: 16 })],
  ['it gives an empty key', behaves('Get', { kind: 'shortKey', bytes: 0 })],
  ...(['internalServerError', 'serverLimitExceeded', 'generalFailure'] as const).map(
    (name) => [`it fails with ${name}`, behaves(FETCH, { kind: 'reason', code: REASON[name] })] as const,
  ),
  ...HOSTILE.filter((_, i) => SOAK || i % 3 === 0).map(
    ([what, answer]) => [`it answers with ${what}`, behaves(FETCH, { kind: 'bytes', answer })] as const,
  ),
];

/** What a server says that learns of its cluster's changes late. */
export const LAGGING: readonly (readonly [string, Row['begin']])[] = [
  ['it does not know the key yet', behaves(FETCH, { kind: 'missing' })],
  ['it takes the key for Pre-Active still', behaves(FETCH, { kind: 'state', state: STATES.preActive })],
];

const refusals = (seen: Seen, reasons: readonly number[], on: typeof FETCH | 'Get' = FETCH): Row[] =>
  (SOAK ? reasons : reasons.slice(0, 2)).map((code, i) => ({
    cause: `it fails with reason 0x${code.toString(16)}${on === 'Get' ? ' from Get only' : ''}`,
    ...REFUSAL(seen),
    thenOutage: i === 0,
    begin: behaves(on, { kind: 'reason', code }),
  }));

/** All rows. */
export const ROWS: readonly Row[] = [
  ...AWAY.map(([cause, begin]) => ({ cause, ...OUTAGE, begin })),
  ...refusals('403 KMS.AccessDenied', [0x03, 0x0c, 0x39, 0x14, 0x15]),
  ...refusals('403 KMS.AccessDenied', [0x0c], 'Get'),
  ...refusals('400 KMS.NotFound', [0x01, 0x36, 0x37]),
  ...refusals('400 KMS.InvalidState', [0x0b, 0x0d, 0x43], 'Get'),
  // Not exportable: a mistake in the KMS's configuration that no client can do anything about.
  ...refusals('500 InternalError', [0x10, 0x13, 0x16, 0x17], 'Get'),
  // Everything that is not in the table of reasons is lasting.
  ...refusals('500 InternalError', [0x07, 0x11, 0x7fff_ffff]),
  {
    cause: 'it fails without a reason',
    ...REFUSAL('500 InternalError'),
    begin: behaves(FETCH, { kind: 'reason', code: null }),
  },
  { cause: 'its key is not known', ...REFUSAL('400 KMS.NotFound'), begin: state('gone') },
  { cause: 'its key is Destroyed', ...REFUSAL('400 KMS.NotFound'), begin: state(STATES.destroyed) },
  {
    cause: 'its key is Destroyed Compromised',
    ...REFUSAL('400 KMS.NotFound'),
    begin: state(STATES.destroyedCompromised),
  },
  { cause: 'its key is Pre-Active', ...REFUSAL('400 KMS.InvalidState'), begin: state(STATES.preActive) },
  { cause: 'its key is in an unknown state', ...REFUSAL('400 KMS.InvalidState'), begin: state(99) },
  { cause: 'its key is Deactivated', cold: READ_ONLY, warm: READ_ONLY, begin: state(STATES.deactivated) },
  { cause: 'its key is Compromised', cold: READ_ONLY, warm: READ_ONLY, begin: state(STATES.compromised) },
  {
    cause: 'its key is Deactivated and not given out',
    ...REFUSAL('400 KMS.InvalidState'),
    begin: async (kms, kmsIds, odd) => {
      kms.quirks.getInactiveKey = REASON.permissionDenied;
      return await state(STATES.deactivated)(kms, kmsIds, odd);
    },
  },
  {
    cause: 'it gives other key bytes',
    ...REFUSAL('500 InternalError'),
    alarm: true,
    thenOutage: true,
    begin: behaves('Get', { kind: 'wrongKey' }),
  },
  // Not outages: nobody may notice.
  ...(
    [
      ['it answers in single bytes', behaves('any', { kind: 'split', sizes: [1] })],
      ['it answers in odd pieces', behaves('any', { kind: 'split', sizes: [7, 9, 64] })],
      ['it takes its time', behaves('any', { kind: 'delay', ms: 100 })],
      ['it ends one connection inside an answer', behaves(FETCH, { kind: 'cutAfter', bytes: 50 }, 1)],
      [
        'it gives one answer that makes no sense',
        behaves(FETCH, { kind: 'bytes', answer: Buffer.alloc(8) }, 1),
      ],
      ['it fails once', behaves('Get', { kind: 'reason', code: REASON.generalFailure }, 1)],
      [
        'it ends all idle connections',
        async (kms: ScriptedKms) => {
          kms.cut();
          return await Promise.resolve(() => undefined);
        },
      ],
    ] as const
  ).map(([cause, begin]) => ({ cause, cold: SERVED, warm: SERVED, begin })),
];
