import { ConfigError, describeProblem } from '../config/errors.ts';
import { inspectorRequested } from '../process/host.ts';
import { serve } from '../process/serve.ts';
import { parseArguments } from './arguments.ts';
import { type Command, UsageError } from './command.ts';

/** `sealgate serve --config FILE`: the data plane, until a signal ends it. */
export const serveCommand: Command = {
  name: 'serve',
  synopsis: '--config FILE',
  summary: 'serve S3 until SIGTERM; SIGHUP reads the configuration again',
  run: async (args, output) => {
    const { config } = parseArguments(args, ['config'], 0).options;
    if (config === undefined) throw new UsageError('--config FILE is missing');
    if (inspectorRequested()) {
      output.stderr('sealgate: refusing to serve with an inspector: a debugger could read every key\n');
      return 1;
    }
    try {
      return await serve(config);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) output.stderr(`${error.file}: ${describeProblem(problem)}\n`);
      return 1;
    }
  },
};
