/** How the process ends: by a signal, in order; or by a failure, at once. */
import type { Logger } from 'pino';

/** The parts of `process` that are used. */
export interface ProcessEvents {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown;
  exit(code: number): never;
}

export interface Shutdown {
  /** Resolves to the name of the first SIGTERM or SIGINT. A second one exits at once with code 1. */
  readonly requested: Promise<string>;
  /** Logs why and exits with code 1: after a failure of a part nobody knows what is still true. */
  readonly fail: (part: string, error: unknown) => void;
}

export function watchShutdown(events: ProcessEvents, log: Logger): Shutdown {
  const requested = Promise.withResolvers<string>();
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    if (signals === 1) {
      requested.resolve(signal);
      return;
    }
    log.warn({ signal }, 'second signal: ending at once');
    events.exit(1);
  };
  const fail = (part: string, error: unknown): void => {
    log.fatal({ part, err: error }, 'a part of the process failed: ending');
    events.exit(1);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) events.on(signal, () => onSignal(signal));
  events.on('uncaughtException', (error: unknown) => fail('main', error));
  return { requested: requested.promise, fail };
}
