import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { KubeError } from '../kube/kubeApi.ts';
import { adminAccess } from './adminAccess.ts';
import { fleetYaml } from './fleet.testkit.ts';
import { KEY, NAMESPACE, podSays, Scene } from './fleetScene.testkit.ts';
import {
  NETWORK_POLICY,
  PERSISTENT_VOLUME_CLAIM,
  POD,
  PROMETHEUS_RULE,
  SECRET,
  SERVICE_MONITOR,
  STATEFUL_SET,
} from './kinds.ts';

const DAY_MS = 24 * 3_600_000;

describe('a new fleet', () => {
  it('is made in an order in which nothing waits for what comes later, and is Ready', async () => {
    const scene = new Scene();
    expect(await scene.visit()).toEqual({
      reason: 'Ready',
      message: 'The configuration is in force on 1 of 1 pods.',
    });
    expect(scene.api.takeWrites()).toEqual([
      'create Secret sealgate-installation',
      'create Secret sealgate-root',
      'apply Service sealgate',
      'apply Secret sealgate-ca',
      'apply Service sealgate-admin',
      'apply Service sealgate-metrics',
      'apply ServiceAccount sealgate-dataplane',
      'apply Secret sealgate-config',
      'apply NetworkPolicy sealgate-dataplane',
      'apply StatefulSet sealgate',
      'apply ServiceMonitor sealgate-dataplane',
      'apply ServiceMonitor sealgate-operator',
      'apply PrometheusRule sealgate',
      'patch Pod sealgate-0',
    ]);
    expect(scene.events).toEqual(['Normal Ready The configuration is in force on 1 of 1 pods.']);
  });

  it('is written only as long as the term lasts, and so is what is dropped of it', async () => {
    const scene = new Scene();
    const { signal } = new AbortController();
    await scene.reconciler.reconcile(KEY, signal);
    scene.declare(fleetYaml({ networkPolicy: { enabled: false }, podLabels: { team: 'storage' } }));
    // What others put into it contradicts what is applied: then it is replaced.
    scene.api.beforeWrite = (write) => {
      if (write !== 'apply StatefulSet sealgate') return;
      scene.api.beforeWrite = () => undefined;
      throw new KubeError('Invalid', write, { status: 422 });
    };
    await scene.reconciler.reconcile(KEY, signal);
    expect(scene.api.takeWrites()).toEqual(
      expect.arrayContaining([
        'create Secret sealgate-root',
        'patch Pod sealgate-0',
        'patch StatefulSet sealgate',
        'delete NetworkPolicy sealgate-dataplane',
      ]),
    );
    expect(scene.api.signals.filter((sent) => sent !== signal)).toEqual([]);
  });

  it('is written no second time when nothing differs', async () => {
    const scene = new Scene();
    await scene.visit();
    scene.api.takeWrites();
    await scene.visit();
    scene.nowMs += DAY_MS;
    await scene.visit();
    expect(scene.api.takeWrites()).toEqual([]);
    expect(scene.events).toHaveLength(1);
  });

  it('needs no Prometheus operator, and is watched by one that comes later', async () => {
    const scene = new Scene();
    scene.api.unknownKinds.add('ServiceMonitor').add('PrometheusRule');
    expect((await scene.visit()).reason).toBe('Ready');
    expect(scene.api.takeWrites().filter((write) => /Monitor|Rule/.test(write))).toEqual([]);
    await scene.visit();
    expect(scene.api.takeWrites()).toEqual([]);
    scene.api.unknownKinds.clear();
    await scene.visit();
    expect(scene.object(SERVICE_MONITOR, 'sealgate-dataplane')).not.toBeNull();
    expect(scene.object(PROMETHEUS_RULE, 'sealgate')?.['spec']).toEqual({
      groups: [{ name: 'g', rules: [{ alert: 'Down', expr: 'up == 0' }] }],
    });
  });

  it('asks for no kinds once their objects are there', async () => {
    const scene = new Scene();
    await scene.visit();
    const asked = scene.api.discovered;
    await scene.visit();
    expect(scene.api.discovered).toBe(asked);
  });

  it.each([true, false])(
    'tries where nobody may ask for kinds, and goes on without them; there: %s',
    async (there) => {
      const scene = new Scene();
      scene.api.discoveryForbidden = true;
      if (!there) scene.api.unknownKinds.add('ServiceMonitor').add('PrometheusRule');
      expect((await scene.visit()).reason).toBe('Ready');
      expect(scene.object(SERVICE_MONITOR, 'sealgate-dataplane') !== null).toBe(there);
    },
  );

  it('never puts a secret into log, event or state', async () => {
    const scene = new Scene();
    await scene.visit();
    const secrets = ['sealgate-installation', 'sealgate-root', 'sealgate-ca', 'sealgate-config'].flatMap(
      (name) =>
        Object.entries(scene.files(name)).flatMap(([file, text]) =>
          /\.(?:key|token)$|root\.json$/.test(file) ? text.match(/[A-Za-z0-9+/]{20,}/g) : [],
        ),
    );
    expect(secrets.length).toBeGreaterThan(5);
    const said = JSON.stringify([scene.log, scene.events, scene.states]);
    expect(secrets.filter((secret) => secret !== null && said.includes(secret))).toEqual([]);
  });

  it.each(Array.from({ length: 14 }, (_, cut) => cut))(
    'is completed after a crash before write %i',
    async (cut) => {
      const scene = new Scene();
      let writes = 0;
      scene.api.beforeWrite = () => {
        if (writes === cut) throw new KubeError('Unavailable', 'cut off');
        writes += 1;
      };
      await expect(scene.visit()).rejects.toThrow('cut off');
      const keyBefore = scene.files('sealgate-installation')['installation.key'];
      scene.api.beforeWrite = () => undefined;
      expect((await scene.visit()).reason).toBe('Ready');
      if (keyBefore !== undefined) {
        expect(scene.files('sealgate-installation')['installation.key']).toBe(keyBefore);
      }
      scene.api.takeWrites();
      await scene.visit();
      expect(scene.api.takeWrites()).toEqual([]);
    },
  );
});

