/**
 * Starts the real data plane, through its launcher, on a configuration of its own, for tests and the demo.
 *
 * Owns one process and its folder's files. It must not look inside the process: what it knows comes from the log,
 * the ports and the disk.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

/** A configuration as it is written to the file. */
export type ConfigDocument = Record<string, unknown>;

/** How the KMS is reached: `certificates` are paths of PEM files. */
export interface KmsAccess {
  readonly host?: string;
  readonly port: number;
  readonly certificates: { readonly cert: string; readonly key: string; readonly ca: string };
}

export interface SealgateOptions {
  /** Holds configuration, secrets and data; what is there already is kept, so a second start finds its data. */
  readonly folder: string;
  /** Without it there is no KMS connection, and only plain buckets work. */
  readonly kms?: KmsAccess;
  readonly workers?: number;
  /** Changes the configuration before it is written. */
  readonly configPatch?: (config: ConfigDocument) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** The launcher of another copy of the data plane. */
  readonly launcher?: string;
  /** Put before the launcher, such as ['strace', '-f']; signals go to the data plane itself. */
  readonly wrapper?: readonly string[];
  /** Where standard output goes as well; default: `<folder>/sealgate.log`, appended. */
  readonly logFile?: string;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Sealgate {
  readonly endpoint: string;
  readonly adminEndpoint: string;
  readonly monitoringEndpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly adminToken: string;
  readonly dataFolder: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Every line of the log so far. */
  logLines(): readonly string[];
  /** The first line, past or future, for which `matches` is true; rejects when the process ends without one. */
  logLine(matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then waits for the end. */
  stop(): Promise<Exit>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<Exit>;
  /** The text of /metrics. */
  metrics(): Promise<string>;
  /** The value of a sample, 0 when there is none; `labels` as in the text, such as `subject="blob"`. */
  metric(name: string, labels?: string): Promise<number>;
}

/** What the process did before it was ready, when it never became ready. */
export class StartError extends Error {
  readonly exit: Exit;
  readonly output: string;
  constructor(exit: Exit, output: string) {
    super(`sealgate ended before it was ready (code ${exit.code}, signal ${exit.signal}):\n${output}`);
    this.name = 'StartError';
    this.exit = exit;
    this.output = output;
  }
}

async function writeIfAbsent(file: string, content: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    await writeFile(file, content, { mode: 0o600 });
    return content.trim();
  }
}

/** Writes configuration and secrets into `folder`; secrets and identity survive a second call. */
export async function writeConfig(
  options: Pick<SealgateOptions, 'folder' | 'kms' | 'workers' | 'configPatch'>,
): Promise<{
  configFile: string;
  dataFolder: string;
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
  adminToken: string;
}> {
  const { folder, kms } = options;
  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const installationId = await writeIfAbsent(
    join(folder, 'installation.id'),
    randomBytes(16).toString('hex'),
  );
  await writeIfAbsent(join(folder, 'installation.key'), randomBytes(32).toString('hex'));
  const adminToken = await writeIfAbsent(join(folder, 'admin.token'), randomBytes(32).toString('hex'));
  const root = JSON.parse(
    await writeIfAbsent(
      join(folder, 'root.json'),
      JSON.stringify({
        accessKeyId: `ROOT${randomBytes(8).toString('hex').toUpperCase()}`,
        secretAccessKey: randomBytes(30).toString('base64url'),
      }),
    ),
  ) as { accessKeyId: string; secretAccessKey: string };
  const region = 'us-east-1';
  const config: ConfigDocument = {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: installationId, region, keyFile: 'installation.key' },
    s3: { listen: '127.0.0.1:0', domains: ['s3.localhost'] },
    admin: { listen: '127.0.0.1:0', tokenFile: 'admin.token' },
    monitoring: { listen: '127.0.0.1:0' },
    metadata: { engine: 'sqlite', path: 'data/metadata.db' },
    blobs: { engine: 'filesystem', path: 'data/blobs' },
    rootCredentials: { file: 'root.json' },
    workers: options.workers ?? 2,
  };
  if (kms !== undefined) {
    config['kmsConnections'] = [
      {
        name: 'kms',
        provider: 'KMIP',
        kmip: {
          endpoints: [{ host: kms.host ?? '127.0.0.1', port: kms.port }],
          tls: {
            certFile: kms.certificates.cert,
            keyFile: kms.certificates.key,
            caFile: kms.certificates.ca,
          },
        },
        keyAccess: 'Fetch',
      },
    ];
    config['defaultKmsConnection'] = 'kms';
  }
  options.configPatch?.(config);
  const configFile = join(folder, 'sealgate.json');
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
  return { configFile, dataFolder, ...root, region, adminToken };
}

