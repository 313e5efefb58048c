import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { freeSpaceReserveBytes, inspectorRequested, sizeThreadPool, workerCount } from './host.ts';
import { rootOwnerId } from './identity.ts';

test.each<[setting: number | 'auto', platform: NodeJS.Platform, expected: number]>([
  [4, 'linux', 4],
  ['auto', 'linux', availableParallelism()],
  [4, 'darwin', 1],
  ['auto', 'win32', 1],
])('workers: %s on %s gives %i', (setting, platform, expected) => {
  expect(workerCount(setting, platform)).toBe(expected);
});

test.each([
  [1, '16'],
  [4, '16'],
  [5, '20'],
  [64, '256'],
])('%i workers share a pool of %s', (workers, expected) => {
  const env: NodeJS.ProcessEnv = {};
  sizeThreadPool(workers, env);
  expect(env['UV_THREADPOOL_SIZE']).toBe(expected);
});

test.each<[execArgv: string[], nodeOptions: string, expected: boolean]>([
  [[], '', false],
  [['--inspect'], '', true],
  [['--inspect=127.0.0.1:9229'], '', true],
  [['--inspect-brk'], '', true],
  [['--inspect-wait=0'], '', true],
  [['--disable-sigusr1'], '--max-old-space-size=100', false],
  [[], '--enable-source-maps --inspect', true],
])('an inspector is seen in %j and "%s": %s', (execArgv, nodeOptions, expected) => {
  expect(inspectorRequested(execArgv, nodeOptions)).toBe(expected);
});

test('the root owner belongs to the installation and is a canonical user id', () => {
  expect(rootOwnerId('0'.repeat(32))).toMatch(/^[0-9a-f]{64}$/);
  expect(rootOwnerId('0'.repeat(32))).toBe(rootOwnerId('0'.repeat(32)));
  expect(rootOwnerId('1'.repeat(32))).not.toBe(rootOwnerId('0'.repeat(32)));
});

test.each([
  [64 * 2 ** 20, 3_355_443],
  [2 ** 40, 256 * 2 ** 20],
])('of a disk of %i bytes %i are kept free', (diskBytes, reserve) => {
  expect(freeSpaceReserveBytes(diskBytes)).toBe(reserve);
});
