/** Runs `sealgate doctor kmip` as people do, and reads its reports. */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KmipReport } from '../../dataplane/keys/doctor/report.ts';
import { type KmsAccess, writeConfig } from './sealgate.ts';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A configuration file in a folder of its own under `folder`; `kmip` replaces settings of the connection. */
export async function writeDoctorConfig(
  folder: string,
  kms: KmsAccess,
  kmip: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const written = await writeConfig({
    folder: await mkdtemp(join(folder, 'config-')),
    kms,
    configPatch: (config) => {
      const [connection] = config['kmsConnections'] as { kmip: Record<string, unknown> }[];
      Object.assign(connection?.kmip ?? {}, kmip);
    },
  });
  return written.configFile;
}

/** Starts the doctor, for tests that signal it; `interrupted` resolves when it says that it was. */
export function startDoctor(...args: readonly string[]): {
  readonly child: ChildProcess;
  readonly interrupted: Promise<void>;
  readonly done: Promise<Run>;
} {
  const { promise: interrupted, resolve: sayInterrupted } = Promise.withResolvers<void>();
  const { promise: done, resolve: end } = Promise.withResolvers<Run>();
  const child = execFile(LAUNCHER, ['doctor', 'kmip', ...args], (error, stdout, stderr) => {
    end({ code: error === null ? 0 : Number(error.code), stdout, stderr });
  });
  child.stderr?.on('data', (text: string) => {
    if (text.includes('interrupted')) sayInterrupted();
  });
  return { child, interrupted, done };
}

export async function runDoctor(...args: readonly string[]): Promise<Run> {
  return await startDoctor(...args).done;
}

/** Both forms of the report about one configuration. Rejects when they do not end alike. */
export async function doctorReports(
  config: string,
): Promise<{ code: number; text: string; json: KmipReport }> {
  const [text, json] = await Promise.all([
    runDoctor('--config', config),
    runDoctor('--config', config, '--json'),
  ]);
  if (json.code !== text.code || json.stderr !== text.stderr)
    throw new Error(`text: ${text.code} ${text.stderr}\nJSON: ${json.code} ${json.stderr}`);
  return { code: text.code, text: text.stdout, json: reportIn(json) };
}

export const reportIn = ({ stdout }: Run): KmipReport => JSON.parse(stdout) as KmipReport;

/** What people read first: the verdict and the beginning of the first finding, in one line. */
export const firstLines = (text: string): string =>
  text.split('\n').slice(0, 6).join(' ').replaceAll(/\s+/g, ' ');

/** Codes of the problems, in the report's order. */
export const problemsIn = (report: KmipReport): string[] =>
  report.connections.flatMap(({ findings }) =>
    findings.filter(({ severity }) => severity === 'Problem').map(({ code }) => code),
  );
