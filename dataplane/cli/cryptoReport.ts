/** The report of `sealgate doctor crypto`: what encrypts here, whether the processor helps, and how fast it is. */
import { execFile } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { cryptoSupport } from '../admin/cryptoSupport.ts';
import { productVersion } from '../process/version.ts';
import type { CryptoSpeed } from './cryptoSpeed.ts';

/** Changes when a field changes its meaning or goes; docs/doctor.md describes every field. */
const REPORT_NAME = 'sealgate.doctor.crypto/v1';

/** What takes the AES (and GHASH) instructions from OpenSSL: OPENSSL_ia32cap(3), and its counterpart on ARM. */
const SWITCHES: Readonly<
  Partial<Record<NodeJS.Architecture, { readonly name: string; readonly off: string }>>
> = {
  x64: { name: 'OPENSSL_ia32cap', off: '~0x200000200000000' },
  arm64: { name: 'OPENSSL_armcap', off: '0' },
};

/** With the instructions AES-GCM is ten times as fast and more; below this they are not used, whatever noise there was. */
const LEAST_GAIN = 4;

export interface CryptoReport {
  readonly report: typeof REPORT_NAME;
  /** ISO 8601, UTC. */
  readonly madeAt: string;
  readonly version: string;
  readonly healthy: boolean;
  readonly findings: readonly CryptoFinding[];
  readonly node: string;
  readonly openssl: string;
  readonly architecture: string;
  readonly processor: string | null;
  /** That this process may use. */
  readonly cores: number;
  /** Null: the system does not tell. */
  readonly aesInstructions: boolean | null;
  /** The environment variable that changes what OpenSSL uses of the processor, when it is set. */
  readonly switchedBy: string | null;
  /** Of one thread. */
  readonly speed: {
    /** As the server runs, in this environment. */
    readonly asItIs: CryptoSpeed;
    /** Null: it is not known how to switch them off on this architecture. */
    readonly withoutInstructions: CryptoSpeed | null;
  };
}

export interface CryptoFinding {
  readonly severity: 'Problem' | 'Warning';
  readonly code:
    | 'NoAesInstructions'
    | 'InstructionsNotUsed'
    | 'InstructionsUnknown'
    | 'SwitchedByEnvironment';
  readonly what: string;
  readonly doHere: string;
}

type Facts = Pick<CryptoReport, 'aesInstructions' | 'switchedBy' | 'speed'>;

/** Measures for about two seconds, in processes of their own. Rejects when such a process fails. */
export async function cryptoReport(
  nowMs: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<CryptoReport> {
  const { openssl, aesNi } = await cryptoSupport();
  const wanted = SWITCHES[process.arch] ?? null;
  // One after the other: they would take the processor from each other.
  const asItIs = await measuredIn(env);
  const withoutInstructions =
    wanted === null ? null : await measuredIn({ ...env, [wanted.name]: wanted.off });
  // OpenSSL takes an empty value for 0: no instructions at all.
  const switchedBy = wanted !== null && env[wanted.name] !== undefined ? wanted.name : null;
  const facts: Facts = { aesInstructions: aesNi, switchedBy, speed: { asItIs, withoutInstructions } };
  const findings = cryptoFindings(facts);
  return {
    report: REPORT_NAME,
    madeAt: new Date(nowMs).toISOString(),
    version: productVersion(),
    healthy: findings.every(({ severity }) => severity !== 'Problem'),
    findings,
    node: process.versions.node,
    openssl,
    architecture: process.arch,
    processor: cpus()[0]?.model ?? null,
    cores: availableParallelism(),
    ...facts,
  };
}

const speedJson = z.object({ sealMBps: z.number(), openMBps: z.number() });

async function measuredIn(env: NodeJS.ProcessEnv): Promise<CryptoSpeed> {
  const script = fileURLToPath(new URL('./cryptoSpeedProcess.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
  return speedJson.parse(JSON.parse(stdout));
}

/** What the measurements mean. */
export function cryptoFindings({ aesInstructions, switchedBy, speed }: Facts): CryptoFinding[] {
  const { asItIs, withoutInstructions } = speed;
  const findings: CryptoFinding[] = [];
  const gains = withoutInstructions !== null && asItIs.sealMBps >= LEAST_GAIN * withoutInstructions.sealMBps;
  if (aesInstructions === false) {
    findings.push({
      severity: 'Problem',
      code: 'NoAesInstructions',
      what: `This processor has no AES instructions, or they are hidden from this machine: one thread seals ${asItIs.sealMBps} MB/s.`,
      doHere: 'In a virtual machine, let it see the processor as it is (for example the CPU type "host").',
    });
  } else if (withoutInstructions !== null && !gains && aesInstructions === true) {
    findings.push({
      severity: 'Problem',
      code: 'InstructionsNotUsed',
      what: `The processor has AES instructions, and OpenSSL is no faster for them: ${asItIs.sealMBps} MB/s with, ${withoutInstructions.sealMBps} MB/s without.`,
      doHere:
        switchedBy === null
          ? 'Run it again on a quiet machine; if it stays so, this build of Node.js does not use them.'
          : `Remove ${switchedBy} from the environment.`,
    });
  } else if (aesInstructions === null && !gains) {
    findings.push({
      severity: 'Warning',
      code: 'InstructionsUnknown',
      what: 'This system does not tell whether the processor has AES instructions, and no gain was measured.',
      doHere: 'Compare the speed with what is expected of this machine.',
    });
  }
  if (switchedBy !== null) {
    findings.push({
      severity: 'Warning',
      code: 'SwitchedByEnvironment',
      what: `${switchedBy} is set: it changes which instructions OpenSSL uses.`,
      doHere: `Remove ${switchedBy} from the environment, unless it is on purpose.`,
    });
  }
  return findings;
}

/** The report for people, the verdict first. */
export function cryptoReportText(report: CryptoReport): string {
  const { healthy, findings, node, openssl, architecture, processor, cores, aesInstructions, speed } = report;
  const instructions = aesInstructions === null ? 'not told' : aesInstructions ? 'yes' : 'no';
  const rate = (name: string, { sealMBps, openMBps }: CryptoSpeed): string =>
    `  ${name.padEnd(22)} seal ${String(sealMBps).padStart(6)} MB/s   open ${String(openMBps).padStart(6)} MB/s`;
  return `${[
    `Cryptography: ${healthy ? 'HEALTHY' : 'NOT HEALTHY'}`,
    ...findings.map(
      ({ severity, code, what, doHere }) => `${severity.toUpperCase()} ${code}: ${what}\n  ${doHere}`,
    ),
    [
      `  OpenSSL ${openssl}, in Node.js ${node}`,
      `  ${processor ?? 'unknown processor'} (${architecture}), ${cores} cores for this process`,
      `  AES instructions: ${instructions}`,
    ].join('\n'),
    [
      'AES-256-GCM in chunks as objects are stored, one thread, best of many rounds',
      rate('as the server runs', speed.asItIs),
      ...(speed.withoutInstructions === null
        ? []
        : [rate('without instructions', speed.withoutInstructions)]),
    ].join('\n'),
    `Made ${report.madeAt} by Sealgate ${report.version}.`,
  ].join('\n\n')}\n`;
}
