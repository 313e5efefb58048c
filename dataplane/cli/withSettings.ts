/** What commands that read an installation share: its configuration, and errors that people can act on. */
import { BlobError } from '../blobs/blobs.ts';
import { loadConfig } from '../config/config.ts';
import { ConfigError, describeProblem } from '../config/errors.ts';
import type { Settings } from '../config/settings.ts';
import { KmsError } from '../keys/keys.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { inspectorRequested } from '../process/host.ts';
import { NotFoundError } from '../recovery/stores.ts';
import { AdminPortError } from './adminPort.ts';
import type { CommandOutput } from './command.ts';

/** The command could not do its work. */
export const COULD_NOT = 3;

/** Runs `work` on the settings of that file. What keeps it from working is told on standard error, with exit code 3. */
export async function withSettings(
  configFile: string,
  output: CommandOutput,
  work: (settings: Settings) => Promise<number>,
): Promise<number> {
  if (inspectorRequested()) {
    output.stderr('sealgate: refusing to run with an inspector: a debugger could read every key\n');
    return COULD_NOT;
  }
  try {
    return await work(loadConfig(configFile).settings);
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) output.stderr(`${error.file}: ${describeProblem(problem)}\n`);
      return COULD_NOT;
    }
    if (!isExpected(error)) throw error;
    output.stderr(`sealgate: ${error.message}\n`);
    return COULD_NOT;
  }
}

function isExpected(error: unknown): error is Error {
  return (
    error instanceof AdminPortError ||
    error instanceof NotFoundError ||
    error instanceof MetadataError ||
    error instanceof KmsError ||
    error instanceof BlobError
  );
}
