/**
 * The encryption header rules: one decision table, pure, asked by every operation before it touches anything.
 *
 * Owns which requests are allowed given their encryption headers and the state of what they touch
 * (docs/header-rules.md, "Decision table"). It must not know HTTP, buckets, keys or how an error is sent.
 * One promise: no request that asks for an encryption that is not performed is ever allowed.
 */

/** Message of every refusal by these rules; code InvalidArgument, status 400. */
export const REFUSAL_MESSAGE = 'The encryption method specified is not supported';

/** Where a name was carried. It counts the same wherever that is. */
export type Carrier = 'header' | 'query' | 'form' | 'trailer';

export interface CarriedHeader {
  /** Lower-case. */
  readonly name: string;
  /** null: a trailer that is announced and not here yet. */
  readonly value: string | null;
  readonly carrier: Carrier;
}

/** The encryption headers of one request, in order of arrival, and nothing else. */
export interface EncryptionHeaders {
  readonly entries: readonly CarriedHeader[];
}

/**
 * What is asked and the state of what it touches. `encrypted` is: Write, the bucket that will hold the result, or
 * for parts the upload; FinishUpload, the upload; Read, the object (null: not looked up yet); Other, the bucket
 * (false when there is none).
 */
export type RuleSubject =
  | { readonly operation: 'CreateBucket' }
  | { readonly operation: 'Write' | 'FinishUpload' | 'Other'; readonly encrypted: boolean }
  | { readonly operation: 'Read'; readonly encrypted: boolean | null };

export type Verdict =
  | {
      readonly allowed: true;
      /** CreateBucket: whether encryption was asked for; else the subject's own state (unknown: false). */
      readonly encrypted: boolean;
    }
  | {
      readonly allowed: false;
      /** The first offending name in order of arrival. */
      readonly argumentName: string;
      /** Its value; absent for group C, which holds key material, and for a trailer that has not arrived. */
      readonly argumentValue?: string;
    };

type Group = 'S' | 'K' | 'C';

const GROUPS: ReadonlyMap<string, Group> = new Map<string, Group>([
  ['x-amz-server-side-encryption', 'S'],
  ['x-amz-scal-server-side-encryption', 'S'],
  ['x-amz-server-side-encryption-aws-kms-key-id', 'K'],
  ['x-amz-scal-server-side-encryption-aws-kms-key-id', 'K'],
  ['x-amz-server-side-encryption-context', 'K'],
  ['x-amz-server-side-encryption-bucket-key-enabled', 'K'],
  ['x-amz-server-side-encryption-customer-algorithm', 'C'],
  ['x-amz-server-side-encryption-customer-key', 'C'],
  ['x-amz-server-side-encryption-customer-key-md5', 'C'],
  ['x-amz-copy-source-server-side-encryption-customer-algorithm', 'C'],
  ['x-amz-copy-source-server-side-encryption-customer-key', 'C'],
  ['x-amz-copy-source-server-side-encryption-customer-key-md5', 'C'],
]);

/** Columns of the table: what one encryption header says. No header at all is the column `absent`. */
type Column = 'absent' | 'aes256' | 'otherMethod' | 'kmsOrCustomerKey';

/** refused: 400. plain, encrypted: what the result will be. served: the state of things is not changed. */
type Cell = 'refused' | 'plain' | 'encrypted' | 'served';

type Row =
  | 'CreateBucket'
  | 'Write, encrypted'
  | 'Write, plain'
  | 'FinishUpload, encrypted'
  | 'FinishUpload, plain'
  | 'Read, encrypted'
  | 'Read, plain'
  | 'Read, unknown'
  | 'Other, encrypted'
  | 'Other, plain';