describe('the installation key', () => {
  it.each([
    ['the claim', PERSISTENT_VOLUME_CLAIM, 'data-sealgate-0'],
    ['the StatefulSet', STATEFUL_SET, 'sealgate'],
  ])('is not made anew when %s exists: nothing at all is written', async (_, type, name) => {
    const scene = new Scene();
    scene.api.put(type, { apiVersion: 'v1', kind: type.kind, metadata: { name, namespace: NAMESPACE } });
    const { reason, message } = await scene.visit();
    expect(reason).toBe('InstallationKeyMissing');
    expect(message).toContain('restore the Secret from a backup');
    expect(scene.api.takeWrites()).toEqual([]);
    expect(scene.events).toEqual([`Warning InstallationKeyMissing ${message}`]);
  });

  it('that is damaged is refused, and not replaced', async () => {
    const scene = new Scene();
    await scene.visit();
    const secret = scene.object(SECRET, 'sealgate-installation');
    if (secret === null) throw new Error('no installation Secret');
    scene.api.put(SECRET, { ...secret, data: { 'installation.id': Buffer.from('x').toString('base64') } });
    scene.api.takeWrites();
    expect((await scene.visit()).reason).toBe('InstallationKeyMissing');
    expect(scene.api.takeWrites()).toEqual([]);
  });

  it('of another operator that was faster is the one that counts', async () => {
    const scene = new Scene();
    const faster = new Scene();
    await faster.visit();
    const theirs = faster.object(SECRET, 'sealgate-installation');
    if (theirs === null) throw new Error('no installation Secret');
    scene.api.beforeWrite = (write) => {
      if (write === 'create Secret sealgate-installation') scene.api.put(SECRET, theirs);
    };
    await scene.visit();
    expect(scene.config()['installation']).toMatchObject({
      id: faster.files('sealgate-installation')['installation.id'],
    });
  });
});

