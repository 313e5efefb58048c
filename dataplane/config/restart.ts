/** What a running process can take over from a new configuration, and what only a restart can. */
import { ConfigError, type ConfigProblem } from './errors.ts';
import type { LoadedConfig, Settings } from './settings.ts';

const MESSAGE = 'cannot change while the process runs: put the old value back, or restart it';

/** What is fixed for the life of the process, by field; values compare as JSON. */
const FIXED: readonly (readonly [string, (settings: Settings) => unknown])[] = [
  ['installation.id', (settings) => settings.installation.id],
  ['installation.region', (settings) => settings.installation.region],
  ['s3.listen', (settings) => settings.s3.listen],
  ['s3.tls', (settings) => settings.s3.tls !== null],
  ['admin.listen', (settings) => settings.admin.listen],
  ['admin.tls', (settings) => settings.admin.tls !== null],
  ['monitoring.listen', (settings) => settings.monitoring.listen],
  ['metadata', (settings) => settings.metadata],
  ['blobs', (settings) => settings.blobs],
  ['gc', (settings) => settings.gc],
  ['workers', (settings) => settings.workers],
];

/** Throws ConfigError 'NeedsRestart' when `next` changes what is fixed; it is then refused as a whole. */
export function assertLiveChange(inForce: Settings, next: LoadedConfig): void {
  const problems: ConfigProblem[] = FIXED.filter(
    ([, read]) => JSON.stringify(read(inForce)) !== JSON.stringify(read(next.settings)),
  ).map(([path]) => ({ path, message: MESSAGE }));
  if (!inForce.installation.key.equals(next.settings.installation.key)) {
    problems.push({ path: 'installation.keyFile', message: MESSAGE });
  }
  if (problems.length > 0) throw new ConfigError('NeedsRestart', next.file, problems);
}
