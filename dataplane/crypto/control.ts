import type { KeyObject } from 'node:crypto';
import { enc, type Field } from './encoding.ts';
import { encodeStored } from './errors.ts';
import { deriveKey, hmac, requireEqual } from './sealing.ts';

const LABEL = 'sealgate/v1/control';

/** The key of all control MACs of an installation. */
export function controlKey(installationKey: KeyObject): KeyObject {
  return deriveKey(installationKey, '', LABEL);
}

/**
 * MAC of a control row: LP(table) || LP(enc(identifiers)) || LP(document). The identifiers place the row, so that it
 * cannot be moved; they never include a sequence number.
 */
export function controlMac(
  key: KeyObject,
  table: string,
  identifiers: readonly Field[],
  document: Uint8Array,
): Buffer {
  return hmac(key, message(table, identifiers, document));
}

/** FormatError 'Integrity' unless `mac` is the row's. */
export function verifyControlMac(
  key: KeyObject,
  table: string,
  identifiers: readonly Field[],
  document: Uint8Array,
  mac: Uint8Array,
): void {
  const bytes = encodeStored('control row', () => message(table, identifiers, document));
  requireEqual('control row', hmac(key, bytes), mac);
}

function message(table: string, identifiers: readonly Field[], document: Uint8Array): Buffer {
  return enc([table, enc(identifiers), document]);
}
