import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_IMAGE } from '../../harness/cluster/busyboxImage.ts';
import { sharedCluster } from '../../harness/cluster/sharedCluster.ts';
import { type Pykmip, startPykmip } from '../../harness/pykmip.ts';

const cluster = sharedCluster();
const namespace = 'workloads';

const kubectl = async (...args: readonly string[]): Promise<string> =>
  await cluster.kubectl(['--namespace', namespace, ...args]);

/** What the Pod Security Standard `restricted` asks of a container. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

const busybox = (script: string, more: object = {}) => ({
  name: 'busybox',
  image: BUSYBOX_IMAGE,
  command: ['sh', '-c', script],
  securityContext: RESTRICTED,
  ...more,
});

const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
    ...spec,
  },
});

/** Two pods that each answer with their own name. */
const WEB = [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          terminationGracePeriodSeconds: 0,
          securityContext: { runAsUser: 65532, runAsGroup: 65532 },
          volumes: [{ name: 'www', emptyDir: {} }],
          containers: [
            busybox('hostname | tee /www/index.html; exec httpd -f -p 8080 -h /www', {
              volumeMounts: [{ name: 'www', mountPath: '/www' }],
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            }),
          ],
        },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  },
];

beforeAll(async () => {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
  await kubectl('wait', '--for=create', '--timeout=30s', 'serviceaccount/default');
  await cluster.apply(...WEB);
  await kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
});

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

describe('a cluster of the tests', () => {
  it('has a node that is Ready and runs the Kubernetes release that was asked for', async () => {
    const format = '{.status.conditions[?(@.type=="Ready")].status} {.status.nodeInfo.kubeletVersion}';
    expect(await cluster.kubectl(['get', 'node', 'node-0', '-o', `jsonpath=${format}`])).toMatch(
      /^True v1\.36\./,
    );
  });

  it('answers by a Service, at its address and at its name, from within its network', async () => {
    const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const names = (
      await kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}')
    ).split(' ');
    expect(names).toHaveLength(2);
    for (const host of [address, `web.${namespace}`, `web.${namespace}.svc.cluster.local`]) {
      const answer = await cluster.inNetwork(['busybox', 'wget', '-q', '-O', '-', `http://${host}/`]);
      expect(names).toContain(answer.trim());
    }
  });

  it('opens a port of this machine that leads to a Service', async () => {
    const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const port = await cluster.forward(address, 80);
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect(await answer.text()).toMatch(/^web-/);
  });

  it('resolves names in a pod, runs commands in it and shows its log', async () => {
    const pods = await kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}');
    const [first = ''] = pods.split(' ');
    const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const found = await kubectl('exec', first, '--', 'nslookup', `web.${namespace}.svc.cluster.local`);
    expect(found).toContain(address);
    // From a pod, through the Service, to whichever pod it chooses: the caller itself too.
    for (let call = 0; call < 8; call += 1) {
      expect(pods).toContain((await kubectl('exec', first, '--', 'wget', '-qO-', 'http://web/')).trim());
    }
    expect((await kubectl('logs', first)).trim()).toBe(first);
  });

  it('lets a restricted pod that is not root write to a volume that it claimed', async () => {
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'claim', namespace },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
      pod('writer', {
        restartPolicy: 'Never',
        volumes: [{ name: 'kept', persistentVolumeClaim: { claimName: 'claim' } }],
        containers: [
          busybox(
            'id -u; touch /kept/file && stat -c "%u %g" /kept/file; touch /file 2>/dev/null || echo read-only',
            {
              volumeMounts: [{ name: 'kept', mountPath: '/kept' }],
            },
          ),
        ],
      }),
    );
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s', 'pod/writer');
    expect(await kubectl('logs', 'writer')).toBe('65532\n65532 65532\nread-only\n');
  });

  it('refuses a pod that the restricted standard does not allow', async () => {
    const containers = [busybox('true', { securityContext: {} })];
    await expect(cluster.apply(pod('rooted', { containers }))).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringContaining('violates PodSecurity "restricted:latest"'),
    });
  });

  it('gives users and service accounts the rights that RBAC gives them, and writes down who did what', async () => {
    const alice = await cluster.userKubeconfig('alice', ['readers']);
    const account = await cluster.serviceAccountKubeconfig(namespace, 'default');
    const asked = ['get', 'configmaps', '--namespace', namespace];
    for (const kubeconfig of [alice, account]) {
      await expect(cluster.kubectl(asked, { kubeconfig })).rejects.toMatchObject({
        message: expect.stringContaining('Forbidden'),
      });
    }
    const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
    await cluster.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'readers', namespace },
      roleRef: role,
      subjects: [
        { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'readers' },
        { kind: 'ServiceAccount', name: 'default', namespace },
      ],
    });
    for (const kubeconfig of [alice, account]) {
      expect(await cluster.kubectl(asked, { kubeconfig })).toContain('kube-root-ca.crt');
    }
    const events = await cluster.auditEvents();
    const seen = events.filter(
      (event) =>
        event.objectRef?.resource === 'configmaps' &&
        event.objectRef.namespace === namespace &&
        event.verb === 'list',
    );
    const codesOf = (user: string) =>
      seen.filter((event) => event.user.username === user).map((event) => event.responseStatus?.code);
    expect(codesOf('alice')).toEqual([403, 200]);
    expect(codesOf(`system:serviceaccount:${namespace}:default`)).toEqual([403, 200]);
  });

  it('goes on after its API server has been killed: pods answer meanwhile, and objects are still there', async () => {
    const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const before = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}');
    await cluster.stopApiServer();
    await expect(fetch(cluster.apiServerUrl)).rejects.toThrow('fetch failed');
    expect(await cluster.inNetwork(['busybox', 'wget', '-q', '-O', '-', `http://${address}/`])).toMatch(
      /^web-/,
    );
    await cluster.restartApiServer();
    expect(await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}')).toBe(before);
  });

  it('has room for a KMIP server that pods reach at the address of their node', async () => {
    const folder = `${cluster.folder}/kms-of-the-test`;
    let kms: Pykmip | null = null;
    try {
      kms = await startPykmip({ folder, port: 5696, host: cluster.nodeAddress, enter: cluster.enter });
      const connect = `nc -w 2 ${cluster.nodeAddress} ${kms.port} </dev/null`;
      const reach = ['exec', 'deployment/web', '--', 'sh', '-c', connect];
      await kubectl(...reach);
      await kms.kill();
      await expect(kubectl(...reach)).rejects.toMatchObject({ code: 'command_failed' });
    } finally {
      await kms?.kill();
      await rm(folder, { recursive: true });
    }
  });
});
