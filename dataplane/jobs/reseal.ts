/**
 * Seals data keys anew under another version of the bucket key. Nothing else changes: the data key, and so every blob and
 * record, stays as it is (docs/format.md, "Rotation").
 */
import type { KeyObject } from 'node:crypto';
import { type KeyBinding, openDataKey, type SealedDataKey, sealDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { maskEtag } from '../crypto/listEtag.ts';
import type { Id, Rewrapped, SealedUpload, SealedVersion } from '../metadata/metadata.ts';
import type { SealingTools } from '../objects/version.ts';

/** A version of a bucket's key. */
export interface VersionedKey {
  readonly bucketKey: KeyObject;
  readonly n: number;
}

/** The data key of an object version under its new seal. FormatError 'Integrity' when the old seal does not open. */
export function resealVersion(
  bucketUid: Id,
  version: SealedVersion,
  from: KeyObject,
  to: VersionedKey,
  tools: SealingTools,
): Rewrapped {
  const { key, seq, versionId, n, listEtag } = version;
  const binding = { purpose: 'object', bucketUid, objectKey: key, id: versionId, n } as const;
  const sealed = reseal(binding, version, from, to, tools);
  const masked =
    listEtag === null
      ? null
      : maskEtag(
          tools.listKeys.of(to.bucketKey),
          sealed.wrapSalt,
          maskEtag(tools.listKeys.of(from), version.wrapSalt, listEtag),
        );
  return {
    kind: 'version',
    key,
    seq,
    expectSealedKey: version.sealedKey,
    n: to.n,
    ...sealed,
    listEtag: masked,
  };
}

/** The data key of an open upload under its new seal. FormatError 'Integrity' when the old seal does not open. */
export function resealUpload(
  bucketUid: Id,
  upload: SealedUpload,
  from: KeyObject,
  to: VersionedKey,
  tools: SealingTools,
): Rewrapped {
  const { uploadId, key, n } = upload;
  const binding = { purpose: 'upload', bucketUid, objectKey: key, id: uploadId, n } as const;
  const sealed = reseal(binding, upload, from, to, tools);
  return { kind: 'upload', uploadId, expectSealedKey: upload.sealedKey, n: to.n, ...sealed };
}

function reseal(
  binding: KeyBinding,
  stored: { readonly wrapSalt: Uint8Array; readonly sealedKey: Uint8Array },
  from: KeyObject,
  to: VersionedKey,
  tools: SealingTools,
): SealedDataKey {
  const dataKey = openDataKey(from, binding, stored);
  const next = { ...binding, n: to.n };
  const sealed = sealDataKey(to.bucketKey, next, dataKey, tools.random);
  // The old seal is the only other copy of the data key: the new one must open before it may replace it.
  if (!openDataKey(to.bucketKey, next, sealed).equals(dataKey)) {
    throw new FormatError('Integrity', 'a data key does not come out of its new seal');
  }
  return sealed;
}
