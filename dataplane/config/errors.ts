/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** Where in the file, such as `kmsConnections[0].cache.ttl`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. Never a secret's value. */
  readonly message: string;
}

export type ConfigErrorCode =
  /** The file cannot be read or is not JSON or YAML. */
  | 'Unreadable'
  /** The file, or one that it names, breaks the contract. */
  | 'Invalid'
  /** Valid, but it changes what only a restart can change. */
  | 'NeedsRestart';

/** Why a configuration was refused, with every problem found. */
export class ConfigError extends Error {
  readonly code: ConfigErrorCode;
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(
    code: ConfigErrorCode,
    file: string,
    problems: readonly ConfigProblem[],
    options?: ErrorOptions,
  ) {
    super(`${file}: ${problems.map(describeProblem).join('; ')}`, options);
    this.name = 'ConfigError';
    this.code = code;
    this.file = file;
    this.problems = problems;
  }
}

/** `path: message`, or the message alone for the file as a whole. */
export function describeProblem(problem: ConfigProblem): string {
  return problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`;
}
