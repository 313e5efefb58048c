/** The chart, rendered by the real helm: what it refuses, and what nothing that it makes may ever be. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { type FleetSpec, parseFleet } from '../../operator/fleet/fleetSpec.ts';
import { parseAlertGroups } from '../../operator/fleet/prometheusRule.ts';
import { type S3Request, s3Request } from '../../operator/helmTest/signedRequest.ts';
import { CHART, helm, type RenderedObject, renderChart } from '../harness/chart.ts';
import { type Sealgate, startSealgate } from '../harness/sealgate.ts';

/** Every part that can be switched on. */
const EVERYTHING = {
  'operator.replicas': 3,
  'operator.priorityClassName': 'system-cluster-critical',
  'ingress.enabled': true,
  'ingress.hosts': ['s3.example.com', '*.s3.example.com'],
  'ingress.annotations': { 'example.com/buffering': 'off' },
  'httpRoute.enabled': true,
  'httpRoute.parentRefs': [{ name: 'gateway', namespace: 'gateways' }],
  'tests.kmsConnectionRef.name': 'keysecure',
};

const podSpec = z.looseObject({
  automountServiceAccountToken: z.boolean(),
  securityContext: z.looseObject({
    runAsNonRoot: z.boolean(),
    seccompProfile: z.object({ type: z.string() }),
  }),
  volumes: z.array(z.looseObject({ hostPath: z.undefined().optional() })).default([]),
  containers: z.array(
    z.looseObject({
      image: z.string(),
      resources: z.object({
        requests: z.object({ cpu: z.string(), memory: z.string() }),
        limits: z.looseObject({ memory: z.string() }),
      }),
      securityContext: z.looseObject({}),
    }),
  ),
});

const withTemplate = z.looseObject({ spec: z.looseObject({ template: z.looseObject({ spec: podSpec }) }) });

function podsOf(objects: readonly RenderedObject[]): { name: string; pod: z.output<typeof podSpec> }[] {
  return objects.flatMap((object) => {
    const name = `${object.kind} ${object.metadata.name}`;
    if (object.kind === 'Pod') return [{ name, pod: podSpec.parse(object['spec']) }];
    if (object.kind === 'Deployment') return [{ name, pod: withTemplate.parse(object).spec.template.spec }];
    return [];
  });
}

function only(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  expect(found.map((object) => object.metadata.name)).toEqual([name]);
  const [object] = found;
  if (object === undefined) throw new Error(`no ${kind} ${name}`);
  return object;
}

const fleetFile = z.object({ 'fleet.yaml': z.string() });

async function fleetOf(values: Readonly<Record<string, unknown>>): Promise<FleetSpec> {
  const configMap = only(await renderChart(values), 'ConfigMap', 'sealgate-fleet');
  const { name, spec } = parseFleet(fleetFile.parse(configMap['data'])['fleet.yaml']);
  expect(name).toBe('sealgate');
  return spec;
}

