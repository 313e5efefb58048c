/**
 * The log of the operator: one JSON object per line on standard output.
 *
 * Owns the form of the lines and the guard that keeps secrets out of them. What is logged is for the rooms to say;
 * the guard is the second line of defence, not a licence to log whole objects. (The data plane's log has the same form;
 * the operator does not import its code.)
 */
import { KeyObject } from 'node:crypto';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { LogLevel } from '../dataplane/config/settings.ts';

/** Names whose values never reach a line, whatever holds them; compared in lower case. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'body',
  'cert',
  'cookie',
  'credentials',
  'data',
  'headers',
  'keymaterial',
  'passphrase',
  'password',
  'pem',
  'privatekey',
  'secret',
  'secretaccesskey',
  'stringdata',
  'token',
  'url',
]);

const MAX_DEPTH = 6;
const MAX_TEXT = 2_048;

/** A copy of `value` fit for the log: no secret names, no bytes, no keys; errors as name, code, message and causes. */
function guarded(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return guardedError(value, depth);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (value instanceof KeyObject) return '[key]';
  if (depth >= MAX_DEPTH) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => guarded(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    copy[name] = SECRET_NAMES.has(name.toLowerCase()) ? '[redacted]' : guarded(item, depth + 1);
  }
  return copy;
}

function guardedError(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined || depth >= MAX_DEPTH ? {} : { cause: guarded(error.cause, depth + 1) }),
  };
}

/** Standard output, written synchronously: a line is out before the process can die. */
export function standardOutput(): DestinationStream {
  return destination({ dest: 1, sync: true });
}

/** A logger with levels as words and time as ISO 8601 UTC. */
export function createLogger(options: { level: LogLevel; destination: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: { component: 'operator' },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: {
        level: (label) => ({ level: label }),
        log: (object) => {
          const copy: Record<string, unknown> = {};
          for (const [name, value] of Object.entries(object)) {
            copy[name] = SECRET_NAMES.has(name.toLowerCase()) ? '[redacted]' : guarded(value, 0);
          }
          return copy;
        },
      },
      serializers: { err: (error: unknown) => error },
    },
    options.destination,
  );
}
