import { expect, test } from 'vitest';
import { ApiServer } from '../kube/apiServer.testkit.ts';
import { POD } from '../kube/kinds.ts';
import type { AdminTarget } from './adminClient.ts';
import { FakeDataPlane } from './fakeDataPlane.testkit.ts';
import { FleetPods } from './fleetPods.ts';

const NAMESPACE = 'sealgate';
const LABELS = {
  'app.kubernetes.io/name': 'sealgate',
  'app.kubernetes.io/instance': 'sealgate',
  'app.kubernetes.io/component': 'dataplane',
};

function setUp() {
  const api = new ApiServer();
  const targets: AdminTarget[] = [];
  const closed: string[] = [];
  const ca = { pem: 'CA' as string | null };
  const fleet = new FleetPods({
    pods: api.cache(POD),
    namespace: NAMESPACE,
    fleetName: 'sealgate',
    caBundle: () => ca.pem,
    connect: (target) => {
      targets.push(target);
      const client = new FakeDataPlane();
      client.close = async () => {
        closed.push(target.host);
        await Promise.resolve();
      };
      return client;
    },
    onCloseError: (error) => {
      throw error;
    },
  });
  const pod = (name: string, podIP: string | null, { labels = LABELS, running = true } = {}): void => {
    api.edit(
      POD,
      { namespace: NAMESPACE, name },
      {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'sealgate',
              ports: [
                { name: 's3', containerPort: 9000 },
                { name: 'admin', containerPort: 9001 },
              ],
            },
          ],
        },
        status: {
          podIP,
          containerStatuses: [{ name: 'sealgate', state: running ? { running: {} } : { waiting: {} } }],
        },
      },
    );
  };
  return { api, fleet, pod, targets, closed, ca };
}

test('a pod of the fleet is reached by its address and its port named admin', () => {
  const { fleet, pod, targets } = setUp();
  pod('sealgate-0', '10.244.0.7');
  expect(fleet.anyPod()).not.toBeNull();
  expect(fleet.everyPod()).toMatchObject([{ key: { namespace: NAMESPACE, name: 'sealgate-0' } }]);
  expect(targets).toEqual([{ host: '10.244.0.7', port: 9001, caBundle: 'CA' }]);
});

test.each([
  ['without an address', null, true, LABELS, 1],
  ['whose container does not run', '10.244.0.7', false, LABELS, 1],
  ['of another installation', '10.244.0.7', true, { ...LABELS, 'app.kubernetes.io/instance': 'b' }, 0],
  ['of the operator', '10.244.0.7', true, { ...LABELS, 'app.kubernetes.io/component': 'operator' }, 0],
])('a pod %s is not asked', (_what, address, running, labels, counted) => {
  const { fleet, pod } = setUp();
  pod('sealgate-0', address, { running, labels });
  expect(fleet.anyPod()).toBeNull();
  expect(fleet.everyPod()).toHaveLength(counted);
});

test('a pod that is being deleted counts no more', () => {
  const { api, fleet, pod } = setUp();
  pod('sealgate-0', '10.244.0.7');
  api.edit(POD, { namespace: NAMESPACE, name: 'sealgate-0' }, { metadata: { finalizers: ['x'] } });
  api.remove(POD, { namespace: NAMESPACE, name: 'sealgate-0' });
  expect(fleet.everyPod()).toEqual([]);
});

test('a client is kept as long as its pod has the same address, and closed when it goes', () => {
  const { api, fleet, pod, targets, closed, ca } = setUp();
  pod('sealgate-0', '10.244.0.7');
  const first = fleet.anyPod();
  expect(fleet.anyPod()).toBe(first);
  pod('sealgate-0', '10.244.0.8');
  expect(fleet.anyPod()).not.toBe(first);
  expect(closed).toEqual(['10.244.0.7']);
  ca.pem = 'CA of the next one';
  fleet.everyPod();
  expect(targets).toHaveLength(3);
  api.remove(POD, { namespace: NAMESPACE, name: 'sealgate-0' });
  expect(fleet.anyPod()).toBeNull();
  expect(closed).toEqual(['10.244.0.7', '10.244.0.8', '10.244.0.8']);
});

test('before the fleet has its authority nobody is asked', () => {
  const { fleet, pod, ca } = setUp();
  ca.pem = null;
  pod('sealgate-0', '10.244.0.7');
  expect(fleet.everyPod()).toMatchObject([{ admin: null }]);
});
