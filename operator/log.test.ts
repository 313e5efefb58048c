import { createSecretKey } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from './log.ts';

function logged(act: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  const sink = new PassThrough({ encoding: 'utf8' });
  act(createLogger({ level: 'info', destination: sink }));
  return JSON.parse(String(sink.read())) as Record<string, unknown>;
}

test('a line has level, time and component, and the fields given', () => {
  const line = logged((log) => log.warn({ bucket: 'b', n: 2n, list: [1, null] }, 'said'));
  expect(line).toMatchObject({
    level: 'warn',
    component: 'operator',
    bucket: 'b',
    n: '2',
    list: [1, null],
    msg: 'said',
  });
  expect(String(line['time'])).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test.each([
  'secretAccessKey',
  'Authorization',
  'password',
  'token',
  'headers',
  'data',
  'stringData',
  'body',
  'privateKey',
])('the value of %s never reaches a line, at any depth', (name) => {
  const line = logged((log) =>
    log.info({ [name]: 'tell-nobody', deep: { er: [{ [name]: { x: 'tell-nobody' } }] } }, 'm'),
  );
  expect(JSON.stringify(line)).not.toContain('tell-nobody');
  expect(line[name]).toBe('[redacted]');
});

test('bytes, keys, endless texts and depths are cut', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  const line = logged((log) =>
    log.info({
      bytes: Buffer.from('tell-nobody'),
      buffer: new ArrayBuffer(3),
      k: createSecretKey(Buffer.alloc(32)),
      long: 'x'.repeat(5_000),
      cyclic,
    }),
  );
  expect(line).toMatchObject({ bytes: '[11 bytes]', buffer: '[3 bytes]', k: '[key]' });
  expect(String(line['long'])).toHaveLength(2_049);
  expect(JSON.stringify(line['cyclic'])).toContain('[deeper]');
});

test('an error shows name, code, message, stack and causes, and none of its other fields', () => {
  const cause = Object.assign(new Error('below'), { response: 'tell-nobody' });
  const err = Object.assign(new RangeError('above', { cause }), { code: 'E_X', body: 'tell-nobody' });
  const line = logged((log) => log.error({ err }, 'm'));
  expect(line['err']).toEqual({
    type: 'RangeError',
    code: 'E_X',
    message: 'above',
    stack: expect.stringContaining('RangeError: above'),
    cause: { type: 'Error', message: 'below', stack: expect.stringContaining('Error: below') },
  });
});
