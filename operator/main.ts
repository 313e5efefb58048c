/** The entry point of the operator. */
import { systemClock } from './clock.ts';
import { createLogger, standardOutput } from './log.ts';
import { runOperator } from './operator.ts';
import { OPTIONS_HELP, type OperatorOptions, OptionsError, parseOptions } from './options.ts';
import { watchShutdown } from './shutdown.ts';
import { createWork } from './work.ts';

function optionsOrExit(): OperatorOptions {
  try {
    return parseOptions(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    process.stderr.write(`sealgate operator: ${error.message}\n\n${OPTIONS_HELP}`);
    return process.exit(2);
  }
}

const options = optionsOrExit();
const log = createLogger({ level: options.logLevel, destination: standardOutput() });
const signal = watchShutdown(process, log);
process.exitCode = await runOperator(
  options,
  { clock: systemClock, random: Math.random, log },
  createWork,
  signal,
);
process.exit();
