import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { watchShutdown } from './shutdown.ts';

const log = pino({ level: 'silent' });
let listeners: Map<string, (error?: unknown) => void>;
let exits: number[];
let told: AbortSignal;

beforeEach(() => {
  listeners = new Map();
  exits = [];
  told = watchShutdown(
    {
      on: (event: string, listener: (error?: unknown) => void) => listeners.set(event, listener),
      exit: (code) => {
        exits.push(code);
        throw new Error('exit');
      },
    },
    log,
  );
});

test('the first signal ends in order, the second at once', () => {
  listeners.get('SIGTERM')?.();
  expect([told.aborted, exits]).toEqual([true, []]);
  expect(() => listeners.get('SIGINT')?.()).toThrow('exit');
  expect(exits).toEqual([1]);
});

test('a failure that nobody caught ends at once', () => {
  expect(() => listeners.get('uncaughtException')?.(new Error('defect'))).toThrow('exit');
  expect([told.aborted, exits]).toEqual([false, [1]]);
});
