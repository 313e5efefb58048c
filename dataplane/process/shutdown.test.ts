import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { type ProcessEvents, watchShutdown } from './shutdown.ts';

class Ended extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

function watched() {
  const events = new EventEmitter();
  const sink = new PassThrough({ encoding: 'utf8' });
  const exiting: ProcessEvents = {
    on: (event: string, listener: (error: unknown) => void) => events.on(event, listener),
    exit: (code) => {
      throw new Ended(code);
    },
  };
  const shutdown = watchShutdown(exiting, createLogger({ level: 'info', thread: 'test', destination: sink }));
  return { events, shutdown, lines: () => String(sink.read() ?? '') };
}

test.each(['SIGTERM', 'SIGINT'])(
  '%s asks for the end, a second signal ends at once with code 1',
  async (signal) => {
    const { events, shutdown, lines } = watched();
    events.emit(signal);
    await expect(shutdown.requested).resolves.toBe(signal);
    expect(() => events.emit('SIGTERM')).toThrow('exit 1');
    expect(lines()).toContain('second signal');
  },
);

test('an uncaught error and a failed part are logged and end the process with code 1', () => {
  const { events, shutdown, lines } = watched();
  expect(() => events.emit('uncaughtException', new Error('bug'))).toThrow('exit 1');
  expect(lines()).toMatch(/"level":"fatal".*"part":"main".*"message":"bug"/);
  expect(() => shutdown.fail('writer', new Error('disk'))).toThrow('exit 1');
  expect(lines()).toMatch(/"part":"writer".*"message":"disk"/);
});