describe('an invalid declaration', () => {
  it('changes nothing, names the field, and leaves the last good fleet in care', async () => {
    const scene = new Scene();
    scene.declare(fleetYaml({ logLevel: 'debug' }));
    await scene.visit();
    scene.api.takeWrites();
    scene.declare(fleetYaml({ replicas: 3 }));
    expect(await scene.visit()).toEqual({
      reason: 'FleetInvalid',
      message: 'spec.replicas: must be 1. The last good fleet is kept.',
    });
    expect(scene.api.takeWrites()).toEqual([]);
    scene.nowMs += 61 * DAY_MS;
    await scene.visit();
    expect(scene.api.takeWrites()).toEqual(['apply Secret sealgate-config', 'patch Pod sealgate-0']);
    expect(scene.config()['log']).toEqual({ level: 'debug' });
    scene.declare(fleetYaml());
    expect((await scene.visit()).reason).toBe('Ready');
  });

  it('of a first fleet makes nothing', async () => {
    const scene = new Scene();
    scene.declare('kind: Other');
    expect((await scene.visit()).message).toMatch(/Nothing is made\.$/);
    expect(scene.api.takeWrites()).toEqual([]);
  });

  it.each([
    [{ engine: 'Embedded', size: '40Gi' }, 'storage.size cannot change from 20Gi to 40Gi'],
    [
      { engine: 'Embedded', storageClassName: 'fast' },
      'storage.storageClassName cannot change from the default to fast',
    ],
  ])('is a changed volume %j', async (storage, message) => {
    const scene = new Scene();
    await scene.visit();
    scene.api.takeWrites();
    scene.declare(fleetYaml({ storage }));
    expect(await scene.visit()).toMatchObject({
      reason: 'FleetInvalid',
      message: expect.stringContaining(message),
    });
    expect(scene.api.takeWrites()).toEqual([]);
  });

  it('is a storage class that is no longer named', async () => {
    const scene = new Scene();
    scene.declare(fleetYaml({ storage: { engine: 'Embedded', storageClassName: 'fast' } }));
    await scene.visit();
    scene.api.takeWrites();
    scene.declare(fleetYaml());
    expect(await scene.visit()).toMatchObject({
      reason: 'FleetInvalid',
      message: expect.stringContaining('storage.storageClassName cannot change from fast to the default'),
    });
    expect(scene.api.takeWrites()).toEqual([]);
  });

  // The API server takes such a template, and no pod that is made of it: the one that runs would be gone for nothing.
  it.each([
    [
      { resources: { requests: { cpu: '1' }, limits: { cpu: '500m' } } },
      'spec.resources.requests.cpu: 1 is more than the limit, 500m',
    ],
    [
      { resources: { requests: { memory: '1Gi' }, limits: { memory: '1000Mi' } } },
      'spec.resources.requests.memory: 1Gi is more than the limit, 1000Mi',
    ],
    [
      { tolerations: [{ key: 'a', operator: 'Exists', value: 'b' }] },
      'spec.tolerations[0].value: must be empty with the operator Exists',
    ],
    [
      { tolerations: [{ effect: 'NoExecute' }] },
      'spec.tolerations[0].operator: must be Exists where there is no key',
    ],
    [
      { tolerations: [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 5 }] },
      'spec.tolerations[0].effect: must be NoExecute where tolerationSeconds is set',
    ],
    [{ tolerations: [{ key: 'a b' }] }, 'spec.tolerations[0].key: must be the name of a taint'],
    [
      { tolerations: [{ key: 'a', value: 'b c' }] },
      'spec.tolerations[0].value: must be the value of a label',
    ],
    [{ runAsUser: 2_147_483_648 }, 'spec.runAsUser: Too big: expected number to be <=2147483647'],
    [{ nodeSelector: { 'example..com/disk': 'nvme' } }, 'spec.nodeSelector.example..com/disk: Invalid key'],
    [{ nodeSelector: { [`${'a'.repeat(254)}/disk`]: 'nvme' } }, 'a/disk: Invalid key'],
    [
      {
        affinity: {
          nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
        },
      },
      'nodeSelectorTerms: Too small: expected array to have >=1 items',
    ],
    [
      {
        affinity: {
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 101, podAffinityTerm: { topologyKey: 'a' } },
            ],
          },
        },
      },
      'weight: Too big: expected number to be <=100',
    ],
    [
      {
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: {} }] },
        },
      },
      'topologyKey: missing',
    ],
    [
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'disk', operator: 'Exists', values: ['nvme'] }] },
              ],
            },
          },
        },
      },
      'matchExpressions[0].values: must hold values for In and NotIn',
    ],
  ])('is a pod that would not be admitted: %o %s', async (spec, message) => {
    const scene = new Scene();
    await scene.visit();
    scene.api.takeWrites();
    scene.declare(fleetYaml(spec));
    expect(await scene.visit()).toMatchObject({
      reason: 'FleetInvalid',
      message: expect.stringContaining(message),
    });
    expect(scene.api.takeWrites()).toEqual([]);
  });

  it('is not a placement that Kubernetes takes', async () => {
    const scene = new Scene();
    const labels = { labelSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['db'] }] } };
    scene.declare(
      fleetYaml({
        resources: { requests: { cpu: '1' }, limits: { cpu: '1000m', memory: '2Gi' } },
        tolerations: [{ operator: 'Exists' }, { key: 'a', effect: 'NoExecute', tolerationSeconds: 5 }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                {
                  matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['8'] }],
                  matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }],
                },
              ],
            },
          },
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { ...labels, topologyKey: 'kubernetes.io/hostname', matchLabelKeys: ['app'] },
            ],
          },
        },
      }),
    );
    expect((await scene.visit()).reason).toBe('Ready');
  });

  it('is not the same size in other words', async () => {
    const scene = new Scene();
    await scene.visit();
    scene.declare(fleetYaml({ storage: { engine: 'Embedded', size: '20480Mi' } }));
    expect((await scene.visit()).reason).toBe('Ready');
  });
});

