import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { ApiServer } from '../kube/apiServer.testkit.ts';
import { ENCRYPTED_BUCKET } from '../kube/kinds.ts';
import { registerConditionMetrics } from './conditionMetrics.ts';

async function scrape(states: readonly ('True' | 'False')[]): Promise<string[]> {
  const api = new ApiServer();
  for (const [n, status] of states.entries()) {
    const reason = status === 'True' ? 'Ready' : 'KmsUnavailable';
    const condition = {
      type: 'Ready',
      status,
      reason,
      message: '',
      lastTransitionTime: '2030-01-01T00:00:00Z',
    };
    api.edit(
      ENCRYPTED_BUCKET,
      { namespace: 'team-a', name: `b${n}` },
      { status: { conditions: [condition] } },
    );
  }
  const registry = new Registry();
  registerConditionMetrics(registry, [api.cache(ENCRYPTED_BUCKET)]);
  await registry.metrics();
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('conditions are counted, and only what is not ready has a series of its own', async () => {
  expect(await scrape(['True', 'True', 'False'])).toEqual([
    'sealgate_operator_conditions{kind="EncryptedBucket",condition="Ready",status="True",reason="Ready"} 2',
    'sealgate_operator_conditions{kind="EncryptedBucket",condition="Ready",status="False",reason="KmsUnavailable"} 1',
    'sealgate_operator_resource_not_ready{kind="EncryptedBucket",namespace="team-a",name="b2",reason="KmsUnavailable"} 1',
  ]);
});

test('of a kind that is all in trouble a hundred are named, and all are counted', async () => {
  const lines = await scrape(Array.from({ length: 250 }, () => 'False' as const));
  expect(lines.filter((line) => line.startsWith('sealgate_operator_resource_not_ready'))).toHaveLength(100);
  expect(lines[0]).toMatch(/reason="KmsUnavailable"\} 250$/);
});
