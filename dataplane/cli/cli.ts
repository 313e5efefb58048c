/**
 * The command line: finds the command, explains itself when there is none.
 *
 * Owns usage and exit codes (0 done, 1 failed, 2 wrong usage; a command may have more). What commands do lies in one file each; they are
 * listed in commands.ts.
 */
import { type Command, type CommandOutput, UsageError } from './command.ts';

function usage(commands: readonly Command[]): string {
  const heads = commands.map((command) => `  sealgate ${command.name} ${command.synopsis}`.trimEnd());
  const width = Math.max(...heads.map((head) => head.length)) + 3;
  const lines = commands.map((command, i) => `${(heads[i] ?? '').padEnd(width)}${command.summary}`);
  return `usage:\n${lines.join('\n')}\n`;
}

/** The command whose name's words start the arguments, and what is left of them. */
function findCommand(
  commands: readonly Command[],
  args: readonly string[],
): { command: Command; rest: readonly string[] } | null {
  for (const command of commands) {
    const words = command.name.split(' ');
    if (words.every((word, i) => args[i] === word)) return { command, rest: args.slice(words.length) };
  }
  return null;
}

/** Runs one command; resolves to the exit code. */
export async function runCli(
  commands: readonly Command[],
  args: readonly string[],
  output: CommandOutput,
): Promise<number> {
  if (args[0] === 'help' || args.includes('--help') || args.includes('-h')) {
    output.stdout(usage(commands));
    return 0;
  }
  const found = findCommand(commands, args);
  try {
    if (found === null)
      throw new UsageError(
        args.length === 0 ? 'a command is missing' : `unknown command '${args.slice(0, 2).join(' ')}'`,
      );
    return await found.command.run(found.rest, output);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.stderr(`sealgate: ${error.message}\n${usage(found === null ? commands : [found.command])}`);
    return 2;
  }
}
