/**
 * Takes over new configurations while the process runs: all of a file or nothing of it.
 *
 * Owns which configuration is in force and why the last one was refused. It must not know what a setting does.
 */
import type { Logger } from 'pino';
import { ConfigError, describeProblem } from '../config/errors.ts';
import { assertLiveChange } from '../config/restart.ts';
import type { Connections, LoadedConfig, RefusedConnection } from '../config/settings.ts';
import type { ProcessMetrics } from '../monitoring/processMetrics.ts';

export interface ReloaderOptions {
  readonly initial: LoadedConfig;
  /** Throws ConfigError. */
  readonly load: (file: string, before: Connections) => LoadedConfig;
  /** Puts the settings in force, or rejects with ConfigError and changes nothing. */
  readonly apply: (config: LoadedConfig) => Promise<void>;
  readonly metrics: Pick<ProcessMetrics, 'configLoaded' | 'connectionsRefused'>;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Refusal {
  readonly atMs: number;
  readonly problems: readonly string[];
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #inForce: LoadedConfig;
  #loadedMs: number;
  #refused: Refusal | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#inForce = options.initial;
    this.#loadedMs = options.now();
    options.metrics.configLoaded('applied');
    this.#tellConnections([], options.initial.connections.refused);
  }

  get inForce(): LoadedConfig {
    return this.#inForce;
  }

  get loadedMs(): number {
    return this.#loadedMs;
  }

  /** Why the file as it is now is not in force; null when it is. */
  get refused(): Refusal | null {
    return this.#refused;
  }

  /**
   * Reads the file again. `asked`: somebody asked for it (SIGHUP), so that it is logged even when nothing changed;
   * otherwise a routine look, and a refusal that was logged already is not logged again. One look at a time. Rejects
   * with what is not ConfigError.
   */
  check(asked: boolean): Promise<void> {
    this.#last = this.#last.then(() => this.#look(asked));
    return this.#last;
  }

  async #look(asked: boolean): Promise<void> {
    const { load, apply, log, metrics, now } = this.#options;
    try {
      const { connections } = this.#inForce;
      const next = load(this.#inForce.file, connections);
      if (next.hash === this.#inForce.hash) {
        if (asked || this.#refused !== null) log.info({ hash: next.hash }, 'configuration unchanged');
        if (this.#refused !== null) metrics.configLoaded('applied');
        this.#refused = null;
        return;
      }
      assertLiveChange(this.#inForce.settings, next);
      await apply(next);
      this.#inForce = next;
      this.#loadedMs = now();
      this.#refused = null;
      metrics.configLoaded('applied');
      for (const warning of next.warnings) log.warn({ warning }, 'configuration warning');
      log.info({ hash: next.hash }, 'configuration reloaded');
      this.#tellConnections(connections.refused, next.connections.refused);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#refuse(error, asked);
    }
  }

  /** Logs what was not refused before: each file of connectionsDir is judged on its own. */
  #tellConnections(before: readonly RefusedConnection[], now: readonly RefusedConnection[]): void {
    this.#options.metrics.connectionsRefused(now.length);
    for (const { file, problems, sinceMs } of now) {
      if (before.some((known) => known.file === file && known.sinceMs === sinceMs)) continue;
      this.#options.log.error({ file, problems }, 'KMS connection refused, its last good one stays in force');
    }
  }

  #refuse(error: ConfigError, asked: boolean): void {
    const problems = error.problems.map(describeProblem);
    const known = JSON.stringify(this.#refused?.problems) === JSON.stringify(problems);
    if (known && !asked) return;
    this.#refused = { atMs: this.#options.now(), problems };
    this.#options.metrics.configLoaded('refused');
    this.#options.log.error(
      { code: error.code, problems },
      'configuration refused, the old one stays in force',
    );
  }
}