describe('what the API server refuses', () => {
  /** Refuses writes that end so, such as `apply StatefulSet sealgate`. */
  function refusing(scene: Scene, refused: string): void {
    scene.api.beforeWrite = (write) => {
      if (write.endsWith(refused))
        throw new KubeError('Invalid', `${write}: Invalid (HTTP 422)`, { status: 422 });
    };
  }

  it('is told of as FleetInvalid, keeps back nothing that comes later, and is tried again', async () => {
    const scene = new Scene();
    await scene.visit();
    scene.api.takeWrites();
    refusing(scene, 'StatefulSet sealgate');
    scene.declare(
      fleetYaml({
        logLevel: 'debug',
        nodeSelector: { disk: 'nvme' },
        networkPolicy: { enabled: false },
        prometheusRule: { labels: { release: 'prometheus' } },
      }),
    );
    const message =
      'The API server refuses what the fleet needs: patch StatefulSet sealgate: Invalid (HTTP 422)';
    await expect(scene.visit()).rejects.toThrow('patch StatefulSet sealgate: Invalid');
    expect(scene.state()).toEqual({ reason: 'FleetInvalid', message });
    expect(scene.events.slice(1)).toEqual([`Warning FleetInvalid ${message}`]);
    expect(scene.api.takeWrites()).toEqual([
      'apply Secret sealgate-config',
      'apply PrometheusRule sealgate',
      'delete NetworkPolicy sealgate-dataplane',
      'patch Pod sealgate-0',
    ]);
    scene.api.beforeWrite = () => undefined;
    expect((await scene.visit()).reason).toBe('Ready');
    expect(scene.api.takeWrites()).toEqual(['apply StatefulSet sealgate']);
  });

  it('of what a pod needs leaves the pods as they are', async () => {
    const scene = new Scene();
    refusing(scene, 'apply NetworkPolicy sealgate-dataplane');
    await expect(scene.visit()).rejects.toThrow('apply NetworkPolicy sealgate-dataplane: Invalid');
    expect(scene.state().reason).toBe('FleetInvalid');
    expect(scene.object(STATEFUL_SET, 'sealgate')).toBeNull();
    expect(scene.object(PROMETHEUS_RULE, 'sealgate')).not.toBeNull();
  });

  it('of a configuration is not told to a pod', async () => {
    const scene = new Scene();
    await scene.visit();
    scene.api.takeWrites();
    refusing(scene, 'apply Secret sealgate-config');
    scene.declare(fleetYaml({ logLevel: 'debug' }));
    await expect(scene.visit()).rejects.toThrow('apply Secret sealgate-config: Invalid');
    expect(scene.state().reason).toBe('FleetInvalid');
    expect(scene.api.takeWrites()).toEqual([]);
  });

  it('of an object that is not there yet is told with its reason, whatever its kind', async () => {
    const scene = new Scene();
    refusing(scene, 'apply ServiceMonitor sealgate-operator');
    await expect(scene.visit()).rejects.toThrow('apply ServiceMonitor sealgate-operator: Invalid');
    expect(scene.state()).toMatchObject({
      reason: 'FleetInvalid',
      message: expect.stringContaining('apply ServiceMonitor sealgate-operator: Invalid (HTTP 422)'),
    });
    expect(scene.object(PROMETHEUS_RULE, 'sealgate')).not.toBeNull();
  });
});

