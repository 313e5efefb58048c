/** An access Secret that the operator makes, repairs and gives new keys. */
import { isDeepStrictEqual } from 'node:util';
import { durationMs } from '../../../crds/scalars.ts';
import { isRefusal } from '../../admin/adminApi.ts';
import { SECRET } from '../../kube/kinds.ts';
import { isRefusedWrite, KubeError } from '../../kube/kubeApi.ts';
import type { KubeObject } from '../../kube/resource.ts';
import { bucketNameOf } from '../declaration.ts';

import {
  contentOf,
  credentialContent,
  encoded,
  isImmutable,
  marksOf,
  ownAnnotations,
  ownLabels,
  type PreviousKey,
} from './accessSecret.ts';
import { type Credential, credentialIn, grantsOf, newCredential } from './credentials.ts';
import { type EntryContext, type EntryState, noKeys, notWritable } from './entry.ts';

/** Replaced keys that may still work at once; of more, those that end first are revoked. */
const PREVIOUS_LIMIT = 8;

/**
 * A Secret that cannot be written stays as it is, and so do the keys that it names. A new one that was put meanwhile is
 * revoked with all that no Secret names.
 *
 * `secret` null: there is none. `written`: the Secret as it is then; null: it was not written.
 */
export async function ownEntry(
  context: EntryContext,
  secret: KubeObject | null,
): Promise<{ readonly state: EntryState; readonly written: KubeObject | null }> {
  const { deps, keys, bucket, entry, asked } = context;
  const nowMs = deps.clock.wallMs();
  const marks = secret === null ? null : marksOf(secret);
  const present = secret === null ? null : credentialIn(contentOf(secret));
  const handled = marks?.rotated ?? asked;
  const rotates = present !== null && asked !== '' && asked !== handled;
  const credential = present === null || rotates ? newCredential(deps.randomBytes) : present;
  const previous = [
    ...(rotates ? [{ id: present.id, expiresAtMs: nowMs + durationMs(entry.overlap) }] : []),
    ...(marks?.previous ?? []),
  ]
    .filter(({ expiresAtMs }) => expiresAtMs > nowMs)
    .toSorted((a, b) => b.expiresAtMs - a.expiresAtMs)
    .slice(0, PREVIOUS_LIMIT);
  const grants = grantsOf(bucketNameOf(bucket), entry);
  const content = { ...credentialContent(credential), ...context.content };
  const fixed = secret !== null && isImmutable(secret) && !isDeepStrictEqual(contentOf(secret), content);
  const kept: EntryState = {
    entry: entry.name,
    keyId: present?.id ?? null,
    previous: rotates ? previous.filter(({ id }) => id !== present.id) : previous,
    imported: false,
    rotated: false,
    problem: fixed ? notWritable(entry.secretName, null) : null,
  };
  try {
    // Before the Secret: an application must never be given a key that does not work yet.
    if (!fixed) await keys.put(credential, grants);
    else if (present !== null) await keys.put(present, grants);
  } catch (error) {
    if (!isRefusal(error, 'AccessKeyTaken')) throw error;
    const message = `The access key in Secret ${entry.secretName} belongs to another resource`;
    return { state: noKeys(context, { reason: 'AccessKeyTaken', message }), written: null };
  }
  if (fixed) return { state: kept, written: null };
  let written: KubeObject | null;
  try {
    written = await writeSecret(context, secret, credential, content, {
      // A key that was made anew for another reason is as good as a rotated one.
      rotated: (present === null || rotates) && asked !== '' ? asked : handled,
      previous,
    });
  } catch (error) {
    if (!isRefusedWrite(error)) throw error;
    return { state: { ...kept, problem: notWritable(entry.secretName, error) }, written: null };
  }
  for (const key of previous) await keys.end(key, grants);
  return { state: { ...kept, keyId: credential.id, previous, rotated: rotates }, written };
}

/** Null when nothing differs. */
async function writeSecret(
  context: EntryContext,
  secret: KubeObject | null,
  credential: Credential,
  content: Readonly<Record<string, string>>,
  marks: { readonly rotated: string; readonly previous: readonly PreviousKey[] },
): Promise<KubeObject | null> {
  const { deps, owner, entry, secretKey } = context;
  const labels = ownLabels(deps.fleetName, owner);
  const annotations = ownAnnotations(owner, entry.secretName, entry.name, {
    ...marks,
    keyId: credential.id,
  });
  if (secret === null) return await createSecret(context, credential, content, { labels, annotations });
  const present = contentOf(secret);
  const data = Object.fromEntries(
    [...new Set([...Object.keys(present), ...Object.keys(content)])].flatMap(
      (name): [string, string | null][] => {
        const text = content[name];
        if (text === present[name]) return [];
        return [[name, text === undefined ? null : encoded(text)]];
      },
    ),
  );
  const newLabels = differing(labels, secret.metadata.labels);
  const newAnnotations = differing(annotations, secret.metadata.annotations);
  if ([data, newLabels, newAnnotations].every((change) => Object.keys(change).length === 0)) return null;
  return await deps.kube.mergePatch(
    SECRET,
    secretKey,
    {
      metadata: {
        resourceVersion: secret.metadata.resourceVersion,
        labels: newLabels,
        annotations: newAnnotations,
      },
      data,
    },
    { signal: context.signal },
  );
}

async function createSecret(
  { deps, keys, secretKey, signal }: EntryContext,
  { id }: Credential,
  content: Readonly<Record<string, string>>,
  marks: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> },
): Promise<KubeObject> {
  try {
    return await deps.kube.create(
      SECRET,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { ...secretKey, ...marks },
        type: 'Opaque',
        data: Object.fromEntries(Object.entries(content).map(([name, text]) => [name, encoded(text)])),
      },
      { signal },
    );
  } catch (error) {
    // Somebody else's came first, or the namespace takes none: nobody will ever know this key.
    if (error instanceof KubeError && (error.code === 'AlreadyExists' || error.code === 'Forbidden')) {
      await keys.revoke(id);
    }
    throw error;
  }
}

function differing(
  wanted: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return Object.fromEntries(Object.entries(wanted).filter(([name, text]) => present[name] !== text));
}
