import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KmipReport } from '../../dataplane/keys/doctor/report.ts';
import { type Certificates, makeCertificates, makeClientCertificate } from '../harness/certificates.ts';
import {
  doctorReports,
  firstLines,
  problemsIn,
  reportIn,
  runDoctor,
  startDoctor,
  writeDoctorConfig,
} from '../harness/doctorKmip.ts';
import { type Pykmip, startPykmip } from '../harness/pykmip.ts';
import { type ScriptedKms, startScriptedKms } from '../harness/scriptedKms/scriptedKms.ts';
import type { KmsAccess } from '../harness/sealgate.ts';

const PERMISSION_DENIED = 0x0c;

let folder = '';
let certificates: Certificates;
let pykmip: Pykmip;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-doctor-'));
  pykmip = await startPykmip({ folder: join(folder, 'kms') });
  const { folder: made, ca, caKey, clientCert, clientKey } = pykmip.certificates;
  certificates = {
    ca,
    caKey,
    server: { cert: join(made, 'server.crt'), key: join(made, 'server.key') },
    client: { cert: clientCert, key: clientKey },
  };
});
afterAll(async () => {
  await pykmip.kill();
  await rm(folder, { recursive: true });
});

/** A configuration on a KMS, with the client certificate and authority that work unless others are given. */
const configured = async (
  port: number,
  files: Partial<KmsAccess['certificates']> = {},
  kmip: Record<string, unknown> = {},
): Promise<string> =>
  await writeDoctorConfig(
    folder,
    { port, certificates: { ...certificates.client, ca: certificates.ca, ...files } },
    kmip,
  );

describe('sealgate doctor kmip on a KMS in order', () => {
  it('is 0, shows every step, and leaves PyKMIP as it was but for one key that came and went', async () => {
    const config = await configured(pykmip.port);
    const before = ['Create', 'Locate', 'Destroy'].map((operation) => pykmip.requestCount(operation));
    const run = await runDoctor('--config', config, '--json');
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const report = reportIn(run);
    const [connection] = report.connections;
    // How fast PyKMIP answers is the machine's affair.
    expect(connection?.findings.filter(({ code: found }) => found !== 'SlowAnswers')).toEqual([]);
    expect(connection?.steps.map(({ step, result }) => `${step} ${result}`)).toEqual(
      'DiscoverVersions Query Create GetAttributes Locate Activate Get Get Get Get Get Revoke GetDeactivated Destroy'
        .split(' ')
        .map((step) => `${step} Ok`),
    );
    expect(connection?.throwAwayKey).toMatchObject({ removal: 'Destroyed', readableWhenDeactivated: true });
    expect(() => pykmip.keyBytes(connection?.throwAwayKey?.kmsId ?? '')).toThrow('has no key');
    const after = ['Create', 'Locate', 'Destroy'].map((operation) => pykmip.requestCount(operation));
    expect(after.map((count, i) => count - (before[i] ?? 0))).toEqual([1, 1, 1]);
  });

  it('tells people the same, and names the connection that it was asked for', async () => {
    const config = await configured(pykmip.port);
    const { code, stdout } = await runDoctor('--config', config, '--connection', 'kms');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Connection kms: HEALTHY, 0 problems, /);
    expect(stdout).toContain('vendor: PyKMIP');
    expect(stdout).toContain('was destroyed again');
    const unknown = await runDoctor('--config', config, '--connection', 'other');
    expect(unknown).toEqual({
      code: 3,
      stdout: '',
      stderr: 'sealgate: the configuration has no KMS connection other; it has kms\n',
    });
  });
});

