/** How the process ends: by a signal, in order; by a second one or a failure that nobody caught, at once. */
import type { Logger } from 'pino';

/** The parts of `process` that are used. */
export interface ProcessEvents {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  on(event: 'uncaughtException', listener: (error: unknown) => void): unknown;
  exit(code: number): never;
}

/** Aborts with the first SIGTERM or SIGINT. */
export function watchShutdown(events: ProcessEvents, log: Logger): AbortSignal {
  const told = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    events.on(name, () => {
      if (told.signal.aborted) {
        log.warn({ signal: name }, 'second signal: ending at once');
        events.exit(1);
      }
      log.info({ signal: name }, 'ending');
      told.abort(new DOMException(name, 'AbortError'));
    });
  }
  // Rejections that nobody handles come here too. Nobody knows what is still true: the next process begins anew.
  events.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a part of the operator failed: ending');
    events.exit(1);
  });
  return told.signal;
}
