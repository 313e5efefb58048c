import { expect, test } from 'vitest';
import { ofAccessSecret, ofConnection, ofNamespace, ofPod, ofResource } from './changes.ts';
import { FINALIZER } from './kube/kinds.ts';
import type { KubeObject } from './kube/resource.ts';
import type { ChangeFilter } from './runtime/controller.ts';

const BASE: KubeObject = {
  apiVersion: 'sealgate.io/v1alpha1',
  kind: 'EncryptedBucket',
  metadata: { name: 'a', namespace: 'n', generation: 1, resourceVersion: '1' },
};

const ready = (status: string, reason: string, type = 'Ready'): object => ({
  conditions: [{ type, status, reason }],
});

function changed(change: Partial<KubeObject['metadata']>, fields: object = {}): KubeObject {
  return { ...BASE, ...fields, metadata: { ...BASE.metadata, resourceVersion: '2', ...change } };
}

test.each<[string, ChangeFilter, KubeObject, KubeObject, boolean]>([
  ['a new generation', ofResource, BASE, changed({ generation: 2 }), true],
  ['an annotation', ofResource, BASE, changed({ annotations: { a: 'b' } }), true],
  ['a deletion', ofResource, BASE, changed({ deletionTimestamp: 't' }), true],
  ['our finalizer that somebody took away', ofResource, changed({ finalizers: [FINALIZER] }), BASE, true],
  ['our own finalizer', ofResource, BASE, changed({ finalizers: [FINALIZER] }), false],
  ["another's finalizer", ofResource, BASE, changed({ finalizers: ['f'] }), false],
  ['a status of our own', ofResource, BASE, changed({}, { status: ready('True', 'Ready') }), false],
  ['a lost status', ofResource, changed({}, { status: ready('True', 'Ready') }), changed({}), true],
  [
    'a status set back to its default',
    ofResource,
    BASE,
    changed({}, { status: ready('Unknown', 'Pending') }),
    true,
  ],
  ['a KMS that is down', ofConnection, BASE, changed({}, { status: ready('False', 'Unreachable') }), false],
  [
    'a connection that reached the pods',
    ofConnection,
    BASE,
    changed({}, { status: ready('True', 'Synced', 'FleetSynced') }),
    true,
  ],
  [
    'a connection that pods do not have any more',
    ofConnection,
    changed({}, { status: ready('True', 'Synced', 'FleetSynced') }),
    changed({}, { status: ready('False', 'NotSynced', 'FleetSynced') }),
    false,
  ],
  ['a connection that permits others', ofConnection, BASE, changed({ generation: 2 }), true],
  ['a label of a namespace', ofNamespace, BASE, changed({ labels: { a: 'b' } }), true],
  ['an annotation of a namespace', ofNamespace, BASE, changed({ annotations: { a: 'b' } }), false],
  ['an annotation of a pod', ofPod, BASE, changed({ annotations: { a: 'b' } }), false],
  ['an address of a pod', ofPod, BASE, changed({}, { status: { podIP: '10.0.0.1' } }), true],
  [
    'a container that started again',
    ofPod,
    changed({}, { status: { containerStatuses: [{ restartCount: 0, state: { running: {} } }] } }),
    changed({}, { status: { containerStatuses: [{ restartCount: 1, state: { running: {} } }] } }),
    true,
  ],
])('%s is told apart', (_what, filter, old, object, expected) => {
  expect(filter({ type: 'updated', old, object })).toBe(expected);
  expect(filter({ type: 'added', object })).toBe(true);
  expect(filter({ type: 'deleted', object })).toBe(true);
});

test('an access Secret that comes is the work of a reconcile; one that changes or goes leads to one', () => {
  expect(ofAccessSecret({ type: 'added', object: BASE })).toBe(false);
  expect(ofAccessSecret({ type: 'updated', old: BASE, object: BASE })).toBe(true);
  expect(ofAccessSecret({ type: 'deleted', object: BASE })).toBe(true);
});