describe('the first lines of sealgate doctor kmip name the cause', () => {
  it('when caFile is the wrong authority; nothing is sent to a server that is not trusted', async () => {
    const wrong = await makeCertificates(join(folder, 'other-authority'));
    const requests = pykmip.requestCount();
    const { code, text, json } = await doctorReports(await configured(pykmip.port, { ca: wrong.ca }));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(
      /NOT HEALTHY, 1 problem, .* PROBLEM ServerCertificateNotTrusted: .* was signed/,
    );
    expect(problemsIn(json)).toEqual(['ServerCertificateNotTrusted']);
    expect(pykmip.requestCount()).toBe(requests);
  });

  it('when the client certificate has expired', async () => {
    const late = await makeClientCertificate({ ...certificates, folder }, 'late', -1);
    const { code, text, json } = await doctorReports(await configured(pykmip.port, late));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(
      /PROBLEM ClientCertificateExpired: The client certificate CN=late has expired/,
    );
    expect(problemsIn(json)).toEqual(['ClientCertificateExpired']);
  });

  it('when the KMS does not know the authority of the client certificate', async () => {
    const other = await makeCertificates(join(folder, 'client-authority'));
    const { code, text, json } = await doctorReports(await configured(pykmip.port, other.client));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(
      /PROBLEM ClientCertificateRefused: .* does not know the authority that issued/,
    );
    expect(problemsIn(json)).toEqual(['ClientCertificateRefused']);
  });

  it('when the client certificate is not made for clients', async () => {
    const { code, text, json } = await doctorReports(await configured(pykmip.port, certificates.server));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(/PROBLEM ClientCertificateRefused: .*extended key usage clientAuth/);
    expect(problemsIn(json)).toEqual(['ClientCertificateRefused']);
  });

  it('when the KMS does not accept the user', async () => {
    await using kms = await startScriptedKms({
      certificates,
      credential: { username: 'sealgate', password: 'not in the configuration' },
    });
    const { code, text, json } = await doctorReports(await configured(kms.port));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(
      /PROBLEM UserNotAccepted: The KMS does not accept the user of certificate/,
    );
    expect(problemsIn(json)).toEqual(['UserNotAccepted']);
    expect(kms.count('Create')).toBe(0);
  });

  it('when the user has no right to create keys', async () => {
    await using kms = await startScriptedKms({ certificates });
    kms.script({ on: 'Create', do: { kind: 'reason', code: PERMISSION_DENIED } });
    const { code, text, json } = await doctorReports(await configured(kms.port));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(
      /PROBLEM RightMissing: The user of certificate CN=sealgate may not create symmetric keys/,
    );
    expect(problemsIn(json)).toEqual(['RightMissing']);
    expect(json.connections[0]?.throwAwayKey?.removal).toBe('NotCreated');
  });

  it('when the user may only Encrypt', async () => {
    await using kms = await startScriptedKms({ certificates });
    kms.script({ on: 'Get', do: { kind: 'reason', code: PERMISSION_DENIED } });
    const { code, text, json } = await doctorReports(await configured(kms.port));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(/PROBLEM OnlyEncryptAllowed: .* \(Encrypt works\) but may not get them/);
    expect(problemsIn(json)).toEqual(['OnlyEncryptAllowed']);
    expectNothingLeft(kms, json);
  });

  it.each([
    ['ahead of', 86_400_000],
    ['behind', -86_400_000],
  ])('when the clock of the KMS is a day %s ours', async (where, clockOffsetMs) => {
    await using kms = await startScriptedKms({ certificates, clockOffsetMs });
    const { code, text, json } = await doctorReports(await configured(kms.port));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(new RegExp(`PROBLEM ClockOff: The clock of .* is 1 day ${where} the`));
    expect(problemsIn(json)).toEqual(['ClockOff']);
    expectNothingLeft(kms, json);
  });

  it('when the clock of PyKMIP is three hours ahead', async () => {
    const ahead = await startPykmip({
      folder: join(folder, 'ahead'),
      certificateFolder: pykmip.certificates.folder,
      clockAheadMs: 3 * 3_600_000,
    });
    try {
      const { code, text, json } = await doctorReports(await configured(ahead.port));
      expect(code).toBe(1);
      expect(firstLines(text)).toMatch(
        /PROBLEM ClockOff: The clock of .* is 3 hours ahead of the clock of this/,
      );
      expect(problemsIn(json)).toEqual(['ClockOff']);
    } finally {
      await ahead.kill();
    }
  });

  it('when the clock here is wrong: then all certificates are out of their dates', async () => {
    const late = await makeClientCertificate({ ...certificates, folder }, 'late-too', -1);
    await using kms = await startScriptedKms({ certificates });
    kms.script({ on: 'connect', do: { kind: 'certificate', files: late } });
    const { code, text, json } = await doctorReports(await configured(kms.port, late));
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(/PROBLEM ClockHereWrong: .* Most likely that clock is wrong/);
    expect(problemsIn(json)).toEqual([
      'ClockHereWrong',
      'ClientCertificateExpired',
      'ServerCertificateExpired',
    ]);
  });
});

