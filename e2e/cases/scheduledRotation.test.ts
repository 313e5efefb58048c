/** The key of a declared bucket is changed by its schedule: the data plane does it, and the operator tells of it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { ENCRYPTED_BUCKET } from '../../operator/kube/kinds.ts';
import { daysAhead } from '../harness/fakeTime.ts';
import { CutStage, TEAM } from './operatorCuts/cutStage.ts';
import { bucketReady, connected, declare } from './operatorCuts/scenarios.ts';
import { until } from './operatorRuntime/cluster.ts';

const NAME = 'dated';
const key = { namespace: TEAM, name: NAME };

const status = z.object({
  status: z.object({
    key: z.object({ version: z.int(), id: z.string(), nextRotationTime: z.string() }),
    conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })),
  }),
});
const eventList = z.object({
  items: z.array(z.object({ type: z.string(), reason: z.string(), message: z.string() })),
});

let stage: CutStage;

beforeAll(async () => {
  stage = await CutStage.start();
}, 300_000);

afterAll(async () => {
  await stage?.close();
});

test('a key is rotated when its day has come, without being asked for, and that is told', async () => {
  const { caches, runtime, pod, kms } = stage;
  const shown = () => status.parse(caches.buckets.get(key)).status;
  await connected(stage);
  await declare(stage, NAME, { keyRotation: { interval: '48h' } });
  await bucketReady(stage, NAME);
  const first = shown().key;
  expect(first.version).toBe(1);
  expect(Math.abs(Date.parse(first.nextRotationTime) - Date.now() - 48 * 3_600_000)).toBeLessThan(600_000);

  await pod.restart(async () => await Promise.resolve(), await daysAhead(1));
  await runtime.client.mergePatch(ENCRYPTED_BUCKET, key, { metadata: { annotations: { look: '1' } } });
  await stage.operator.order();
  expect(shown().key).toEqual(first);

  await pod.restart(async () => await Promise.resolve(), await daysAhead(3));
  await expect
    .poll(async () => (await stage.asPerson((admin) => admin.bucket(NAME)))?.keyVersion, { timeout: 30_000 })
    .toBe(2);
  await runtime.client.mergePatch(ENCRYPTED_BUCKET, key, { metadata: { annotations: { look: '2' } } });
  await until(caches.buckets, () => shown().key.version === 2);
  expect(shown().key.id).not.toBe(first.id);
  expect(kms.store.keys.size).toBe(2);
  expect(shown().conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
  expect(await pod.process.metric('sealgate_bucket_key_rotations_total', 'result="ok"')).toBe(1);
  const told = async () => {
    const fields = `involvedObject.name=${NAME},reason=KeyRotated`;
    const text = await stage.plane.kubectl([
      'get',
      'events',
      '-n',
      TEAM,
      '-o',
      'json',
      '--field-selector',
      fields,
    ]);
    return eventList.parse(JSON.parse(text)).items;
  };
  await expect
    .poll(told, { timeout: 30_000 })
    .toMatchObject([{ type: 'Normal', message: 'New objects use key version 2' }]);
});
