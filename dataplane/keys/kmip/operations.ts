/**
 * The operations that we use (KMIP 1.4, section 4): their request payloads, and what we read from the answers.
 * Pure; every reader throws TtlvError when the answer lacks what it must have.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import {
  byteString,
  enumeration,
  integer,
  optional,
  required,
  structure,
  textString,
  values,
} from './fields.ts';
import { type ProtocolVersion, type RequestItem, versionItem } from './messages.ts';
import {
  AES,
  CBC,
  CESSATION_OF_OPERATION,
  ENCRYPT_DECRYPT,
  GCM,
  QUERY_OPERATIONS,
  QUERY_SERVER_INFORMATION,
  RAW,
  SYMMETRIC_KEY,
  TAG,
  UNINTERPRETED_TEXT_STRING,
} from './tags.ts';
import { type Ttlv, TtlvError } from './ttlv.ts';

const KEY_BYTES = 32;

/** Attributes are a name and a value in the 1.x encoding; the value's own tag is always Attribute Value. */
const attribute = (name: string, value: Ttlv): Ttlv =>
  structure(TAG.attribute, [textString(TAG.attributeName, name), value]);

const nameAttribute = (name: string): Ttlv =>
  attribute(
    'Name',
    structure(TAG.attributeValue, [
      textString(TAG.nameValue, name),
      enumeration(TAG.nameType, UNINTERPRETED_TEXT_STRING),
    ]),
  );

/** Discover Versions with what we can speak, preferred first. */
export function discoverVersions(offered: readonly ProtocolVersion[]): RequestItem {
  return { operation: 'DiscoverVersions', payload: offered.map(versionItem) };
}

export function readVersions(payload: readonly Ttlv[]): ProtocolVersion[] {
  return values(payload, TAG.protocolVersion, 'Structure').map((version) => ({
    major: required(version, TAG.protocolVersionMajor, 'Integer'),
    minor: required(version, TAG.protocolVersionMinor, 'Integer'),
  }));
}

/** Query for the supported operations and the server's name. */
export function query(): RequestItem {
  return {
    operation: 'Query',
    payload: [
      enumeration(TAG.queryFunction, QUERY_OPERATIONS),
      enumeration(TAG.queryFunction, QUERY_SERVER_INFORMATION),
    ],
  };
}

export function readQuery(payload: readonly Ttlv[]): { operations: number[]; vendor: string | null } {
  return {
    operations: values(payload, TAG.operation, 'Enumeration'),
    vendor: optional(payload, TAG.vendorIdentification, 'TextString'),
  };
}

/** Create of an AES-256 key that may encrypt and decrypt, under our unique name. */
export function create(name: string, objectGroup: string | null): RequestItem {
  return {
    operation: 'Create',
    payload: [
      enumeration(TAG.objectType, SYMMETRIC_KEY),
      structure(TAG.templateAttribute, [
        attribute('Cryptographic Algorithm', enumeration(TAG.attributeValue, AES)),
        attribute('Cryptographic Length', integer(TAG.attributeValue, KEY_BYTES * 8)),
        attribute('Cryptographic Usage Mask', integer(TAG.attributeValue, ENCRYPT_DECRYPT)),
        nameAttribute(name),
        ...(objectGroup === null
          ? []
          : [attribute('Object Group', textString(TAG.attributeValue, objectGroup))]),
      ]),
    ],
  };
}

/** The identifier that Create answered. */
export const readIdentifier = (payload: readonly Ttlv[]): string =>
  required(payload, TAG.uniqueIdentifier, 'TextString');

export function activate(kmsId: string): RequestItem {
  return { operation: 'Activate', payload: [textString(TAG.uniqueIdentifier, kmsId)] };
}

/** Revoke for cessation of operation: an Active key becomes Deactivated. */
export function revoke(kmsId: string): RequestItem {
  return {
    operation: 'Revoke',
    payload: [
      textString(TAG.uniqueIdentifier, kmsId),
      structure(TAG.revocationReason, [enumeration(TAG.revocationReasonCode, CESSATION_OF_OPERATION)]),
    ],
  };
}

