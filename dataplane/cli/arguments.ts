import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { UsageError } from './command.ts';

export interface Arguments {
  readonly options: Readonly<Record<string, string | undefined>>;
  /** Those that were given. */
  readonly flags: ReadonlySet<string>;
  readonly positionals: readonly string[];
}

/**
 * Text options and flags of a command and its positionals, of which there must be exactly `positionals`. Throws
 * UsageError.
 */
export function parseArguments(
  args: readonly string[],
  options: readonly string[],
  positionals: number,
  flags: readonly string[] = [],
): Arguments {
  const config: ParseArgsOptionsConfig = {
    ...Object.fromEntries(options.map((name) => [name, { type: 'string' }])),
    ...Object.fromEntries(flags.map((name) => [name, { type: 'boolean' }])),
  };
  const parsed = parse(args, config);
  if (parsed.positionals.length > positionals)
    throw new UsageError(`unexpected argument '${parsed.positionals[positionals]}'`);
  if (parsed.positionals.length < positionals) throw new UsageError('an argument is missing');
  const texts = Object.entries(parsed.values).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : undefined,
  ]);
  const given = flags.filter((name) => parsed.values[name] === true);
  return { options: Object.fromEntries(texts), flags: new Set(given), positionals: parsed.positionals };
}

function parse(args: readonly string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
