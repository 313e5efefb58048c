/** The entry point of the data plane's command. */
import { runCli } from './cli/cli.ts';
import { COMMANDS } from './cli/commands.ts';

process.exit(
  await runCli(COMMANDS, process.argv.slice(2), {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
  }),
);
