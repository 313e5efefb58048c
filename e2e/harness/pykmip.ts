/**
 * A real KMIP server for tests and the demo: Debian's PyKMIP, started in a folder of its own.
 *
 * Owns the server's process group, configuration, certificates and database file. Test tool only: it reads and changes
 * keys behind the server's back, which is what the tests of altered keys and changed owners need.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, watch } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeCertificates } from './certificates.ts';
import { freePort } from './freePort.ts';

/** Debian's own interpreter: another python3, without PyKMIP, may come first in PATH. */
const PYTHON = '/usr/bin/python3';
const PYKMIP_SERVER = '/usr/bin/pykmip-server';
const READY_LINE = 'Starting connection service';
const LOOPBACK = '127.0.0.1';
const START_LIMIT_MS = 30_000;

/**
 * Runs a command in this process group and kills the group when the pipe at standard input closes: a server must not
 * outlive the test run that started it, however that ended.
 */
const END_WITH_STARTER = 'exec 3<&0; { cat; kill -KILL 0; } <&3 >/dev/null 3<&- & exec "$@" </dev/null 3<&-';

/** KMIP State, as PyKMIP stores it. */
export const KEY_STATES = { preActive: 1, active: 2, deactivated: 3, compromised: 4 } as const;

export interface PykmipOptions {
  /** Where configuration, certificates, log and database go; kept between runs, so keys survive a restart. */
  readonly folder: string;
  /** Without it a free port is chosen. */
  readonly port?: number;
  /** Certificates to use instead of new ones (for two servers under one authority). */
  readonly certificateFolder?: string;
  /** The database file; default: one in `folder`. Servers that share one act as a replicated cluster. */
  readonly database?: string;
  /** The address that it listens at; default: the loopback's. Its certificate is for this one. */
  readonly host?: string;
  /** What runs a command in another network, put before the server's command: `port` must be given too. */
  readonly enter?: readonly string[];
  /** How far the server's clock is ahead; not that of OpenSSL, which judges certificates. */
  readonly clockAheadMs?: number;
}

export interface Pykmip {
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly database: string;
  /** File paths. */
  readonly certificates: {
    readonly ca: string;
    readonly caKey: string;
    readonly clientCert: string;
    readonly clientKey: string;
    readonly folder: string;
  };
  /** SIGKILL to the whole process group; resolves when the server is gone. Nothing committed is lost. */
  kill(): Promise<void>;
  /** Starts again on the same port and database, killing first if needed. */
  restart(): Promise<void>;
  /** Stops the processes where they are (connections hang) until resume(). */
  pause(): void;
  resume(): void;
  /** The key's bytes, read from the server's database. */
  keyBytes(kmsId: string): Buffer;
  /** Flips a bit of the key in the server's database. */
  alterKeyBytes(kmsId: string): void;
  /** Gives the key to another user. */
  changeOwner(kmsId: string, commonName: string): void;
  /** Puts the key into another state; see KEY_STATES. */
  setState(kmsId: string, state: number): void;
  /** Removes the key from the database: the server answers Item Not Found. */
  removeKey(kmsId: string): void;
  /** Identifiers of the keys that carry this name. */
  keysNamed(name: string): string[];
  /** KMIP requests processed since the first start in this folder, of one operation ('Get', 'DiscoverVersions', ...) or of all. */
  requestCount(operation?: string): number;
  /** Client connections accepted since the first start in this folder. */
  connectionCount(): number;
}

/** Whether Debian's package is there. */
export const pykmipIsInstalled = (): boolean => existsSync(PYKMIP_SERVER);

/**
 * Starts PyKMIP and resolves when it accepts connections (about a second).
 * Rejects with the end of its log when it does not come up.
 */
