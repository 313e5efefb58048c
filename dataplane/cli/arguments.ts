import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { UsageError } from './command.ts';

/** Text options of a command and its positionals, of which there must be exactly `positionals`. Throws UsageError. */
export function parseArguments(
  args: readonly string[],
  options: readonly string[],
  positionals: number,
): { options: Readonly<Record<string, string | undefined>>; positionals: readonly string[] } {
  const config: ParseArgsOptionsConfig = Object.fromEntries(
    options.map((name) => [name, { type: 'string' }]),
  );
  const parsed = parse(args, config);
  if (parsed.positionals.length > positionals)
    throw new UsageError(`unexpected argument '${parsed.positionals[positionals]}'`);
  if (parsed.positionals.length < positionals) throw new UsageError('an argument is missing');
  const texts = Object.entries(parsed.values).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : undefined,
  ]);
  return { options: Object.fromEntries(texts), positionals: parsed.positionals };
}

function parse(args: readonly string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
