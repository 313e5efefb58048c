/**
 * What the scripted KMIP server does for each operation (KMIP 1.4, section 4), on keys of a store: pure of sockets.
 * Where the specification leaves a choice it does as PyKMIP does, unless a quirk says otherwise.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { type KeyStore, type StoredKey, stateSeenBy } from './keyStore.ts';
import { AES, GCM, OPERATIONS, type Operation, RAW, REASON, STATES, SYMMETRIC_KEY, T } from './numbers.ts';
import type { Chosen } from './script.ts';
import * as wire from './wire.ts';

/** A batch item that fails. */
export class Refused extends Error {
  override name = 'Refused';
  readonly reason: number | null;
  constructor(reason: number | null, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Ways in which vendors differ; all off by default. */
export interface Quirks {
  /** Get on a Deactivated or Compromised key fails with this reason. */
  getInactiveKey?: number;
  /** Destroy removes the key altogether instead of leaving its metadata in state Destroyed. */
  destroyRemoves?: boolean;
  /** A message of more batch items is refused as a whole. */
  batchLimit?: number;
  /** Somebody else's key: Item Not Found instead of Permission Denied. */
  hidesForeignKeys?: boolean;
}

/** What an operation may know of its server and its caller. */
export interface Context {
  readonly store: KeyStore;
  readonly server: symbol;
  readonly lagMs: number;
  /** Common name of the client certificate. */
  readonly user: string;
  readonly versions: readonly string[];
  readonly operations: readonly Operation[];
  readonly vendor: string;
  readonly quirks: Quirks;
  /** Unix ms of the server's own clock. */
  readonly nowMs: number;
}

/** The items of the response payload. Throws Refused, or WireError for a payload that lacks something. */
export function carryOut(
  operation: Operation,
  payload: wire.Item,
  context: Context,
  script: Chosen,
): Buffer[] {
  if (!context.operations.includes(operation))
    throw new Refused(REASON.operationNotSupported, `${operation} is not supported`);
  if (operation === 'DiscoverVersions') return discover(payload, context);
  if (operation === 'Query') return query(payload, context);
  if (operation === 'Create') return create(payload, context);
  if (operation === 'Locate') return script.get('missing') === undefined ? locate(payload, context) : [];
  const key = ownKey(payload.must(T.uniqueIdentifier).text, context, script);
  const id = wire.text(T.uniqueIdentifier, key.kmsId);
  switch (operation) {
    case 'Get':
      return get(key, payload, context, script);
    case 'GetAttributes':
      return [id, ...attributes(key, payload, context, script.get('state')?.state)];
    case 'Activate':
      change(key, context, [STATES.preActive], STATES.active, REASON.permissionDenied);
      return [id];
    case 'Revoke':
      revoke(key, payload, context);
      return [id];
    case 'Destroy':
      destroy(key, context);
      return [id];
    case 'Encrypt':
      return [id, ...encrypt(key, payload, context)];
  }
}

function stateOf(key: StoredKey, context: Context): number {
  const state = stateSeenBy(key, context.server, context.lagMs);
  if (state === 'gone') throw new Refused(REASON.itemNotFound, `Could not locate object: ${key.kmsId}`);
  return state;
}

function ownKey(kmsId: string, context: Context, script: Chosen): StoredKey {
  const key = context.store.keys.get(kmsId);
  const unknown = new Refused(REASON.itemNotFound, `Could not locate object: ${kmsId}`);
  if (key === undefined || script.get('missing') !== undefined) throw unknown;
  stateOf(key, context);
  if (key.owner !== null && key.owner !== context.user) {
    if (context.quirks.hidesForeignKeys === true) throw unknown;
    throw new Refused(REASON.permissionDenied, `Could not locate object: ${kmsId}`);
  }
  return key;
}

/** All versions of the server, or those of them that the request names. */
function discover(payload: wire.Item, { versions }: Context): Buffer[] {
  const offered = payload
    .all(T.protocolVersion)
    .map((one) => `${one.must(T.protocolVersionMajor).integer}.${one.must(T.protocolVersionMinor).integer}`);
  const common = offered.length === 0 ? versions : versions.filter((version) => offered.includes(version));
  return common.map(versionItem);
}

export function versionItem(version: string): Buffer {
  const [major = 1, minor = 0] = version.split('.').map(Number);
  return wire.structure(
    T.protocolVersion,
    wire.integer(T.protocolVersionMajor, major),
    wire.integer(T.protocolVersionMinor, minor),
  );
}

/** Query Functions: 1 operations, 2 objects, 3 server information. */
function query(payload: wire.Item, { operations, vendor }: Context): Buffer[] {
  const asked = payload.all(T.queryFunction).map((item) => item.enumeration);
  return [
    ...(asked.includes(1) ? operations.map((name) => wire.enumeration(T.operation, OPERATIONS[name])) : []),
    ...(asked.includes(2) ? [wire.enumeration(T.objectType, SYMMETRIC_KEY)] : []),
    ...(asked.includes(3) ? [wire.text(T.vendorIdentification, vendor)] : []),
  ];
}

/** Attribute name → value item; a later instance of the same name is left out. */
function attributesIn(structure: wire.Item): Map<string, wire.Item> {
  const named = new Map<string, wire.Item>();
  for (const attribute of structure.all(T.attribute)) {
    const name = attribute.must(T.attributeName).text;
    if (!named.has(name)) named.set(name, attribute.must(T.attributeValue));
  }
  return named;
}

function create(payload: wire.Item, context: Context): Buffer[] {
  if (payload.must(T.objectType).enumeration !== SYMMETRIC_KEY)
    throw new Refused(REASON.invalidField, 'only symmetric keys');
  const wanted = attributesIn(payload.must(T.templateAttribute));
  const known = [
    'Cryptographic Algorithm',
    'Cryptographic Length',
    'Cryptographic Usage Mask',
    'Name',
    'Object Group',
  ];
  const odd = [...wanted.keys()].find((name) => !known.includes(name));
  if (odd !== undefined) throw new Refused(REASON.invalidField, `attribute ${odd} is not supported`);
  const bits = wanted.get('Cryptographic Length')?.integer ?? 256;
  const algorithm = wanted.get('Cryptographic Algorithm')?.enumeration;
  const usageMask = wanted.get('Cryptographic Usage Mask')?.integer;
  if (algorithm === undefined || usageMask === undefined)
    throw new Refused(REASON.invalidField, 'algorithm and usage mask must be given');
  const kmsId = context.store.add(
    {
      state: STATES.preActive,
      name: wanted.get('Name')?.must(T.nameValue).text ?? null,
      objectGroup: wanted.get('Object Group')?.text ?? null,
      material: randomBytes(bits / 8),
      algorithm,
      bits,
      usageMask,
      owner: context.user,
      createdMs: context.nowMs,
    },
    context.server,
  );
  return [wire.enumeration(T.objectType, SYMMETRIC_KEY), wire.text(T.uniqueIdentifier, kmsId)];
}

/** By Name, Object Group and State; what else is asked for is refused, not passed over. */
function locate(payload: wire.Item, context: Context): Buffer[] {
  const wanted = attributesIn(payload);
  for (const name of wanted.keys()) {
    if (!['Name', 'Object Group', 'State'].includes(name))
      throw new Refused(REASON.featureNotSupported, `Locate by ${name} is not supported`);
  }
  const name = wanted.get('Name')?.must(T.nameValue).text;
  const group = wanted.get('Object Group')?.text;
  const state = wanted.get('State')?.enumeration;
  const found = [...context.store.keys.values()].filter((key) => {
    const seen = stateSeenBy(key, context.server, context.lagMs);
    return (
      seen !== 'gone' &&
      (key.owner === null || key.owner === context.user) &&
      (name === undefined || key.name === name) &&
      (group === undefined || key.objectGroup === group) &&
      (state === undefined || seen === state)
    );
  });
  const limit = payload.find(T.maximumItems)?.integer ?? found.length;
  return found.slice(0, limit).map((key) => wire.text(T.uniqueIdentifier, key.kmsId));
}

function get(key: StoredKey, payload: wire.Item, context: Context, script: Chosen): Buffer[] {
  const state = stateOf(key, context);
  if (state === STATES.destroyed || state === STATES.destroyedCompromised)
    throw new Refused(REASON.objectDestroyed, `object ${key.kmsId} is destroyed`);
  const refusal = context.quirks.getInactiveKey;
  if (refusal !== undefined && (state === STATES.deactivated || state === STATES.compromised))
    throw new Refused(refusal, `object ${key.kmsId} is not active`);
  if ((payload.find(T.keyFormatType)?.enumeration ?? RAW) !== RAW)
    throw new Refused(REASON.keyFormatTypeNotSupported, 'only Raw keys');
  const material = Buffer.from(key.material.subarray(0, script.get('shortKey')?.bytes));
  if (script.get('wrongKey') !== undefined) material.writeUInt8(material.readUInt8(0) ^ 0x80, 0);
  return [
    wire.enumeration(T.objectType, SYMMETRIC_KEY),
    wire.text(T.uniqueIdentifier, key.kmsId),
    wire.structure(
      T.symmetricKey,
      wire.structure(
        T.keyBlock,
        wire.enumeration(T.keyFormatType, RAW),
        wire.structure(T.keyValue, wire.bytes(T.keyMaterial, material)),
        wire.enumeration(T.cryptographicAlgorithm, key.algorithm),
        wire.integer(T.cryptographicLength, key.bits),
      ),
    ),
  ];
}

function attributes(
  key: StoredKey,
  payload: wire.Item,
  context: Context,
  stateOverride: number | undefined,
): Buffer[] {
  const value = T.attributeValue;
  const all: [string, Buffer | null][] = [
    ['Unique Identifier', wire.text(value, key.kmsId)],
    [
      'Name',
      key.name === null
        ? null
        : wire.structure(value, wire.text(T.nameValue, key.name), wire.enumeration(T.nameType, 1)),
    ],
    ['Object Type', wire.enumeration(value, SYMMETRIC_KEY)],
    ['Cryptographic Algorithm', wire.enumeration(value, key.algorithm)],
    ['Cryptographic Length', wire.integer(value, key.bits)],
    ['Cryptographic Usage Mask', wire.integer(value, key.usageMask)],
    ['State', wire.enumeration(value, stateOverride ?? stateOf(key, context))],
    ['Initial Date', wire.date(value, key.createdMs / 1000)],
    ['Object Group', key.objectGroup === null ? null : wire.text(value, key.objectGroup)],
  ];
  const asked = payload.all(T.attributeName).map((item) => item.text);
  return all.flatMap(([name, item]) =>
    item !== null && (asked.length === 0 || asked.includes(name))
      ? [wire.structure(T.attribute, wire.text(T.attributeName, name), item)]
      : [],
  );
}

function change(
  key: StoredKey,
  context: Context,
  from: readonly number[],
  to: number,
  refusal: number,
): void {
  const state = stateOf(key, context);
  if (!from.includes(state)) throw new Refused(refusal, `the object's state ${state} does not allow it`);
  context.store.setState(key.kmsId, to, context.server);
}

/** Revocation Reason Code 2 and 3 are compromises, all others deactivate. */
function revoke(key: StoredKey, payload: wire.Item, context: Context): void {
  const code = payload.must(T.revocationReason).must(T.revocationReasonCode).enumeration;
  if (code === 2 || code === 3) {
    const any = [STATES.preActive, STATES.active, STATES.deactivated];
    change(key, context, any, STATES.compromised, REASON.illegalOperation);
  } else change(key, context, [STATES.active], STATES.deactivated, REASON.illegalOperation);
}

function destroy(key: StoredKey, context: Context): void {
  const compromised = stateOf(key, context) === STATES.compromised;
  const from = [STATES.preActive, STATES.deactivated, STATES.compromised];
  const to = compromised ? STATES.destroyedCompromised : STATES.destroyed;
  change(key, context, from, to, REASON.permissionDenied);
  key.material.fill(0);
  if (context.quirks.destroyRemoves === true) context.store.setState(key.kmsId, 'gone', context.server);
}

/** AES-GCM only: the data sealed, and IV and tag beside it. */
function encrypt(key: StoredKey, payload: wire.Item, context: Context): Buffer[] {
  if (stateOf(key, context) !== STATES.active || key.algorithm !== AES)
    throw new Refused(REASON.permissionDenied, 'the object may not encrypt');
  const parameters = payload.must(T.cryptographicParameters);
  if (parameters.find(T.blockCipherMode)?.enumeration !== GCM)
    throw new Refused(REASON.invalidField, 'only GCM');
  const given = payload.find(T.ivCounterNonce)?.bytes;
  const iv = given ?? randomBytes(12);
  const authTagLength = parameters.find(T.tagLength)?.integer ?? 16;
  const cipher = createCipheriv(key.bits === 128 ? 'aes-128-gcm' : 'aes-256-gcm', key.material, iv, {
    authTagLength,
  });
  const additional = payload.find(T.authenticatedEncryptionAdditionalData)?.bytes;
  if (additional !== undefined) cipher.setAAD(additional);
  const sealed = Buffer.concat([cipher.update(payload.must(T.data).bytes), cipher.final()]);
  return [
    wire.bytes(T.data, sealed),
    ...(given === undefined ? [wire.bytes(T.ivCounterNonce, iv)] : []),
    wire.bytes(T.authenticatedEncryptionTag, cipher.getAuthTag()),
  ];
}
