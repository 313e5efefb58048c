import { loadConfig } from '../config/config.ts';
import { ConfigError, describeProblem } from '../config/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

/** `sealgate config check FILE`: everything that is wrong with it, or ok. */
export const configCheck: Command = {
  name: 'config check',
  synopsis: 'FILE',
  summary: 'check a configuration file and the files that it names',
  run: async (args, output) => {
    const [file = ''] = parseArguments(args, [], 1).positionals;
    try {
      const { warnings } = loadConfig(file);
      for (const warning of warnings) output.stderr(`warning: ${warning}\n`);
      output.stdout('ok\n');
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) output.stderr(`${error.file}: ${describeProblem(problem)}\n`);
      return 1;
    }
  },
};
