/**
 * The operator as a process that is killed before and after every message of its reconciles, to the API server and to
 * the data plane: the next one comes to the same end, and nothing is left over. And one that is deposed amid its work.
 */
import { cp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CutStage, FLEET } from './operatorCuts/cutStage.ts';
import { LEASE_2S } from './operatorCuts/keptOperator.ts';
import { runCuts } from './operatorCuts/runCuts.ts';
import {
  bucketReady,
  connected,
  cutScenarios,
  declare,
  isStopped,
  standingOf,
} from './operatorCuts/scenarios.ts';

const soak = process.env['SEALGATE_SOAK'] === '1';

let stage: CutStage;

beforeAll(async () => {
  stage = await CutStage.start();
}, 300_000);

afterAll(async () => {
  await stage?.close();
});

test.each(cutScenarios)('$name comes to the same end wherever the operator was cut off', async (scenario) => {
  const { messages, cuts, missed } = await runCuts(stage, scenario, soak ? 1 : scenario.every);
  const late = missed.length === 0 ? '' : `; not always sent: ${missed.join(', ')}`;
  process.stdout.write(`${scenario.name}: cut ${cuts} times in ${messages.length} messages${late}\n`);
  expect(cuts).toBeGreaterThan(0);
  expect(missed.length).toBeLessThanOrEqual(Math.max(1, cuts / 10));
});

/** So long, and renewed so seldom, that a leader does not notice by itself that it was deposed. */
const LONG_LEASE = ['--lease-duration=10m', '--renew-deadline=9m', '--retry-period=1m'];

test.each([
  { name: 'that declares a bucket', step: 2, lease: LONG_LEASE, refused: true },
  { name: 'that makes an access key', step: 5, lease: LONG_LEASE, refused: true },
  { name: 'whose lease has run out', step: 2, lease: LEASE_2S, refused: false },
])(
  'a leader $name and is stopped changes nothing once another leads, and ends itself',
  async ({ step, lease, refused }) => {
    const name = `deposed-${step}-${lease.length}-${refused}`;
    await stage.operator.close();
    await stage.plane.kubectl(['-n', FLEET.namespace, 'delete', 'lease', '--all']);
    const former = stage.startOperator('former', lease);
    await former.leading();
    await connected(stage);
    await former.order({ step, side: 'before', signal: 'SIGSTOP' });
    former.letGo();
    await declare(stage, name);
    await expect.poll(() => isStopped(former.current), { timeout: 30_000, interval: 20 }).toBe(true);
    // With a long lease, the one case in which two take themselves for the leader.
    if (refused) await stage.plane.kubectl(['-n', FLEET.namespace, 'delete', 'lease', '--all']);
    stage.startOperator('next', lease);
    await stage.operator.leading();
    await bucketReady(stage, name);
    await stage.operator.order();
    const standing = await standingOf(stage, name);
    former.current.kill('SIGCONT');
    expect(await former.current.exited).toBe(1);
    if (refused)
      expect(former.current.lines.at(-1)).toMatchObject({ level: 'fatal', err: { type: 'DeposedError' } });
    await stage.operator.order();
    expect(await standingOf(stage, name)).toEqual(standing);
  },
);

test('a leader whose epoch a restored data plane does not know ends, and goes on under a new one', async () => {
  await stage.operator.close();
  await stage.plane.kubectl(['-n', FLEET.namespace, 'delete', 'lease', '--all']);
  stage.startOperator('first', LEASE_2S);
  const { operator, pod } = stage;
  await operator.leading();
  await connected(stage);
  const backup = `${pod.process.dataFolder}-backup`;
  await pod.restart(async (data) => await cp(data, backup, { recursive: true }));
  const { current } = operator;
  current.kill('SIGKILL');
  await current.exited;
  await operator.leading();
  const led = operator.current;
  await pod.restart(async (data) => {
    await rm(data, { recursive: true });
    await cp(backup, data, { recursive: true });
  });
  await declare(stage, 'restored');
  await bucketReady(stage, 'restored');
  expect(await led.exited).toBe(1);
  expect(led.lines.at(-1)).toMatchObject({ level: 'fatal', err: { type: 'DeposedError' } });
});
