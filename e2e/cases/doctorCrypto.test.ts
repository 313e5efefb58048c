import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

/** The environment variable that takes instructions from OpenSSL, and a value that takes those for AES. */
const [SWITCH, OFF] =
  process.arch === 'arm64' ? ['OPENSSL_armcap', '0'] : ['OPENSSL_ia32cap', '~0x200000200000000'];

interface Report {
  readonly report: string;
  readonly healthy: boolean;
  readonly findings: readonly { readonly code: string }[];
  readonly openssl: string;
  readonly aesInstructions: boolean | null;
  readonly speed: Readonly<Record<'asItIs' | 'withoutInstructions', { sealMBps: number; openMBps: number }>>;
}

async function doctorCrypto(switched?: string): Promise<{ code: number; report: Report }> {
  const { [SWITCH]: _inherited, ...env } = process.env;
  if (switched !== undefined) env[SWITCH] = switched;
  return await new Promise((resolve) => {
    execFile(LAUNCHER, ['doctor', 'crypto', '--json'], { env }, (error, stdout) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, report: JSON.parse(stdout) as Report });
    });
  });
}

it('measures what objects go through, with and without the instructions of the processor', async () => {
  const { code, report } = await doctorCrypto();
  const { asItIs, withoutInstructions } = report.speed;
  process.stdout.write(`doctor crypto, MB/s: ${JSON.stringify(report.speed)}\n`);
  expect(report).toMatchObject({ report: 'sealgate.doctor.crypto/v1', openssl: process.versions.openssl });
  expect(Math.min(asItIs.sealMBps, asItIs.openMBps)).toBeGreaterThan(0);
  const { healthy, findings } = report;
  if (report.aesInstructions === true) {
    expect({ code, healthy, findings }).toEqual({ code: 0, healthy: true, findings: [] });
    expect(asItIs.openMBps).toBeGreaterThan(4 * withoutInstructions.openMBps);
  } else expect(findings).not.toEqual([]);
});

// OpenSSL takes an empty value for no instructions at all.
it.each([OFF, ''])('notices when the environment takes the instructions away: %j', async (value) => {
  const { code, report } = await doctorCrypto(value);
  expect(code).toBe(1);
  expect(report.findings.map(({ code: found }) => found)).toEqual([
    report.aesInstructions === true ? 'InstructionsNotUsed' : 'NoAesInstructions',
    'SwitchedByEnvironment',
  ]);
});