describe('the chart', () => {
  it.each([
    ['as it is', []],
    ['with everything', ['--set-json', `tests.kmsConnectionRef=${JSON.stringify({ name: 'keysecure' })}`]],
    [
      'on a platform that assigns users',
      ['--set', 'fleet.runAsUser=null', '--set', 'operator.runAsUser=null'],
    ],
  ])('%s passes helm lint --strict', async (_, args) => {
    expect(await helm(['lint', '--strict', CHART, ...args])).toContain('0 chart(s) failed');
  });

  it.each([
    ['fleet.replicas', 2, '/fleet/replicas'],
    ['fleet.replica', 1, '/fleet'],
    ['fleet.storage.engine', 'Distributed', '/fleet/storage/engine'],
    ['fleet.runAsUser', 0, '/fleet/runAsUser'],
    ['fleet.resources.requests.cpu', 'much', '/fleet/resources/requests/cpu'],
    ['fleet.runAsUser', 2_147_483_648, '/fleet/runAsUser'],
    ['fleet.tolerations', [{ key: 'a', operator: 'Exists', value: 'b' }], '/fleet/tolerations/0'],
    ['fleet.tolerations', [{ effect: 'NoExecute' }], '/fleet/tolerations/0'],
    ['fleet.tolerations', [{ operator: 'Exists', tolerationSeconds: 5 }], '/fleet/tolerations/0'],
    ['image.tag', 'latest', '/image/tag'],
    ['operator.replicas', 0, '/operator/replicas'],
    ['watchNamespaces', ['Team A'], '/watchNamespaces/0'],
    ['anything', true, 'anything'],
  ])('refuses %s = %j by its name', async (path, value, named) => {
    await expect(renderChart({ [path]: value })).rejects.toThrow(named);
  });

  it('refuses a Kubernetes that is too old', async () => {
    await expect(helm(['template', 'sealgate', CHART, '--kube-version', 'v1.31.9'])).rejects.toThrow(
      'chart requires kubeVersion: >=1.32.0-0',
    );
  });

  it('gives the operator a fleet that it accepts, with every value in its place', async () => {
    expect(await fleetOf({})).toMatchObject({
      image: 'sealgate.test/sealgate:0.1.0',
      runAsUser: 65_532,
      replicas: 1,
    });
    const digest = `sha256:${'0f'.repeat(32)}`;
    const spec = await fleetOf({
      'image.digest': digest,
      'image.pullSecrets': [{ name: 'pull' }],
      'fleet.s3.domains': ['s3.example.com'],
      'fleet.storage.size': '500Gi',
    });
    expect(spec).toMatchObject({
      image: `sealgate.test/sealgate@${digest}`,
      imagePullSecrets: [{ name: 'pull' }],
      s3: { domains: ['s3.example.com'] },
      storage: { size: '500Gi' },
    });
  });

  it('takes a null for the user as: whatever the platform assigns', async () => {
    const values = { 'fleet.runAsUser': null, 'operator.runAsUser': null };
    expect((await fleetOf(values)).runAsUser).toBeNull();
    const [operator] = podsOf(await renderChart(values));
    expect(operator?.pod.securityContext).not.toHaveProperty('runAsUser');
  });

  it('takes the DNS of OpenShift as docs/install.md sets it', async () => {
    const page = await readFile(new URL('../../docs/install.md', import.meta.url), 'utf8');
    const flags = [...page.matchAll(/--set '?(fleet\.networkPolicy\.dns[^\s']+)'?/g)].flatMap(
      ([, set = '']) => ['--set', set],
    );
    const text = await helm(['template', 'sealgate', CHART, ...flags, '-s', 'templates/fleet.yaml']);
    const { data } = z.object({ data: fleetFile }).parse(parse(text));
    expect(parseFleet(data['fleet.yaml']).spec.networkPolicy).toMatchObject({
      dnsNamespace: 'openshift-dns',
      dnsPorts: [5353],
      dnsCidrs: [],
    });
  });

  it('hands over the shipped alerts, and not their tests', async () => {
    const alerts = only(await renderChart(), 'ConfigMap', 'sealgate-alerts');
    const files = z.record(z.string(), z.string()).parse(alerts['data']);
    expect(Object.keys(files).toSorted()).toEqual([
      'kms.yaml',
      'operator.yaml',
      'process.yaml',
      'rotation.yaml',
    ]);
    expect(parseAlertGroups(files).map(({ name }) => name)).toEqual([
      'sealgate-kms',
      'sealgate-operator',
      'sealgate-process',
      'sealgate-rotation',
    ]);
  });

  it('shows in its dashboard only metrics that are there', async () => {
    const dashboard = only(await renderChart(), 'ConfigMap', 'sealgate-dashboard');
    expect(dashboard.metadata.labels).toMatchObject({ grafana_dashboard: '1' });
    const text = z.object({ 'sealgate.json': z.string() }).parse(dashboard['data'])['sealgate.json'];
    const shown = new Set(
      [...text.matchAll(/\bsealgate_\w+/g)].map(([name]) => name.replace(/_bucket$/, '')),
    );
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    expect(shown.size).toBeGreaterThan(15);
    expect([...shown].filter((name) => !page.includes(`\`${name}`))).toEqual([]);
  });

  it('keeps the custom resources and their admission policies on uninstall, and leaves them to another installation when told so', async () => {
    const kept = (await renderChart()).filter(
      ({ metadata }) => metadata.annotations['helm.sh/resource-policy'] === 'keep',
    );
    expect(kept.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted()).toEqual([
      'CustomResourceDefinition encryptedbuckets.sealgate.io',
      'CustomResourceDefinition kmsconnections.sealgate.io',
      'ValidatingAdmissionPolicy sealgate-encryptedbuckets',
      'ValidatingAdmissionPolicyBinding sealgate-encryptedbuckets',
    ]);
    const second = (await renderChart({ 'crds.enabled': false })).map(({ kind }) => kind);
    expect(second.filter((kind) => /^(?:CustomResource|ValidatingAdmission)/.test(kind))).toEqual([]);
  });

  it('takes names for what they are, also where YAML has a number or a truth in their place', async () => {
    const names = {
      'tests.kmsConnectionRef': { name: '1e3', namespace: '007' },
      watchNamespaces: ['null', '0x1'],
    };
    const values = { ...EVERYTHING, ...names, 'ingress.className': '5', 'operator.priorityClassName': 'yes' };
    const objects = await renderChart(values, { release: '123', namespace: 'true' });
    const strange: string[] = [];
    const named = objects.filter(({ kind }) => kind !== 'CustomResourceDefinition');
    JSON.stringify(named, (key, value: unknown) => {
      if (/^(?:name|namespace|ingressClassName|priorityClassName)$/.test(key) && typeof value !== 'string') {
        strange.push(`${key}: ${String(value)}`);
      }
      return value;
    });
    expect(strange).toEqual([]);
    const { data } = z.object({ data: fleetFile }).parse(only(objects, 'ConfigMap', '123-fleet'));
    expect(parseFleet(data['fleet.yaml']).name).toBe('123');
  });

  it('needs hosts for an Ingress and gateways for an HTTPRoute', async () => {
    await expect(renderChart({ 'ingress.enabled': true })).rejects.toThrow(
      'ingress.enabled needs ingress.hosts',
    );
    await expect(renderChart({ 'httpRoute.enabled': true })).rejects.toThrow('needs httpRoute.parentRefs');
  });

  it('can be a part of another chart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sealgate-chart-'));
    try {
      const dependency = { name: 'sealgate', version: '0.1.0', repository: `file://${CHART}` };
      const chart = { apiVersion: 'v2', name: 'whole', version: '1.0.0', dependencies: [dependency] };
      await writeFile(join(folder, 'Chart.yaml'), JSON.stringify(chart));
      await helm(['dependency', 'build', '--skip-refresh', folder]);
      expect(await helm(['template', 'whole', folder, '--kube-version', 'v1.36.0'])).toContain(
        'name: whole-fleet',
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('every pod of the chart', () => {
  let pods: ReturnType<typeof podsOf> = [];
  beforeAll(async () => {
    pods = podsOf(await renderChart(EVERYTHING));
  });

  it('is one that is known here', () => {
    expect(pods.map(({ name }) => name).toSorted()).toEqual([
      'Deployment sealgate-operator',
      'Pod sealgate-test',
    ]);
  });

  it('runs an image of one version, never latest', () => {
    expect(pods.flatMap(({ pod }) => pod.containers.map(({ image }) => image))).toEqual([
      'sealgate.test/sealgate:0.1.0',
      'sealgate.test/sealgate:0.1.0',
    ]);
  });

  it('is restricted: not root, read-only root, no capability, no host', () => {
    for (const { pod } of pods) {
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const { securityContext } of pod.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
      expect(Object.keys(pod).filter((field) => field.startsWith('host'))).toEqual([]);
    }
  });

  it('that goes on has probes', () => {
    const operator = pods.find(({ name }) => name.startsWith('Deployment'));
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      expect(operator?.pod.containers[0]).toHaveProperty(probe);
    }
  });
});

const roleRules = z.array(
  z.object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
    verbs: z.array(z.string()),
  }),
);

