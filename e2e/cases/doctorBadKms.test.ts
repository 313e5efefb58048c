import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Certificates, makeCertificates } from '../harness/certificates.ts';
import {
  doctorReports,
  firstLines,
  problemsIn,
  reportIn,
  runDoctor,
  writeDoctorConfig,
} from '../harness/doctorKmip.ts';
import type { Rule } from '../harness/scriptedKms/script.ts';
import { startScriptedKms } from '../harness/scriptedKms/scriptedKms.ts';

let folder = '';
let certificates: Certificates;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-doctor-'));
  certificates = await makeCertificates(join(folder, 'certificates'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Short timeouts: what hangs here hangs for good. */
async function configured(port: number, kmip: Record<string, unknown> = {}): Promise<string> {
  const { client, ca } = certificates;
  const timeouts = { connect: '2s', request: '1s', total: '4s' };
  return await writeDoctorConfig(folder, { port, certificates: { ...client, ca } }, { timeouts, ...kmip });
}

describe('sealgate doctor kmip names what is wrong with a KMS', () => {
  it('that speaks no TLS on this port', async () => {
    const server = createServer((socket) =>
      socket.on('error', () => socket.destroy()).end('SSH-2.0-hello\r\n'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, text, json } = await doctorReports(await configured(port));
    server.close();
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(/PROBLEM NotTls: 127\.0\.0\.1:\d+ answers, but not in TLS/);
    expect(problemsIn(json)).toEqual(['NotTls']);
  });

  it('whose certificate is for another name', async () => {
    await using kms = await startScriptedKms({ certificates });
    const endpoints = [{ host: kms.host, port: kms.port, serverName: 'kms.example.com' }];
    const { text, json } = await doctorReports(await configured(kms.port, { endpoints }));
    expect(firstLines(text)).toMatch(/PROBLEM ServerCertificateForAnotherName: .* not for kms\.example\.com/);
    expect(problemsIn(json)).toEqual(['ServerCertificateForAnotherName']);
    expect(kms.count()).toBe(0);
  });

  it.each([
    ['accepts connections and says nothing', { on: 'connect', do: { kind: 'hang' } }, 'HandshakeFailed'],
    ['ends every connection at once', { on: 'connect', do: { kind: 'refuse' } }, 'HandshakeFailed'],
    ['never answers', { on: 'any', do: { kind: 'hang' } }, 'NoAnswer'],
    [
      'ends connections in the middle of answers',
      { on: 'any', do: { kind: 'cutAfter', bytes: 11 } },
      'ConnectionEnded',
    ],
    [
      'answers nonsense',
      { on: 'any', do: { kind: 'bytes', answer: Buffer.alloc(16, 7) } },
      'AnswerNotUnderstood',
    ],
  ] satisfies [string, Rule, string][])('that %s', async (_name, rule, expected) => {
    await using kms = await startScriptedKms({ certificates });
    kms.script(rule);
    const run = await runDoctor('--config', await configured(kms.port), '--json');
    expect(run.code).toBe(1);
    const json = reportIn(run);
    expect(problemsIn(json)).toEqual([expected]);
    expect(json.connections[0]?.throwAwayKey).toBeNull();
    expect(kms.count('Create')).toBe(0);
  });

  it.each([
    ['loses the answer to Create', { on: 'Create', do: { kind: 'hang', executed: true } }, ['NoAnswer']],
    [
      'gives keys of half the length',
      { on: 'Get', do: { kind: 'shortKey', bytes: 16 } },
      ['AnswerNotUnderstood'],
    ],
    [
      'ends the connection inside a key',
      { on: 'Get', do: { kind: 'cutAfter', bytes: 200 } },
      ['ConnectionEnded'],
    ],
    [
      'marks its keys as not extractable',
      { on: 'Get', do: { kind: 'reason', code: 0x17 } },
      ['KeyNotExportable'],
    ],
    [
      'tells another State than it was put into',
      { on: 'GetAttributes', times: 1, do: { kind: 'state', state: 4 } },
      ['WrongState'],
    ],
  ] satisfies [string, Rule, string[]][])(
    'that %s, and leaves no key there',
    async (_name, rule, expected) => {
      await using kms = await startScriptedKms({ certificates });
      kms.script(rule);
      const run = await runDoctor('--config', await configured(kms.port), '--json');
      expect(run.code).toBe(1);
      const json = reportIn(run);
      expect(problemsIn(json)).toEqual(expected);
      expect(json.connections[0]?.throwAwayKey?.removal).toBe('Destroyed');
      for (const kmsId of kms.store.keys.keys()) expect(['gone', 5]).toContain(kms.store.state(kmsId));
      expect(kms.store.keys.size).toBe(1);
    },
  );

  it('of two that keep different keys under one identifier', async () => {
    await using first = await startScriptedKms({ certificates });
    await using second = await startScriptedKms({ certificates, store: first.store });
    second.script({ on: 'Get', do: { kind: 'wrongKey' } });
    const endpoints = [first, second].map(({ host, port }) => ({ host, port }));
    const { text, json } = await doctorReports(await configured(first.port, { endpoints }));
    expect(firstLines(text)).toMatch(/PROBLEM KeyDiffers: 127\.0\.0\.1:\d+ gives other bytes/);
    expect(problemsIn(json)).toEqual(['KeyDiffers']);
  });
});
