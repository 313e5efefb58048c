/**
 * The configuration file: the contract between whoever runs Sealgate and the process.
 *
 * Owns reading and judging it. It must not start anything, and must not know the rooms that use the settings.
 * docs/config.md is its reference.
 */
import { createHmac } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { NO_CONNECTIONS, type ReadConnections, readConnections } from './connectionFiles.ts';
import { ConfigError } from './errors.ts';
import { parseText } from './parseText.ts';
import { problemsOf } from './problems.ts';
import { ReferencedFiles, readSmallFile, reasonOf } from './referencedFiles.ts';
import { resolveSettings } from './resolve.ts';
import { type ConfigFile, configFile } from './schema.ts';
import type { Connections, LoadedConfig } from './settings.ts';

export interface LoadOptions {
  /** What is in force of connectionsDir: a file that is broken now leaves it so. */
  readonly before?: Connections;
  /** Judges certificates; Unix ms. */
  readonly nowMs?: number;
}

/**
 * Reads and checks the configuration file at `path` and every file that it names. Reads synchronously (see
 * readSmallFile). Throws ConfigError with every problem found at once; a broken file of connectionsDir is none: it is
 * among `connections.refused`.
 */
export function loadConfig(path: string, options: LoadOptions = {}): LoadedConfig {
  const { before = NO_CONNECTIONS, nowMs = Date.now() } = options;
  const file = resolve(path);
  const text = readText(file);
  const parsed = configFile.safeParse(parseText(file, text));
  if (!parsed.success) throw new ConfigError('Invalid', file, problemsOf(parsed.error));
  const folder = dirname(file);
  const files = new ReferencedFiles(folder, nowMs);
  const settings = resolveSettings(parsed.data, folder, files);
  if (settings === null || files.problems.length > 0) throw new ConfigError('Invalid', file, files.problems);
  const connectionsDir =
    parsed.data.connectionsDir === undefined ? null : resolve(folder, parsed.data.connectionsDir);
  const taken = settings.kmsConnections.map(({ name }) => name);
  const read: ReadConnections =
    connectionsDir === null
      ? { ...NO_CONNECTIONS, contents: [], warnings: [] }
      : readConnections({ folder: connectionsDir, taken, before, nowMs });
  const hash = createHmac('sha256', settings.installation.key).update(text);
  for (const content of [...files.contents, ...read.contents])
    hash.update(`\0${content.length}\0`).update(content);
  const { inForce, refused } = read;
  const kmsConnections = [...settings.kmsConnections, ...inForce.map((connection) => connection.settings)];
  return {
    file,
    hash: hash.digest('hex').slice(0, 32),
    revision: parsed.data.revision ?? null,
    connections: { inForce, refused },
    connectionsDir,
    settings: { ...settings, kmsConnections },
    warnings: [...files.warnings, ...read.warnings, ...missingDefault(parsed.data, kmsConnections)],
  };
}

/** The default may be a file of connectionsDir that is not there yet. */
function missingDefault(file: ConfigFile, connections: readonly { readonly name: string }[]): string[] {
  const { defaultKmsConnection: name } = file;
  if (name === undefined || connections.some((connection) => connection.name === name)) return [];
  return [
    `defaultKmsConnection: there is no connection ${name} yet: encrypted buckets cannot be made over S3`,
  ];
}

function readText(file: string): string {
  try {
    return readSmallFile(file).bytes.toString('utf8');
  } catch (error) {
    throw new ConfigError('Unreadable', file, [{ path: '', message: reasonOf(error) }], { cause: error });
  }
}