function rights(objects: readonly RenderedObject[]): { where: string; what: string; verbs: string[] }[] {
  return objects
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role')
    .flatMap((object) =>
      roleRules.parse(object['rules']).flatMap(({ apiGroups, resources, verbs }) =>
        resources.map((resource) => ({
          where: `${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`,
          what: `${apiGroups.join()}/${resource}`,
          verbs,
        })),
      ),
    );
}

describe('rights', () => {
  it('name every verb and resource: nothing has a star', async () => {
    const objects = await renderChart(EVERYTHING);
    const said = rights(objects).filter(({ what, verbs }) => what.includes('*') || verbs.includes('*'));
    expect(said).toEqual([]);
  });

  it('to adopt, to destroy and to claim any name come with no other role', async () => {
    const special = rights(await renderChart()).filter(({ verbs }) =>
      verbs.some((verb) => ['adopt', 'destroy', 'claimanyname'].includes(verb)),
    );
    expect(special.map(({ where, verbs }) => `${where} ${verbs.join()}`).toSorted()).toEqual([
      'ClusterRole /storage-sealgate-adopt adopt',
      'ClusterRole /storage-sealgate-claimanyname claimanyname',
      'ClusterRole /storage-sealgate-destroy destroy',
    ]);
  });

  it('of the operator over Secrets end at the namespaces that it watches', async () => {
    const secrets = (values: Record<string, unknown>) =>
      renderChart(values).then((objects) =>
        rights(objects)
          .filter(({ what }) => what === '/secrets')
          .map(({ where }) => where)
          .toSorted(),
      );
    expect(await secrets({})).toEqual(['ClusterRole /storage-sealgate-operator']);
    expect(await secrets({ watchNamespaces: ['team-a', 'team-b'] })).toEqual([
      'Role storage/sealgate-operator',
      'Role team-a/storage-sealgate-operator',
      'Role team-b/storage-sealgate-operator',
    ]);
    expect(await secrets({ watchNamespaces: ['team-a', 'storage'] })).toEqual([
      'Role storage/sealgate-operator',
      'Role team-a/storage-sealgate-operator',
    ]);
  });
});