describe('a change', () => {
  it('of a setting writes the config Secret and tells the pod, without a restart', async () => {
    const scene = new Scene();
    await scene.visit();
    const template = JSON.stringify(scene.object(STATEFUL_SET, 'sealgate')?.['spec']);
    scene.api.takeWrites();
    scene.declare(fleetYaml({ policy: { plainBuckets: 'Refused' } }));
    await scene.visit();
    expect(scene.api.takeWrites()).toContain('patch Pod sealgate-0');
    expect(JSON.stringify(scene.object(STATEFUL_SET, 'sealgate')?.['spec'])).toBe(template);
    expect(scene.object(POD, 'sealgate-0')?.metadata.annotations?.['sealgate.io/config-hash']).toBe(
      scene.config()['revision'],
    );
  });

  it('by somebody else is put back', async () => {
    const scene = new Scene();
    await scene.visit();
    const policy = scene.object(NETWORK_POLICY, 'sealgate-dataplane');
    if (policy === null) throw new Error('no NetworkPolicy');
    const spec = z.record(z.string(), z.unknown()).parse(policy['spec']);
    scene.api.put(NETWORK_POLICY, { ...policy, spec: { ...spec, ingress: [] } });
    scene.api.takeWrites();
    await scene.visit();
    expect(scene.api.takeWrites()).toEqual(['apply NetworkPolicy sealgate-dataplane']);
    expect(scene.object(NETWORK_POLICY, 'sealgate-dataplane')?.['spec']).toEqual(spec);
  });

  it('that switches a part off deletes what the fleet made, and nothing of others', async () => {
    const scene = new Scene();
    await scene.visit();
    scene.drop(SERVICE_MONITOR, 'sealgate-operator');
    scene.api.put(SERVICE_MONITOR, {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'ServiceMonitor',
      metadata: { name: 'sealgate-operator', namespace: NAMESPACE },
    });
    scene.declare(fleetYaml({ networkPolicy: { enabled: false }, serviceMonitor: { enabled: false } }));
    await scene.visit();
    expect(scene.object(NETWORK_POLICY, 'sealgate-dataplane')).toBeNull();
    expect(scene.object(SERVICE_MONITOR, 'sealgate-dataplane')).toBeNull();
    expect(scene.object(SERVICE_MONITOR, 'sealgate-operator')).not.toBeNull();
  });
});

describe('pods', () => {
  it('that have not read the new configuration are asked again soon, and less often as time goes by', async () => {
    const scene = new Scene();
    scene.status = async () => podSays('older', null);
    const signal = new AbortController().signal;
    expect(await scene.reconciler.reconcile(KEY, signal)).toEqual({ requeueAfterMs: 500 });
    scene.nowMs += 20_000;
    expect(await scene.reconciler.reconcile(KEY, signal)).toEqual({ requeueAfterMs: 5_000 });
    scene.nowMs += 3_600_000;
    expect(await scene.reconciler.reconcile(KEY, signal)).toEqual({ requeueAfterMs: 30_000 });
    expect(scene.state().message).toBe('Pod sealgate-0 has not read its new configuration yet.');
    expect(scene.events).toEqual([]);
  });

  it('that do not answer are waited for', async () => {
    const scene = new Scene();
    scene.status = async () => null;
    expect((await scene.visit()).message).toBe('Pod sealgate-0 does not answer on its admin port yet.');
    scene.drop(POD, 'sealgate-0');
    expect((await scene.visit()).message).toBe('There is no data-plane pod yet.');
  });

  it('that refuse their configuration are told of with every problem', async () => {
    const scene = new Scene();
    scene.status = async () => podSays('older', ['workers: cannot change', 's3.tls: no']);
    expect(await scene.visit()).toEqual({
      reason: 'ConfigRefused',
      message: 'Pod sealgate-0 refuses its configuration: workers: cannot change; s3.tls: no',
    });
    expect(scene.events).toHaveLength(1);
  });
});

describe('what renews itself', () => {
  it('does so without a restart, and the operator always uses a token that every pod knows', async () => {
    const scene = new Scene();
    await scene.visit();
    const access = () =>
      adminAccess(scene.object(SECRET, 'sealgate-config'), scene.object(SECRET, 'sealgate-ca'));
    const template = JSON.stringify(scene.object(STATEFUL_SET, 'sealgate')?.['spec']);
    let known = scene.files('sealgate-config')['admin.token'] ?? '';
    const used = new Set<string>();
    for (let day = 0; day < 100; day += 1) {
      scene.nowMs += DAY_MS;
      await scene.visit();
      const token = access()?.token ?? '';
      used.add(token);
      // The file of a day ago: what a pod has that was slow to read.
      expect(known.split('\n')).toContain(token);
      known = scene.files('sealgate-config')['admin.token'] ?? '';
    }
    expect(used.size).toBe(4);
    expect(JSON.stringify(scene.object(STATEFUL_SET, 'sealgate')?.['spec'])).toBe(template);
  });

  it('is the S3 certificate when 60 of its 90 days are over, and at once when the Service got another address', async () => {
    const scene = new Scene();
    await scene.visit();
    const first = scene.files('sealgate-config')['s3.crt'];
    scene.nowMs += 59 * DAY_MS;
    await scene.visit();
    expect(scene.files('sealgate-config')['s3.crt']).toBe(first);
    scene.nowMs += 2 * DAY_MS;
    await scene.visit();
    const second = scene.files('sealgate-config')['s3.crt'];
    expect(second).not.toBe(first);
    scene.declare(fleetYaml({ s3: { domains: ['s3.example.com'] } }));
    await scene.visit();
    expect(scene.files('sealgate-config')['s3.crt']).not.toBe(second);
  });
});
