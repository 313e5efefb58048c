/**
 * Whether the cluster has what is declared, so that nothing is written when nothing differs.
 *
 * Two things are looked at: what we applied last (an annotation with its hash; it tells of fields that are no longer
 * declared), and whether every declared field still has its value (it tells of what others changed). Fields that the API
 * server or others added do not count.
 */
import { createHmac } from 'node:crypto';
import type { KubeObject } from '../kube/resource.ts';
import { quantityValue } from './quantity.ts';

const APPLIED_ANNOTATION = 'sealgate.io/applied-hash';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** With keys in order, so that equal content has one text. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, canonical(value[key])]),
  );
}

/**
 * The object with the annotation that names its own content. Contents of Secrets enter the hash, so it is keyed: a plain
 * hash of a password could be tried out by who sees it.
 */
export function withAppliedHash(object: KubeObject, key: string): KubeObject {
  const hash = createHmac('sha256', key)
    .update(JSON.stringify(canonical(object)))
    .digest('hex')
    .slice(0, 32);
  const { metadata } = object;
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [APPLIED_ANNOTATION]: hash } },
  };
}

/** The first declared field that the live object has not, such as `spec.ports[0].port`; null: nothing differs. */
export function firstDifference(declared: KubeObject, live: KubeObject): string | null {
  return missing(declared, live, '');
}

function missing(declared: unknown, live: unknown, path: string): string | null {
  if (Array.isArray(declared)) {
    if (Array.isArray(live)) return missingItem(declared, live, path);
    return declared.length === 0 && live === undefined ? null : path;
  }
  if (isFields(declared)) {
    // An empty map or list is not stored by the API server.
    if (!isFields(live)) return Object.keys(declared).length === 0 && live === undefined ? null : path;
    for (const [key, value] of Object.entries(declared)) {
      const found = missing(value, live[key], path === '' ? key : `${path}.${key}`);
      if (found !== null) return found;
    }
    return null;
  }
  return declared === live || (isAmount(path) && sameAmount(declared, live)) ? null : path;
}

/**
 * Lists of named things are merged by server-side apply; others may have added theirs. Not so the ports of a Service:
 * one too many, left by a change of another's, may stand in the way of ours.
 */
function missingItem(declared: readonly unknown[], live: readonly unknown[], path: string): string | null {
  const named =
    declared.length > 0 && declared.every((item) => isFields(item) && typeof item['name'] === 'string');
  if ((!named || path === 'spec.ports') && declared.length !== live.length) return path;
  for (const [index, item] of declared.entries()) {
    const twin =
      named && isFields(item)
        ? live.find((other) => isFields(other) && other['name'] === item['name'])
        : live[index];
    const found = missing(item, twin, `${path}[${index}]`);
    if (found !== null) return found;
  }
  return null;
}

/** The API server writes amounts in its own form: 1024Mi becomes 1Gi. */
function isAmount(path: string): boolean {
  return /\.(?:requests|limits)\.[a-z]+$|\.sizeLimit$/.test(path);
}

function sameAmount(a: unknown, b: unknown): boolean {
  if (typeof a !== 'string' || typeof b !== 'string') return false;
  const value = quantityValue(a);
  return value !== null && value === quantityValue(b);
}
