import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestClock } from '../clock.testkit.ts';
import { type ApiAccess, createApiAccess } from './access.ts';
import { silentLog, writeKubeconfig } from './fakeCluster.testkit.ts';

let folder: string;
let clock: TestClock;
let access: ApiAccess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sealgate-access-'));
  clock = new TestClock();
  await writeFile(path.join(folder, 'token'), 'one\n');
});
afterEach(async () => {
  await access?.close();
  access = undefined;
  await rm(folder, { recursive: true });
});

function open(kubeconfig: string): ApiAccess {
  access = createApiAccess({ kubeconfig, clock, log: silentLog });
  return access;
}

describe('access to the API server', () => {
  test('reads a rotated token within a minute, and over the same connections', async () => {
    const opened = open(await writeKubeconfig(folder, 'http://127.0.0.1:1'));
    const first = await opened.current();
    expect(first.headers['authorization']).toBe('Bearer one');
    await writeFile(path.join(folder, 'token'), 'two');
    await clock.advance(59_999);
    expect((await opened.current()).headers['authorization']).toBe('Bearer one');
    await clock.advance(1);
    const second = await opened.current();
    expect(second.headers['authorization']).toBe('Bearer two');
    expect(second.dispatcher).toBe(first.dispatcher);
  });

  test('reads at once what the server refused', async () => {
    const opened = open(await writeKubeconfig(folder, 'http://127.0.0.1:1'));
    await opened.current();
    await writeFile(path.join(folder, 'token'), 'two');
    opened.refused();
    expect((await opened.current()).headers['authorization']).toBe('Bearer two');
  });

  test('keeps the last while a file is missing, and has none when it never was', async () => {
    const kubeconfig = await writeKubeconfig(folder, 'http://127.0.0.1:1');
    const opened = open(kubeconfig);
    const first = await opened.current();
    await rm(kubeconfig);
    await clock.advance(60_000);
    expect(await opened.current()).toBe(first);
    const never = createApiAccess({ kubeconfig, clock, log: silentLog });
    await expect(never.current()).rejects.toMatchObject({ name: 'KubeError', code: 'Unavailable' });
  });

  test('uses other connections when the certificates are others', async () => {
    const kubeconfig = path.join(folder, 'kubeconfig');
    const write = (ca: string): Promise<void> =>
      writeFile(
        kubeconfig,
        JSON.stringify({
          clusters: [
            {
              name: 'c',
              cluster: {
                server: 'https://api.test:6443/prefix',
                'certificate-authority-data': Buffer.from(ca).toString('base64'),
              },
            },
          ],
          users: [{ name: 'u', user: { token: 'direct' } }],
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
      );
    await write('first');
    const opened = open(kubeconfig);
    const first = await opened.current();
    expect(first.server.href).toBe('https://api.test:6443/prefix');
    expect(first.headers['authorization']).toBe('Bearer direct');
    await write('second');
    await clock.advance(60_000);
    expect((await opened.current()).dispatcher).not.toBe(first.dispatcher);
  });

  test('in a pod comes from its service account', async () => {
    const account = path.join(folder, 'var/run/secrets/kubernetes.io/serviceaccount');
    await mkdir(account, { recursive: true });
    await writeFile(path.join(account, 'token'), 'of the pod');
    await writeFile(path.join(account, 'ca.crt'), 'ca');
    const names = ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'] as const;
    const before = names.map((name) => process.env[name]);
    try {
      delete process.env['KUBERNETES_SERVICE_HOST'];
      access = createApiAccess({ kubeconfig: undefined, serviceAccountRoot: folder, clock, log: silentLog });
      await expect(access.current()).rejects.toMatchObject({
        cause: expect.objectContaining({ message: expect.stringContaining('not a pod') }),
      });
      process.env['KUBERNETES_SERVICE_HOST'] = 'fd00::1';
      process.env['KUBERNETES_SERVICE_PORT'] = '443';
      const { server, headers } = await access.current();
      expect([server.href, headers['authorization']]).toEqual(['https://[fd00::1]/', 'Bearer of the pod']);
    } finally {
      names.forEach((name, n) => {
        if (before[n] === undefined) delete process.env[name];
        else process.env[name] = before[n];
      });
    }
  });
});
