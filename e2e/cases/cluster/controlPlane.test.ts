import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';
import { remainsOf } from '../../harness/cluster/remains.ts';
import { startControlPlane } from '../../harness/cluster/startControlPlane.ts';

describe('a control plane without nodes', () => {
  let controlPlane: ControlPlane;

  beforeAll(async () => {
    controlPlane = await startControlPlane({ controllerManager: true });
  });

  afterAll(async () => {
    await controlPlane.close();
  });

  it('is the Kubernetes release that was asked for, at an address that this machine reaches', async () => {
    const { serverVersion } = JSON.parse(await controlPlane.kubectl(['version', '-o', 'json']));
    expect(serverVersion.gitVersion).toMatch(/^v1\.36\./);
    expect(controlPlane.apiServerUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  });

  it('keeps its objects when its API server is killed and started again', async () => {
    const metadata = { name: 'kept', namespace: 'default' };
    await controlPlane.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { a: '1' } });
    await controlPlane.stopApiServer();
    await expect(fetch(controlPlane.apiServerUrl)).rejects.toThrow('fetch failed');
    await controlPlane.restartApiServer();
    expect(await controlPlane.kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'])).toBe('1');
  });

  it('has controllers: a new namespace gets its service account, and is gone when it is deleted', async () => {
    await controlPlane.kubectl(['create', 'namespace', 'short']);
    const account = ['--namespace', 'short', 'serviceaccount/default'];
    await controlPlane.kubectl(['wait', '--for=create', '--timeout=30s', ...account]);
    await controlPlane.kubectl(['delete', 'namespace', 'short', '--timeout=60s']);
    await expect(controlPlane.kubectl(['get', 'namespace', 'short'])).rejects.toMatchObject({
      message: expect.stringContaining('NotFound'),
    });
  });

  it('leaves nothing when it is closed', async () => {
    const other = await startControlPlane();
    expect((await remainsOf(other.folder)).processes.length).toBeGreaterThan(2);
    await other.close();
    expect(await remainsOf(other.folder)).toEqual({
      processes: [],
      networks: [],
      cgroups: [],
      folder: false,
    });
  });
});