describe('the client of helm test', () => {
  let folder: string;
  let server: Sealgate;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sealgate-helm-test-'));
    server = await startSealgate({ folder, workers: 1 });
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true });
  });

  function send(method: S3Request['method'], path: string, text = '') {
    const { accessKeyId, secretAccessKey, region } = server;
    const endpoint = new URL(server.endpoint);
    const access = { endpoint, region, accessKeyId, secretAccessKey, ca: undefined };
    return s3Request(access, { method, path, body: Buffer.from(text) }, Date.now());
  }

  it('is understood by the data plane', async () => {
    expect((await send('PUT', '/helm-test')).status).toBe(200);
    expect((await send('PUT', '/helm-test/a/object', 'content')).status).toBe(200);
    expect((await send('GET', '/helm-test/a/object')).body.toString()).toBe('content');
    expect((await send('DELETE', '/helm-test/a/object')).status).toBe(204);
    expect((await send('GET', '/helm-test/a/object')).status).toBe(404);
  });

  it('leaves nothing in the bucket when it fails, so that the next test can begin', async () => {
    expect((await send('PUT', '/not-encrypted')).status).toBe(200);
    const main = fileURLToPath(new URL('../../operator/helmTest/main.ts', import.meta.url));
    const env = {
      AWS_ENDPOINT_URL_S3: server.endpoint,
      AWS_REGION: server.region,
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
      BUCKET_NAME: 'not-encrypted',
      DATA_PLANE_POD: 'sealgate-0',
      POD_NAMESPACE: 'storage',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: '1',
    };
    await expect(promisify(execFile)(process.execPath, [main], { env })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('FAILED  PUT /not-encrypted/helm-test/object said'),
    });
    expect((await send('GET', '/not-encrypted/helm-test/object')).status).toBe(404);
    expect((await send('DELETE', '/not-encrypted')).status).toBe(204);
  });
});