/** The decision table of docs/header-rules.md; a test compares every cell of the page with it. */
// biome-ignore format: read beside the page
const TABLE: Readonly<Record<Row, Readonly<Record<Column, Cell>>>> = {
  'CreateBucket':            { absent: 'plain',     aes256: 'encrypted', otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Write, encrypted':        { absent: 'encrypted', aes256: 'encrypted', otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Write, plain':            { absent: 'plain',     aes256: 'refused',   otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'FinishUpload, encrypted': { absent: 'encrypted', aes256: 'encrypted', otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'FinishUpload, plain':     { absent: 'plain',     aes256: 'refused',   otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Read, encrypted':         { absent: 'served',    aes256: 'served',    otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Read, plain':             { absent: 'served',    aes256: 'refused',   otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Read, unknown':           { absent: 'served',    aes256: 'served',    otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Other, encrypted':        { absent: 'served',    aes256: 'served',    otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
  'Other, plain':            { absent: 'served',    aes256: 'refused',   otherMethod: 'refused', kmsOrCustomerKey: 'refused' },
};

/** Whether that name (any case) belongs to group S, K or C. */
export function isEncryptionHeader(name: string): boolean {
  return GROUPS.has(name.toLowerCase());
}

/** Keeps the encryption headers of everything that a request carries, names folded to lower case, order kept. */
export function collectEncryptionHeaders(carried: Iterable<CarriedHeader>): EncryptionHeaders {
  const entries: CarriedHeader[] = [];
  for (const entry of carried) {
    const name = entry.name.toLowerCase();
    if (GROUPS.has(name)) entries.push({ name, value: entry.value, carrier: entry.carrier });
  }
  return { entries };
}

/**
 * The encryption trailers that the values of `Trailer` and `x-amz-trailer` announce, each name once, to be passed
 * to collectEncryptionHeaders: they count before the body, as a value that could still be AES256.
 */
export function announcedTrailers(announcements: Iterable<string>): CarriedHeader[] {
  const names = new Set<string>();
  for (const list of announcements) {
    for (const name of list.split(',')) names.add(name.trim().toLowerCase());
  }
  return [...names].filter(isEncryptionHeader).map((name) => ({ name, value: null, carrier: 'trailer' }));
}

/**
 * The headers as they stand once the body has ended: what was announced is replaced by what arrived. An announced
 * trailer that never came counts as present with an empty value; one that was not announced counts too.
 */
export function withTrailers(
  before: EncryptionHeaders,
  trailers: Iterable<readonly [name: string, value: string]>,
): EncryptionHeaders {
  const carried: CarriedHeader[] = [];
  for (const [name, value] of trailers) carried.push({ name, value, carrier: 'trailer' });
  const arrived = collectEncryptionHeaders(carried).entries;
  const known = before.entries
    .filter((entry) => entry.value !== null || !arrived.some((trailer) => trailer.name === entry.name))
    .map((entry) => ({ ...entry, value: entry.value ?? '' }));
  return { entries: [...known, ...arrived] };
}

/**
 * Decides one request. A name that occurs more than once over all carriers, and a list, are not exactly `AES256`
 * and thereby refused; both S names with `AES256` are one wish. An announced trailer is taken for `AES256` here:
 * decide again with withTrailers() before anything is committed.
 */
export function decide(subject: RuleSubject, headers: EncryptionHeaders): Verdict {
  const row = TABLE[rowOf(subject)];
  let cell = row.absent;
  for (const entry of headers.entries) {
    cell = row[columnOf(entry, headers)];
    if (cell !== 'refused') continue;
    const argumentName = entry.name;
    if (GROUPS.get(entry.name) === 'C' || entry.value === null) return { allowed: false, argumentName };
    return { allowed: false, argumentName, argumentValue: entry.value };
  }
  if (cell === 'served')
    return { allowed: true, encrypted: 'encrypted' in subject && subject.encrypted === true };
  return { allowed: true, encrypted: cell === 'encrypted' };
}

function rowOf(subject: RuleSubject): Row {
  if (subject.operation === 'CreateBucket') return 'CreateBucket';
  if (subject.operation === 'Read' && subject.encrypted === null) return 'Read, unknown';
  return `${subject.operation}, ${subject.encrypted === true ? 'encrypted' : 'plain'}`;
}

function columnOf(entry: CarriedHeader, headers: EncryptionHeaders): Column {
  if (GROUPS.get(entry.name) !== 'S') return 'kmsOrCustomerKey';
  const repeated = headers.entries.some((other) => other !== entry && other.name === entry.name);
  if (repeated) return 'otherMethod';
  return entry.value === 'AES256' || entry.value === null ? 'aes256' : 'otherMethod';
}
