/**
 * The folder of connections: one KMS connection a file, each judged on its own, so that a broken one harms no other.
 *
 * Owns which of its files are in force. It must not start anything.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { KmsConnectionSettings } from '../keys/settings.ts';
import { ConfigError, type ConfigProblem, describeProblem } from './errors.ts';
import { parseText } from './parseText.ts';
import { problemsOf } from './problems.ts';
import { ReferencedFiles, readSmallFile, reasonOf } from './referencedFiles.ts';
import { connectionSettings } from './resolve.ts';
import { connectionFile } from './schema.ts';
import type { ConnectionInForce, Connections, RefusedConnection } from './settings.ts';

export const NO_CONNECTIONS: Connections = { inForce: [], refused: [] };

export interface ReadConnections extends Connections {
  /** What was read, for the hash of the configuration. */
  readonly contents: readonly Buffer[];
  readonly warnings: readonly string[];
}

export interface ConnectionsQuery {
  /** Absolute path. */
  readonly folder: string;
  /** Names that the main file has taken. */
  readonly taken: readonly string[];
  /** What was in force until now: the last good one of a file that is broken now. */
  readonly before: Connections;
  /** Unix ms. */
  readonly nowMs: number;
}

/**
 * Reads every *.json, *.yaml and *.yml file of the folder in the order of their names. A folder that is not there has
 * none. Throws ConfigError 'Unreadable' when the folder cannot be read.
 */
export function readConnections({ folder, taken, before, nowMs }: ConnectionsQuery): ReadConnections {
  const names = new Set(taken);
  const inForce: ConnectionInForce[] = [];
  const refused: RefusedConnection[] = [];
  const contents: Buffer[] = [];
  const warnings: string[] = [];
  for (const file of connectionFileNames(folder)) {
    const files = new ReferencedFiles(folder, nowMs);
    const read = readOne(folder, file, files);
    contents.push(Buffer.from(file), ...files.contents);
    warnings.push(...files.warnings.map((warning) => `${file}: ${warning}`));
    if (read !== null && files.problems.length === 0 && names.has(read.settings.name)) {
      files.problems.push({ path: 'name', message: `${read.settings.name} is already taken` });
    }
    if (read !== null && files.problems.length === 0) {
      names.add(read.settings.name);
      inForce.push(read);
      continue;
    }
    refused.push(refusal(file, files.problems, before, nowMs));
    contents.push(...files.problems.map((problem) => Buffer.from(describeProblem(problem))));
    const last = before.inForce.find((connection) => connection.file === file);
    if (last === undefined || names.has(last.settings.name)) continue;
    names.add(last.settings.name);
    inForce.push(last);
  }
  return { inForce, refused, contents, warnings };
}

function connectionFileNames(folder: string): readonly string[] {
  try {
    // Mounted volumes keep their generations in names that begin with a dot.
    return readdirSync(folder)
      .filter((name) => /^[^.].*\.(?:json|ya?ml)$/.test(name) && !isCredentials(name))
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new ConfigError('Unreadable', folder, [{ path: 'connectionsDir', message: reasonOf(error) }], {
      cause: error,
    });
  }
}

/** Credentials are JSON too, and stand beside the connection that names them. */
function isCredentials(name: string): boolean {
  return name.endsWith('.credentials.json');
}

/** null after noting what is wrong in `files.problems`. */
function readOne(
  folder: string,
  file: string,
  files: ReferencedFiles,
): (ConnectionInForce & { readonly settings: KmsConnectionSettings }) | null {
  const path = join(folder, file);
  let document: unknown;
  try {
    const { bytes } = readSmallFile(path);
    files.contents.push(bytes);
    document = parseText(path, bytes.toString('utf8'));
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: reasonOf(error) }];
    files.problems.push(...problems);
    return null;
  }
  const parsed = connectionFile.safeParse(document);
  if (!parsed.success) {
    files.problems.push(...problemsOf(parsed.error));
    return null;
  }
  const settings = connectionSettings(parsed.data, '', files);
  return settings === null ? null : { file, settings, revision: parsed.data.revision ?? null };
}

function refusal(
  file: string,
  found: readonly ConfigProblem[],
  before: Connections,
  nowMs: number,
): RefusedConnection {
  const problems = found.map(describeProblem);
  const known = before.refused.find((refused) => refused.file === file);
  const same = JSON.stringify(known?.problems) === JSON.stringify(problems);
  return { file, problems, sinceMs: same && known !== undefined ? known.sinceMs : nowMs };
}