describe('the throw-away key', () => {
  it('whose Create lost its answer is found by its name and destroyed', async () => {
    await using kms = await startScriptedKms({ certificates });
    kms.script({ on: 'Create', times: 1, do: { kind: 'cutAfter', bytes: 0 } });
    const json = reportIn(await runDoctor('--config', await configured(kms.port), '--json'));
    expect(problemsIn(json)).toEqual(['ConnectionEnded']);
    expect(json.connections[0]?.throwAwayKey).toMatchObject({ kmsId: null, removal: 'Destroyed' });
    expect(kms.count('Create')).toBe(1);
    expectNothingLeft(kms, json);
  });

  it('that cannot be destroyed is told, with the name to ask for', async () => {
    await using kms = await startScriptedKms({ certificates });
    kms.script({ on: 'Destroy', do: { kind: 'reason', code: PERMISSION_DENIED } });
    const run = await runDoctor('--config', await configured(kms.port), '--json');
    expect(run.code).toBe(1);
    const json = reportIn(run);
    expect(problemsIn(json)).toEqual(['RightMissing', 'ThrowAwayKeyLeft']);
    const [connection] = json.connections;
    expect(connection?.findings.find(({ code: found }) => found === 'ThrowAwayKeyLeft')?.what).toContain(
      connection?.throwAwayKey?.name,
    );
  });

  it('is destroyed when the examination is interrupted', async () => {
    await using kms = await startScriptedKms({ certificates });
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    kms.script({ on: 'Activate', times: 1, do: { kind: 'hold', until: held } });
    const config = await configured(kms.port);
    const activating = kms.next('Activate');
    const { child, interrupted, done } = startDoctor('--config', config, '--json');
    await activating;
    child.kill('SIGINT');
    await interrupted;
    release();
    const run = await done;
    const json = reportIn(run);
    expect(run.code).toBe(1);
    expect(problemsIn(json)).toEqual(['Interrupted']);
    expectNothingLeft(kms, json);
  });
});

describe('two endpoints', () => {
  const withTwo = async (first: ScriptedKms, second: ScriptedKms): Promise<string> =>
    await configured(
      first.port,
      {},
      { endpoints: [first, second].map(({ host, port }) => ({ host, port })) },
    );

  it('of one cluster that lags: the delay is measured, and the key is taken out once', async () => {
    await using first = await startScriptedKms({ certificates });
    await using second = await startScriptedKms({ certificates, store: first.store, lagMs: 2500 });
    const run = await runDoctor('--config', await withTwo(first, second), '--json');
    const json = reportIn(run);
    expect({ code: run.code, problems: problemsIn(json) }).toEqual({ code: 0, problems: [] });
    const [replication] = json.connections[0]?.throwAwayKey?.replication ?? [];
    expect(replication).toMatchObject({ endpoint: `127.0.0.1:${second.port}`, sameKey: true });
    expect(replication?.lagMs).toBeGreaterThan(2000);
    expect(replication?.lagMs).toBeLessThan(10_000);
    expect([first.count('Create'), second.count('Create')]).toEqual([1, 0]);
    expectNothingLeft(first, json);
  });

  it('of which one is down: that is told, and everything else is tried on the other', async () => {
    await using first = await startScriptedKms({ certificates });
    await using second = await startScriptedKms({ certificates, store: first.store });
    const config = await withTwo(first, second);
    await first.pause();
    const { code, text, json } = await doctorReports(config);
    expect(code).toBe(1);
    expect(firstLines(text)).toMatch(/PROBLEM NotReachable: 127\.0\.0\.1:\d+ refuses connections/);
    expect(problemsIn(json)).toEqual(['NotReachable']);
    expectNothingLeft(second, json);
  });
});

it('a report holds neither password, private key nor bytes of a key, whatever the KMS repeats', async () => {
  const password = 'a-password-nobody-else-has';
  await using kms = await startScriptedKms({
    certificates,
    credential: { username: 'sealgate', password },
  });
  kms.script({
    on: 'Locate',
    do: { kind: 'reason', code: PERMISSION_DENIED, message: `who is ${password}\u001b[2J?` },
  });
  const credentialsFile = join(folder, 'credentials.json');
  await writeFile(credentialsFile, JSON.stringify({ username: 'sealgate', password }), { mode: 0o600 });
  const config = await configured(kms.port, {}, { credentialsFile });
  const { text, json } = await doctorReports(config);
  expect(problemsIn(json)).toEqual(['RightMissing']);
  const all = `${text}${JSON.stringify(json)}`;
  expect(all).toContain('who is (password)');
  expect(all).not.toContain('\u001b');
  const privateKey = (await readFile(certificates.client.key, 'utf8')).split('\n')[3] ?? '';
  for (const { material } of kms.store.keys.values()) {
    for (const spelling of ['hex', 'base64'] as const) expect(all).not.toContain(material.toString(spelling));
  }
  expect(privateKey.length).toBeGreaterThan(20);
  for (const secret of [password, privateKey]) expect(all).not.toContain(secret);
});

/** Every key that was made for these reports is gone again. */
function expectNothingLeft(kms: ScriptedKms, json: KmipReport): void {
  expect(json.connections[0]?.throwAwayKey?.removal).toBe('Destroyed');
  expect(kms.store.keys.size).toBeGreaterThan(0);
  for (const kmsId of kms.store.keys.keys()) expect(['gone', 5]).toContain(kms.store.state(kmsId));
}
