/**
 * The chart and the fleet on a real API server, without nodes: everything is accepted, nothing is written twice, and the
 * operator needs no right that the chart does not give. No pod runs here.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CHART, renderChart } from '../harness/chart.ts';
import type { ControlPlane } from '../harness/cluster/controlPlane.ts';
import { monitoringDefinitions } from '../harness/cluster/programs.ts';
import { requestsOf } from '../harness/cluster/rights.ts';
import { startControlPlane } from '../harness/cluster/startControlPlane.ts';
import { type FleetOperator, startFleetOperator } from '../harness/fleetOperator.ts';

const NAMESPACE = 'storage';

let plane: ControlPlane;
let operator: FleetOperator;

async function json(args: readonly string[]): Promise<unknown> {
  return JSON.parse(await plane.kubectl(['-n', NAMESPACE, ...args, '-o', 'json']));
}

const template = z.object({
  spec: z.object({
    template: z.object({ metadata: z.looseObject({}), spec: z.looseObject({}) }),
    volumeClaimTemplates: z.array(z.looseObject({})),
  }),
});

beforeAll(async () => {
  plane = await startControlPlane();
  await plane.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  await plane.helm([
    'install',
    'sealgate',
    CHART,
    '-n',
    NAMESPACE,
    '--set',
    'tests.kmsConnectionRef.name=keysecure',
  ]);
  operator = startFleetOperator({
    kubeconfig: await plane.serviceAccountKubeconfig(NAMESPACE, 'sealgate-operator'),
    fleet: { name: 'sealgate', namespace: NAMESPACE },
    podStatus: async () => null,
  });
}, 240_000);

afterAll(async () => {
  await operator?.close();
  await plane?.close();
});

describe('the fleet on a real API server', () => {
  it('is made with the rights that the chart gives', async () => {
    expect(await operator.visit()).toEqual({
      reason: 'Progressing',
      message: 'There is no data-plane pod yet.',
    });
    expect(operator.takeWrites().map((write) => write.replace(/ metadata$/, ''))).toEqual([
      'Service sealgate',
      'Secret sealgate-ca',
      'Service sealgate-admin',
      'Service sealgate-metrics',
      'ServiceAccount sealgate-dataplane',
      'Secret sealgate-config',
      'NetworkPolicy sealgate-dataplane',
      'StatefulSet sealgate',
    ]);
  });

  it('is written no second time: what the API server adds and rewrites is no difference', async () => {
    await operator.visit();
    expect(operator.takeWrites()).toEqual([]);
  });

  it('sends no write for kinds that the cluster has not, and makes their objects when the kinds come', async () => {
    const account = { namespace: NAMESPACE, name: 'sealgate-operator' };
    const ofPrometheus = requestsOf(await plane.auditEvents(), account).filter(({ requestURI }) =>
      requestURI.startsWith('/apis/monitoring.coreos.com/'),
    );
    expect(new Set(ofPrometheus.map(({ verb }) => verb))).toEqual(new Set(['get']));
    for (const file of monitoringDefinitions()) await plane.kubectl(['apply', '--server-side', '-f', file]);
    await plane.kubectl(['wait', 'crd', '--all', '--for=condition=Established', '--timeout=30s']);
    const written: string[] = [];
    // Established kinds are not in the discovery at once.
    const visited = async (): Promise<string[]> => {
      await operator.visit();
      written.push(...operator.takeWrites());
      return written;
    };
    await expect
      .poll(visited, { timeout: 30_000, interval: 200 })
      .toEqual([
        'ServiceMonitor sealgate-dataplane metadata',
        'ServiceMonitor sealgate-operator metadata',
        'PrometheusRule sealgate metadata',
      ]);
    await operator.visit();
    expect(operator.takeWrites()).toEqual([]);
  });

  it('is put right when somebody changes it, and only where it was changed', async () => {
    await plane.kubectl([
      '-n',
      NAMESPACE,
      'patch',
      'service',
      'sealgate',
      '--type=json',
      '-p',
      '[{"op":"replace","path":"/spec/ports/0/port","value":9999}]',
    ]);
    await plane.kubectl([
      '-n',
      NAMESPACE,
      'patch',
      'service',
      'sealgate-metrics',
      '--type=json',
      '-p',
      '[{"op":"replace","path":"/spec/ports/0/port","value":9999}]',
    ]);
    await plane.kubectl([
      '-n',
      NAMESPACE,
      'set',
      'image',
      'statefulset/sealgate',
      'dataplane=example.com/other:1',
    ]);
    await operator.visit();
    expect(operator.takeWrites().toSorted()).toEqual([
      'Service sealgate spec.ports[0].port',
      'Service sealgate-metrics spec.ports[0].port',
      'StatefulSet sealgate spec.template.spec.containers[0].image',
    ]);
    await operator.visit();
    expect(operator.takeWrites()).toEqual([]);
  });

  it('follows the chart: fields that come, change and go', async () => {
    const upgrade = ['upgrade', 'sealgate', CHART, '-n', NAMESPACE];
    const settings = [
      'fleet.logLevel=debug',
      'fleet.nodeSelector.disk=nvme',
      'fleet.resources.requests.cpu=1500m',
    ];
    await plane.helm([...upgrade, ...settings.flatMap((value) => ['--set', value])]);
    await operator.visit();
    expect(operator.takeWrites().map((write) => write.split(' ').slice(0, 2).join(' '))).toEqual([
      'Secret sealgate-config',
      'StatefulSet sealgate',
    ]);
    await plane.helm([
      ...upgrade,
      '--set',
      'fleet.resources.requests.memory=1024Mi',
      '--set',
      'fleet.networkPolicy.enabled=false',
      '--set',
      'fleet.s3.tls=false',
    ]);
    await operator.visit();
    const { spec } = template.parse(await json(['get', 'statefulset', 'sealgate']));
    // Both Services had ports of others' above: none may be left.
    expect(
      await plane.kubectl([
        '-n',
        NAMESPACE,
        'get',
        'service',
        'sealgate',
        '-o',
        'jsonpath={.spec.ports[*].port}',
      ]),
    ).toBe('80');
    expect(spec.template.spec).not.toHaveProperty('nodeSelector');
    expect(await plane.kubectl(['-n', NAMESPACE, 'get', 'networkpolicy', '-o', 'name'])).toBe('');
    operator.takeWrites();
    await operator.visit();
    expect(operator.takeWrites()).toEqual([]);
  });

  it('keeps its volume and the last good fleet when a changed size is asked for', async () => {
    await plane.helm(['upgrade', 'sealgate', CHART, '-n', NAMESPACE, '--set', 'fleet.storage.size=40Gi']);
    expect(await operator.visit()).toMatchObject({
      reason: 'FleetInvalid',
      message: expect.stringContaining('storage.size cannot change from 20Gi to 40Gi'),
    });
    expect(operator.takeWrites()).toEqual([]);
    await plane.helm(['upgrade', 'sealgate', CHART, '-n', NAMESPACE, '--reset-values']);
    expect((await operator.visit()).reason).toBe('Progressing');
  });

  it('makes pods that restricted pod security admits, and takes a new configuration to them by an annotation', async () => {
    const { spec } = template.parse(await json(['get', 'statefulset', 'sealgate']));
    const volumes = z.array(z.looseObject({})).parse(spec.template.spec['volumes']);
    await plane.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...spec.template.metadata, name: 'sealgate-0', namespace: NAMESPACE },
      spec: {
        ...spec.template.spec,
        volumes: [...volumes, { name: 'data', persistentVolumeClaim: { claimName: 'data-sealgate-0' } }],
      },
    });
    expect((await operator.visit()).message).toBe('Pod sealgate-0 does not answer on its admin port yet.');
    const pod = z
      .object({ metadata: z.object({ annotations: z.record(z.string(), z.string()) }) })
      .parse(await json(['get', 'pod', 'sealgate-0']));
    expect(pod.metadata.annotations['sealgate.io/config-hash']).toMatch(/^[0-9a-f]{64}$/);
    expect((await operator.visit()).reason).toBe('Progressing');
  });

  it('never makes an installation key where there is data', async () => {
    await plane.kubectl(['-n', NAMESPACE, 'delete', 'secret', 'sealgate-installation']);
    expect((await operator.visit()).reason).toBe('InstallationKeyMissing');
    expect(await plane.kubectl(['-n', NAMESPACE, 'get', 'secret', '-o', 'name'])).not.toContain(
      'installation',
    );
  });

  it('has a helm test that the API server accepts, pod security and custom resource included', async () => {
    const objects = await renderChart({ 'tests.kmsConnectionRef.name': 'keysecure' });
    const hooks = objects.filter(({ metadata }) => metadata.annotations['helm.sh/hook'] === 'test');
    expect(hooks.map(({ kind }) => kind).toSorted()).toEqual([
      'EncryptedBucket',
      'Pod',
      'Role',
      'RoleBinding',
      'ServiceAccount',
    ]);
    const pods = hooks.filter(({ kind }) => kind === 'Pod');
    await plane.apply(...hooks.filter(({ kind }) => kind !== 'Pod'));
    await plane.apply(...pods);
  });

  it('and the custom resources and their admission policies stay when the release goes', async () => {
    await plane.helm(['uninstall', 'sealgate', '-n', NAMESPACE]);
    expect(
      await plane.kubectl(['-n', NAMESPACE, 'get', 'statefulset,secret,service', '-o', 'name']),
    ).toContain('statefulset.apps/sealgate\n');
    expect(await plane.kubectl(['get', 'crd', '-o', 'name'])).toContain('encryptedbuckets.sealgate.io');
    const kinds = ['validatingadmissionpolicy', 'validatingadmissionpolicybinding'];
    const policies = await plane.kubectl(['get', kinds.join(','), '-o', 'name']);
    for (const kind of kinds) {
      expect(policies).toContain(`${kind}.admissionregistration.k8s.io/sealgate-encryptedbuckets\n`);
    }
    await plane.helm(['install', 'sealgate', CHART, '-n', NAMESPACE]);
  });
});
