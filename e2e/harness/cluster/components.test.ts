import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { corefile, dnsObjects, localVolume, resolverConfiguration } from './clusterObjects.ts';
import { apiServerFlags, auditPolicy } from './components.ts';
import { containerdConfiguration, kubeletConfiguration, networkConfiguration } from './nodeConfiguration.ts';

const files = { cert: 'x.crt', key: 'x.key' };
const apiServer = (advertiseAddress: string | null) =>
  apiServerFlags({
    bindAddress: '0.0.0.0',
    port: 6443,
    advertiseAddress,
    etcdPort: 2379,
    clientCa: 'ca.crt',
    serving: files,
    kubeletClient: files,
    serviceAccountKey: 'sa.key',
    serviceAccountPublicKey: 'sa.pub',
    auditPolicy: 'policy',
    auditLog: 'log',
  });

describe('the configuration of a cluster', () => {
  it('publishes the API server at the address of the node, and nowhere where there is no node', () => {
    expect(apiServer('10.99.0.1')).toEqual(
      expect.arrayContaining(['--advertise-address=10.99.0.1', '--endpoint-reconciler-type=lease']),
    );
    expect(apiServer(null)).toContain('--endpoint-reconciler-type=none');
  });

  it('gives rights by RBAC and writes requests down without bodies', () => {
    expect(apiServer(null)).toContain('--authorization-mode=Node,RBAC');
    expect(parse(auditPolicy()).rules).toEqual([{ level: 'Metadata' }]);
  });

  it('keeps what real nodes have: rights asked of the API server, and slowly mounted Secrets', () => {
    const options = { address: '10.99.0.1', clientCa: 'ca.crt', serving: files, cgroupRoot: '/x' };
    expect(kubeletConfiguration(options)).toMatchObject({
      authentication: { anonymous: { enabled: false } },
      authorization: { mode: 'Webhook' },
      syncFrequency: '1m',
      cgroupRoot: '/x',
    });
  });

  it('writes strings that TOML and the Corefile read, whatever is in a path', () => {
    const path = '/a "quoted" \\ path';
    const quoted = JSON.stringify(path);
    expect(containerdConfiguration({ root: path, networkFolder: path, sandboxImage: 'x' })).toContain(
      `root = ${quoted}\n`,
    );
    expect(corefile({ address: '10.99.0.1', kubeconfig: path })).toContain(`kubeconfig ${quoted}\n`);
  });

  it('gives each node its own range of pods, and pods a way out of it', () => {
    expect(networkConfiguration('10.244.1.0/24', 'kept')).toMatchObject({
      plugins: [{ ipam: { ranges: [[{ subnet: '10.244.1.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] } }, {}],
    });
  });

  it('has the Service kube-dns in front of the address that answers names', () => {
    expect(dnsObjects('10.99.0.1').slice(0, 2)).toMatchObject([
      { spec: { clusterIP: '10.96.0.10' } },
      { endpoints: [{ addresses: ['10.99.0.1'] }] },
    ]);
    expect(resolverConfiguration('10.99.0.1')).toMatch(/^nameserver 10\.99\.0\.1\n/);
  });

  it('ties a local volume to the node that has it', () => {
    expect(localVolume({ name: 'v', size: '1Gi', path: 'kept', nodeName: 'node-1' })).toMatchObject({
      spec: {
        local: { path: 'kept' },
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ values: ['node-1'] }] }] },
        },
      },
    });
  });
});
