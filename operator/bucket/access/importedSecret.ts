/**
 * A Secret that somebody else made and labelled for use: its credential is made known to the data plane, what an
 * application needs besides is added, and nothing that was in it is changed.
 */
import { isRefusal } from '../../admin/adminApi.ts';
import { SECRET } from '../../kube/kinds.ts';
import { isRefusedWrite, type KubeApi } from '../../kube/kubeApi.ts';
import type { KubeObject } from '../../kube/resource.ts';
import { bucketNameOf } from '../declaration.ts';
import {
  contentOf,
  encoded,
  encodedContentOf,
  importAnnotations,
  importLabels,
  isImmutable,
  marksOf,
} from './accessSecret.ts';
import { credentialIn, grantsOf } from './credentials.ts';
import { type EntryContext, type EntryProblem, type EntryState, noKeys, notWritable } from './entry.ts';

/** `written`: the Secret as it is then; null: it was not written. */
export async function importEntry(
  context: EntryContext,
  secret: KubeObject,
): Promise<{ readonly state: EntryState; readonly written: KubeObject | null }> {
  const { keys, bucket, entry, owner } = context;
  const marks = marksOf(secret);
  const failed = (reason: 'SecretNotOwned' | 'ImportInvalid' | 'AccessKeyTaken', message: string) => ({
    state: noKeys(context, { reason, message }),
    written: null,
  });
  if (marks.owner !== null && marks.owner !== owner) {
    return failed('SecretNotOwned', `Secret ${entry.secretName} is already used by ${marks.owner}`);
  }
  const present = contentOf(secret);
  const credential = credentialIn(present);
  if (credential === null) {
    return failed(
      'ImportInvalid',
      `Secret ${entry.secretName} needs AWS_ACCESS_KEY_ID (16 to 128 letters, digits, "_" or "-") and AWS_SECRET_ACCESS_KEY (16 to 128 printable characters)`,
    );
  }
  try {
    await keys.put(credential, grantsOf(bucketNameOf(bucket), entry));
  } catch (error) {
    if (!isRefusal(error, 'AccessKeyTaken')) throw error;
    return failed(
      'AccessKeyTaken',
      `The access key in Secret ${entry.secretName} belongs to another resource`,
    );
  }
  // Its key works whether or not the rest can be added.
  const state = (problem: EntryProblem | null): EntryState => ({
    entry: entry.name,
    keyId: credential.id,
    previous: [],
    imported: true,
    rotated: false,
    problem,
  });
  try {
    const written = await addMissing(context, secret, present, credential.id);
    return written === 'Immutable'
      ? { state: state(notWritable(entry.secretName, null)), written: null }
      : { state: state(null), written };
  } catch (error) {
    if (!isRefusedWrite(error)) throw error;
    return { state: state(notWritable(entry.secretName, error)), written: null };
  }
}

/** Null when nothing differs. Fields that were added before are ours to change; all others stay. */
async function addMissing(
  { deps, owner, entry, secretKey, content, signal }: EntryContext,
  secret: KubeObject,
  present: Readonly<Record<string, string>>,
  keyId: string,
): Promise<KubeObject | 'Immutable' | null> {
  const { added } = marksOf(secret);
  const ours = Object.entries(content).filter(
    ([name]) => present[name] === undefined || added.includes(name),
  );
  const names = ours.map(([name]) => name);
  const labels = importLabels(owner);
  const annotations = importAnnotations(owner, entry.secretName, entry.name, keyId, names);
  const complete =
    ours.every(([name, text]) => present[name] === text) && added.every((name) => names.includes(name));
  if (!complete && isImmutable(secret)) return 'Immutable';
  const inOrder =
    complete &&
    Object.entries(labels).every(([name, text]) => secret.metadata.labels?.[name] === text) &&
    Object.entries(annotations).every(([name, text]) => secret.metadata.annotations?.[name] === text);
  if (inOrder) return null;
  const { resourceVersion } = secret.metadata;
  return await deps.kube.apply(
    SECRET,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        ...secretKey,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        labels,
        annotations,
      },
      data: Object.fromEntries(ours.map(([name, text]) => [name, encoded(text)])),
    },
    { signal },
  );
}

/**
 * Takes out what was added; server-side apply removes the fields that are no longer named. From one that has become
 * immutable it takes the marks alone.
 */
export async function giveBack(kube: KubeApi, secret: KubeObject, signal: AbortSignal): Promise<void> {
  const { name, namespace, resourceVersion } = secret.metadata;
  const { added } = marksOf(secret);
  const kept = Object.entries(encodedContentOf(secret)).filter(([field]) => added.includes(field));
  await kube.apply(
    SECRET,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      ...(isImmutable(secret) ? { data: Object.fromEntries(kept) } : {}),
    },
    { signal },
  );
}