/** The log of one process as it is written: kept, and awaited line by line. */
class LogTail {
  readonly lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;

  add(line: string): void {
    this.lines.push(line);
    for (const wake of this.#waiting) wake();
  }

  end(): void {
    this.#ended = true;
    for (const wake of this.#waiting) wake();
  }

  /** The first matching line; null when the log ended without one. */
  async find(matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown> | null> {
    for (let next = 0; ; ) {
      for (; next < this.lines.length; next++) {
        const line = parseLine(this.lines[next] ?? '');
        if (line !== null && matches(line)) return line;
      }
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }
}

function parseLine(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  return JSON.parse(line) as Record<string, unknown>;
}

/** Writes the configuration, starts the process and waits for its ready line. Rejects with StartError. */
export async function startSealgate(options: SealgateOptions): Promise<Sealgate> {
  const written = await writeConfig(options);
  const logFile = options.logFile ?? join(options.folder, 'sealgate.log');
  const [command, ...args] = [
    ...(options.wrapper ?? []),
    options.launcher ?? LAUNCHER,
    'serve',
    '--config',
    written.configFile,
  ];
  const child = spawn(command, args, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = new LogTail();
  const exited = follow(child, log, logFile);
  const ready = await log.find((line) => line['msg'] === 'ready');
  if (ready === null) throw new StartError(await exited, log.lines.join('\n'));
  const pid = Number(ready['pid']);
  const monitoringEndpoint = String(ready['monitoring']);
  const metrics = async (): Promise<string> => (await fetch(`${monitoringEndpoint}/metrics`)).text();
  const signal = (name: NodeJS.Signals): void => {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, name);
  };
  return {
    ...written,
    endpoint: String(ready['s3']),
    adminEndpoint: String(ready['admin']),
    monitoringEndpoint,
    logFile,
    pid,
    exited,
    logLines: () => [...log.lines],
    logLine: async (matches) => {
      const line = await log.find(matches);
      if (line === null) throw new Error('sealgate ended without the awaited line in its log');
      return line;
    },
    signal,
    stop: async () => {
      signal('SIGTERM');
      return exited;
    },
    kill: async () => {
      signal('SIGKILL');
      return exited;
    },
    metrics,
    metric: async (name, labels) => metricValue(await metrics(), name, labels),
  };
}

async function follow(child: ChildProcess, log: LogTail, logFile: string): Promise<Exit> {
  const file = await open(logFile, 'a', 0o600);
  const closed = once(child, 'close');
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log.add(line);
      file
        .write(`${line}\n`)
        .catch((error: unknown) => log.add(`the harness could not write ${logFile}: ${String(error)}`));
    });
  }
  await closed;
  log.end();
  await file.close();
  return { code: child.exitCode, signal: child.signalCode };
}

/** The value of one sample in the text of /metrics; 0 when absent. */
function metricValue(text: string, name: string, labels?: string): number {
  const head = labels === undefined ? name : `${name}{${labels}}`;
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${head} `));
  return line === undefined ? 0 : Number(line.slice(head.length + 1));
}