export function destroy(kmsId: string): RequestItem {
  return { operation: 'Destroy', payload: [textString(TAG.uniqueIdentifier, kmsId)] };
}

/** Encrypt of one block of zeros under AES-CBC (1.2 and newer) or AES-GCM (1.4): asked to learn whether it is allowed. */
export function encryptBlock(kmsId: string, { minor }: ProtocolVersion): RequestItem {
  const gcm = minor >= 4;
  return {
    operation: 'Encrypt',
    payload: [
      textString(TAG.uniqueIdentifier, kmsId),
      structure(TAG.cryptographicParameters, [
        enumeration(TAG.blockCipherMode, gcm ? GCM : CBC),
        enumeration(TAG.cryptographicAlgorithm, AES),
        ...(gcm ? [integer(TAG.tagLength, 16)] : []),
      ]),
      byteString(TAG.data, Buffer.alloc(16)),
      byteString(TAG.ivCounterNonce, Buffer.alloc(gcm ? 12 : 16)),
    ],
  };
}

/** Locate by name; two answers are enough to know that the name is not unique. */
export function locate(name: string): RequestItem {
  return { operation: 'Locate', payload: [integer(TAG.maximumItems, 2), nameAttribute(name)] };
}

export const readIdentifiers = (payload: readonly Ttlv[]): string[] =>
  values(payload, TAG.uniqueIdentifier, 'TextString');

export function getAttributes(kmsId: string, names: readonly string[]): RequestItem {
  return {
    operation: 'GetAttributes',
    payload: [
      textString(TAG.uniqueIdentifier, kmsId),
      ...names.map((name) => textString(TAG.attributeName, name)),
    ],
  };
}

/** Attribute name → value item (the first instance), of those that the server sent. */
export function readAttributes(payload: readonly Ttlv[]): ReadonlyMap<string, Ttlv> {
  const attributes = new Map<string, Ttlv>();
  for (const item of values(payload, TAG.attribute, 'Structure')) {
    const name = required(item, TAG.attributeName, 'TextString');
    const value = item.find((candidate) => candidate.tag === TAG.attributeValue);
    if (value !== undefined && !attributes.has(name)) attributes.set(name, value);
  }
  return attributes;
}

export function get(kmsId: string): RequestItem {
  return {
    operation: 'Get',
    payload: [textString(TAG.uniqueIdentifier, kmsId), enumeration(TAG.keyFormatType, RAW)],
  };
}

/**
 * The AES-256 key that Get answered. createSecretKey copies the bytes; the caller zeroes the frame, of which the
 * payload's byte strings are views.
 */
export function readKey(payload: readonly Ttlv[], kmsId: string): KeyObject {
  if (required(payload, TAG.uniqueIdentifier, 'TextString') !== kmsId) {
    throw new TtlvError('Get answered with another key');
  }
  if (required(payload, TAG.objectType, 'Enumeration') !== SYMMETRIC_KEY) {
    throw new TtlvError('Get answered with something else than a symmetric key');
  }
  const symmetricKey = required(payload, TAG.symmetricKey, 'Structure');
  const keyBlock = required(symmetricKey, TAG.keyBlock, 'Structure');
  if (optional(keyBlock, TAG.keyWrappingData, 'Structure') !== null)
    throw new TtlvError('Get answered a wrapped key');
  if (required(keyBlock, TAG.keyFormatType, 'Enumeration') !== RAW)
    throw new TtlvError('the key is not in Raw format');
  const algorithm = optional(keyBlock, TAG.cryptographicAlgorithm, 'Enumeration');
  const bits = optional(keyBlock, TAG.cryptographicLength, 'Integer');
  const keyValue = required(keyBlock, TAG.keyValue, 'Structure');
  const material = required(keyValue, TAG.keyMaterial, 'ByteString');
  if (
    (algorithm ?? AES) !== AES ||
    (bits ?? KEY_BYTES * 8) !== KEY_BYTES * 8 ||
    material.length !== KEY_BYTES
  ) {
    throw new TtlvError('the key is not AES-256');
  }
  return createSecretKey(material);
}
