/** What every command of the command line is. */

/** Where a command writes; text is written as it is. */
export interface CommandOutput {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Whether a person sees standard error, so that a line may be drawn over again. */
  readonly isTerminal?: boolean;
}

export interface Command {
  /** The words after `sealgate`, such as `config check`. */
  readonly name: string;
  /** Arguments as the usage shows them, such as `FILE`; may be empty. */
  readonly synopsis: string;
  readonly summary: string;
  /** Resolves to the exit code: 0 done, 1 failed. Throws UsageError for wrong arguments. */
  run(args: readonly string[], output: CommandOutput): Promise<number>;
}

/** The arguments are wrong: shown with the usage on standard error, exit code 2. */
export class UsageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UsageError';
  }
}
