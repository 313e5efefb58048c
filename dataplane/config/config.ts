/**
 * The configuration file: the contract between whoever runs Sealgate and the process.
 *
 * Owns reading and judging it. It must not start anything, and must not know the rooms that use the settings.
 * docs/config.md is its reference.
 */
import { createHmac } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { ConfigError } from './errors.ts';
import { problemsOf } from './problems.ts';
import { ReferencedFiles, readSmallFile, reasonOf } from './referencedFiles.ts';
import { resolveSettings } from './resolve.ts';
import { configFile } from './schema.ts';
import type { LoadedConfig } from './settings.ts';

/**
 * Reads and checks the configuration file at `path` and every file that it names. Reads synchronously (see
 * readSmallFile). `nowMs` judges certificates. Throws ConfigError with every problem found at once.
 */
export function loadConfig(path: string, nowMs = Date.now()): LoadedConfig {
  const file = resolve(path);
  const text = readText(file);
  const parsed = configFile.safeParse(parseText(file, text));
  if (!parsed.success) throw new ConfigError('Invalid', file, problemsOf(parsed.error));
  const folder = dirname(file);
  const files = new ReferencedFiles(folder, nowMs);
  const settings = resolveSettings(parsed.data, folder, files);
  if (settings === null || files.problems.length > 0) throw new ConfigError('Invalid', file, files.problems);
  const hash = createHmac('sha256', settings.installation.key).update(text);
  for (const content of files.contents) hash.update(`\0${content.length}\0`).update(content);
  return { file, hash: hash.digest('hex').slice(0, 32), settings, warnings: files.warnings };
}

function readText(file: string): string {
  try {
    return readSmallFile(file).bytes.toString('utf8');
  } catch (error) {
    throw new ConfigError('Unreadable', file, [{ path: '', message: reasonOf(error) }], { cause: error });
  }
}

/** JSON is read as the YAML that it is. */
function parseText(file: string, text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: '', message: `line ${line}, column ${col}: ${error.message}` };
    });
    throw new ConfigError('Unreadable', file, problems);
  }
  try {
    return document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    throw new ConfigError('Unreadable', file, [{ path: '', message: 'too many YAML aliases' }], {
      cause: error,
    });
  }
}
