import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { FakeClock } from './fakeClock.testkit.ts';
import { FakeKms } from './fakeKms.testkit.ts';
import { serveHolder } from './holderService.ts';
import { type KeyRef, KmsError } from './keys.ts';
import { STATE } from './kmip/tags.ts';
import type { ControlMessage } from './messages.ts';
import { testSettings } from './settings.testkit.ts';
import { connectKeyProvider } from './workerKeys.ts';

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

/** A key holder in this thread, with a fake KMS and a clock that all sides share. */
async function setUp(workers = 1) {
  const clock = new FakeClock();
  const kms = new FakeKms(clock);
  const { port1: main, port2: control } = new MessageChannel();
  ports.push(main);
  serveHolder(control, { clock, connector: () => kms.connect });
  const answers: ControlMessage[] = [];
  let lastId = 0;
  main.on('message', (message: ControlMessage) => answers.push(message));
  const ask = async (request: object) => {
    lastId += 1;
    const id = lastId;
    main.postMessage({ ...request, id });
    return await expect
      .poll(() => answers.find((answer) => answer.kind !== 'log' && answer.id === id))
      .toBeDefined();
  };
  await ask({ kind: 'update', connections: [testSettings()] });
  const providers = Array.from({ length: workers }, () => {
    const { port1, port2 } = new MessageChannel();
    main.postMessage({ kind: 'connect', port: port1 }, [port1]);
    ports.push(port2);
    return connectKeyProvider(port2, () => clock.now());
  });
  const [keys] = providers;
  if (keys === undefined) throw new Error('at least one worker');
  const kmsId = kms.addKey();
  const ref: KeyRef = { connection: 'kms', kmsId, keyCheckValue: await keys.activateKey('kms', kmsId) };
  return { clock, kms, ask, answers, providers, keys, ref };
}

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
  return 'done';
}

test('a worker asks once and then serves itself', async () => {
  const { keys, kms, ref, ask, answers } = await setUp();
  for (let call = 0; call < 100; call += 1) {
    expect((await keys.bucketKey(ref, 'write')).export()).toEqual(kms.key(ref.kmsId).material);
  }
  await ask({ kind: 'flush', connection: 'kms' });
  await expect.poll(async () => (await keys.bucketKey(ref, 'read'), kms.count('Get'))).toBe(2);
  await ask({ kind: 'metrics' });
  await expect
    .poll(async () => {
      await ask({ kind: 'metrics' });
      return JSON.stringify(answers.at(-1));
    })
    .toMatch(/"value":1\d\d,"labels":\{"connection":"kms","result":"hit"\}/);
});

test('every call reaches the KMS', async () => {
  const { keys, kms } = await setUp();
  const kmsId = await keys.createKey('kms', 'a-name');
  expect(await keys.locateKey('kms', 'a-name', 0)).toEqual({ kmsId });
  expect(await keys.locateKey('kms', 'no-name', 0)).toBeNull();
  expect(await keys.activateKey('kms', kmsId)).toMatch(/^[0-9a-f]{16}$/);
  expect(kms.key(kmsId).state).toBe(STATE.active);
  await keys.revokeKey('kms', kmsId);
  expect(kms.key(kmsId).state).toBe(STATE.deactivated);
  await keys.destroyKey('kms', kmsId);
  expect(kms.keys.has(kmsId)).toBe(false);
});

test('errors keep their code and whether a mutation may have happened', async () => {
  const { keys, kms } = await setUp();
  kms.refuse = () => 0x100;
  await expect(keys.createKey('kms', 'a-name')).rejects.toMatchObject({
    code: 'Unavailable',
    maybeDone: true,
  });
  expect(await code(keys.createKey('other', 'a-name'))).toBe('UnknownConnection');
});

describe('a lease', () => {
  test('is renewed ahead of its end without waiting', async () => {
    const { clock, keys, kms, ref } = await setUp();
    await keys.bucketKey(ref, 'read');
    await clock.advance(250_000);
    await keys.bucketKey(ref, 'read');
    await expect.poll(() => kms.count('Get')).toBe(2);
    await clock.advance(100_000);
    await keys.bucketKey(ref, 'read');
    expect(kms.count('Get')).toBe(2);
  });

  test('ends with the time to live: then the worker asks before it uses the key', async () => {
    const { clock, keys, kms, ref } = await setUp();
    await keys.bucketKey(ref, 'read');
    await clock.advance(300_000);
    kms.refuse = () => 0x0c;
    expect(await code(keys.bucketKey(ref, 'read'))).toBe('AccessDenied');
  });

  test('a refusal at renewal takes the key from every worker', async () => {
    const { clock, providers, kms, ref } = await setUp(2);
    for (const provider of providers) await provider.bucketKey(ref, 'read');
    await clock.advance(250_000);
    kms.refuse = () => 0x0c;
    await providers[0]?.bucketKey(ref, 'read');
    for (const provider of providers) {
      await expect.poll(async () => await code(provider.bucketKey(ref, 'read'))).toBe('AccessDenied');
    }
  });

  test('of a key that is no longer Active is for reading only', async () => {
    const { keys, kms, ref, ask } = await setUp();
    kms.key(ref.kmsId).state = STATE.compromised;
    await ask({ kind: 'flush', connection: 'kms' });
    await keys.bucketKey(ref, 'read');
    expect(await code(keys.bucketKey(ref, 'write'))).toBe('InvalidState');
    expect(await code(keys.bucketKey(ref, 'read'))).toBe('done');
  });
});

test('a revoked key is lent for reading only, and a destroyed one not at all, in every worker', async () => {
  const { keys, providers, ref } = await setUp(2);
  for (const provider of providers) await provider.bucketKey(ref, 'write');
  await keys.revokeKey('kms', ref.kmsId);
  for (const provider of providers) {
    await expect.poll(async () => await code(provider.bucketKey(ref, 'write'))).toBe('InvalidState');
    expect(await code(provider.bucketKey(ref, 'read'))).toBe('done');
  }
  await keys.destroyKey('kms', ref.kmsId);
  for (const provider of providers) {
    await expect.poll(async () => await code(provider.bucketKey(ref, 'read'))).toBe('NotFound');
  }
});

test('a reference with another check value never gets the key that is lent', async () => {
  const { keys, ref } = await setUp();
  await keys.bucketKey(ref, 'read');
  expect(await code(keys.bucketKey({ ...ref, keyCheckValue: '0'.repeat(16) }, 'read'))).toBe('KeyMismatch');
  expect(await code(keys.bucketKey(ref, 'read'))).toBe('done');
});

test('when the holder is gone, calls under way and later ones are Unavailable', async () => {
  const { keys, kms, ask, ref } = await setUp();
  kms.mode = 'hang';
  const underWay = code(keys.createKey('kms', 'a-name'));
  await expect.poll(() => kms.frames.length).toBeGreaterThan(0);
  await ask({ kind: 'close' });
  expect(await underWay).toBe('Unavailable');
  expect(await code(keys.bucketKey(ref, 'read'))).toBe('Unavailable');
});

test('what the main thread asks is answered, or refused with a code', async () => {
  const { ask, answers } = await setUp();
  await ask({ kind: 'status' });
  expect(answers.at(-1)).toMatchObject({ kind: 'answer', value: [{ name: 'kms' }] });
  await ask({ kind: 'flush', connection: 'other' });
  expect(answers.at(-1)).toMatchObject({ kind: 'failure', error: { code: 'UnknownConnection' } });
});
