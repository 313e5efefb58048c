/** What the cluster harness throws. `code` is stable, `cause` says what was behind it. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  readonly code: 'command_failed' | 'ended_early' | 'not_ready' | 'not_removed' | 'programs_missing';

  constructor(code: ClusterError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