export async function startPykmip(options: PykmipOptions): Promise<Pykmip> {
  const folder = path.resolve(options.folder);
  const certificateFolder = options.certificateFolder ?? path.join(folder, 'certificates');
  await mkdir(path.join(folder, 'policy'), { recursive: true });
  const ca = path.join(certificateFolder, 'ca.crt');
  const host = options.host ?? LOOPBACK;
  if (!existsSync(ca))
    await makeCertificates(certificateFolder, host === LOOPBACK ? undefined : `IP:${host}`);
  const port = options.port ?? (await freePort());
  const configuration = path.join(folder, 'server.conf');
  const database = options.database ?? path.join(folder, 'pykmip.sqlite');
  await writeFile(configuration, serverConfiguration({ folder, certificateFolder, host, port, database }));

  let server: ChildProcess | null = null;
  // A new log for every start, also in a folder that an earlier run used: the ready line must be this start's own.
  let starts = logFiles(folder).length;

  const kill = async (): Promise<void> => {
    const running = server;
    server = null;
    if (running === null) return;
    const gone = new Promise<void>((resolve) => {
      if (running.exitCode !== null || running.signalCode !== null) resolve();
      else running.once('exit', () => resolve());
    });
    // The whole group, also when its leader has ended by itself: the processes that it forked would stay.
    signalGroup(running, 'SIGKILL');
    await gone;
  };
  const env = await clockEnvironment(folder, options.clockAheadMs ?? 0);
  const start = async (): Promise<void> => {
    starts += 1;
    server = await launch(folder, configuration, `server-${starts}.log`, env, options.enter ?? []);
  };
  const edit = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(database, { timeout: 5000, enableForeignKeyConstraints: false });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const change = (kmsId: string, sql: string, ...values: (string | number | Buffer)[]): void => {
    const changed = edit((db) => db.prepare(sql).run(...values, Number(kmsId)).changes);
    if (changed !== 1) throw new Error(`PyKMIP has no key ${kmsId}`);
  };
  const keyBytes = (kmsId: string): Buffer => {
    const row = edit((db) =>
      db.prepare('SELECT value FROM managed_objects WHERE uid = ?').get(Number(kmsId)),
    );
    const value = row?.['value'];
    if (!(value instanceof Uint8Array)) throw new Error(`PyKMIP has no key ${kmsId}`);
    return Buffer.from(value);
  };
  const countLines = (text: string): number =>
    logFiles(folder).reduce(
      (sum, name) => sum + readFileSync(path.join(folder, name), 'utf8').split(text).length - 1,
      0,
    );

  await start();
  return {
    host,
    port,
    folder,
    database,
    certificates: {
      ca,
      caKey: path.join(certificateFolder, 'ca.key'),
      clientCert: path.join(certificateFolder, 'client-sealgate.crt'),
      clientKey: path.join(certificateFolder, 'client-sealgate.key'),
      folder: certificateFolder,
    },
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    pause: () => {
      if (server !== null) signalGroup(server, 'SIGSTOP');
    },
    resume: () => {
      if (server !== null) signalGroup(server, 'SIGCONT');
    },
    keyBytes,
    alterKeyBytes: (kmsId) => {
      const bytes = keyBytes(kmsId);
      bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
      change(kmsId, 'UPDATE managed_objects SET value = ? WHERE uid = ?', bytes);
    },
    changeOwner: (kmsId, commonName) =>
      change(kmsId, 'UPDATE managed_objects SET owner = ? WHERE uid = ?', commonName),
    setState: (kmsId, state) => change(kmsId, 'UPDATE crypto_objects SET state = ? WHERE uid = ?', state),
    removeKey: (kmsId) => change(kmsId, 'DELETE FROM managed_objects WHERE uid = ?'),
    keysNamed: (name) =>
      edit((db) => db.prepare('SELECT mo_uid AS uid FROM managed_object_names WHERE name = ?').all(name)).map(
        (row) => String(row['uid']),
      ),
    requestCount: (operation = '') =>
      countLines(`Processing operation: ${operation}${operation === '' ? '' : '\n'}`),
    connectionCount: () => countLines('Receiving incoming connection from:'),
  };
}

/** The logs of all starts, with the pieces that PyKMIP rotated away. */
function logFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^server-\d+\.log(\.\d+)?$/.test(name));
}

/** Python imports sitecustomize before anything else: there its clock can be set, for this server alone. */
async function clockEnvironment(folder: string, aheadMs: number): Promise<NodeJS.ProcessEnv> {
  if (aheadMs === 0) return process.env;
  const modules = path.join(folder, 'python');
  await mkdir(modules, { recursive: true });
  await writeFile(
    path.join(modules, 'sitecustomize.py'),
    `import time\n_right = time.time\ntime.time = lambda: _right() + ${aheadMs / 1000}\n`,
  );
  return { ...process.env, PYTHONPATH: modules };
}

/** Starts the server in a process group of its own and waits for its ready line. */
async function launch(
  folder: string,
  configuration: string,
  logName: string,
  env: NodeJS.ProcessEnv,
  enter: readonly string[],
): Promise<ChildProcess> {
  const logFile = path.join(folder, logName);
  const output = openSync(path.join(folder, 'output.log'), 'a');
  const command = [...enter, PYTHON, '-W', 'ignore', PYKMIP_SERVER, '-f', configuration, '-l', logFile];
  const server = spawn('/bin/sh', ['-c', END_WITH_STARTER, 'pykmip', ...command], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['pipe', output, output],
  });
  closeSync(output);
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string, cause?: unknown) =>
        reject(
          new Error(`PyKMIP did not start: ${why}\n${log().slice(-2000)}${lastOutput(folder)}`, { cause }),
        );
      const watcher = watch(folder);
      const limit = setTimeout(() => fail(`not ready within ${START_LIMIT_MS} ms`), START_LIMIT_MS);
      const settle = (then: () => void) => {
        clearTimeout(limit);
        watcher.close();
        then();
      };
      server.once('error', (error) => settle(() => fail('cannot run it', error)));
      server.once('exit', (code, signal) => settle(() => fail(`ended with ${code ?? signal}`)));
      watcher.on('change', () => {
        if (log().includes(READY_LINE)) settle(resolve);
      });
    });
  } catch (error) {
    signalGroup(server, 'SIGKILL');
    throw error;
  }
  server.removeAllListeners('exit');
  return server;
}

function lastOutput(folder: string): string {
  return readFileSync(path.join(folder, 'output.log'), 'utf8').slice(-2000);
}

/** The server and the manager process that it forks share a group; the group may be gone already. */
function signalGroup(server: ChildProcess, signal: NodeJS.Signals): void {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** INFO, not DEBUG: at DEBUG PyKMIP logs whole messages, keys included. */
function serverConfiguration(server: {
  folder: string;
  certificateFolder: string;
  host: string;
  port: number;
  database: string;
}): string {
  const settings = {
    hostname: server.host,
    port: server.port,
    certificate_path: path.join(server.certificateFolder, 'server.crt'),
    key_path: path.join(server.certificateFolder, 'server.key'),
    ca_path: path.join(server.certificateFolder, 'ca.crt'),
    auth_suite: 'TLS1.2',
    policy_path: path.join(server.folder, 'policy'),
    enable_tls_client_auth: 'True',
    database_path: server.database,
    logging_level: 'INFO',
    tls_cipher_suites: 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384 TLS_RSA_WITH_AES_256_CBC_SHA256',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return `[server]\n${lines.join('\n')}\n`;
}
