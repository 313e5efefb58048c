import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { settle } from '../clock.testkit.ts';
import { POD, SECRET } from '../kube/kinds.ts';
import { createQueueMetrics } from '../runtime/queueMetrics.ts';
import { connectionController } from './connectionController.ts';
import { setUpConnections } from './kms.testkit.ts';
import { createProbeMetrics } from './probeMetrics.ts';

test('changes of the Secret and of the pods lead to a look, and probes are real and measured', async () => {
  const world = setUpConnections();
  const registry = new Registry();
  const end = new AbortController();
  const probed = Promise.withResolvers<void>();
  const metrics = createProbeMetrics(registry);
  const controller = connectionController(
    {
      ...world.deps(),
      probeMetrics: {
        ...metrics,
        probed: (...probe) => {
          metrics.probed(...probe);
          probed.resolve();
        },
      },
    },
    {
      workers: 2,
      clock: world.clock,
      random: () => 0,
      log: pino({ level: 'silent' }),
      metrics: createQueueMetrics(registry),
    },
  );
  const tls = { secretRef: { name: 'client' } };
  // Nothing listens there: privileged, and below all that is ever given out.
  world.declare({ kmip: { endpoints: [{ host: '127.0.0.1', port: 1 }], tls } });
  const running = controller.run(end.signal);
  await probed.promise;
  for (let look = 0; look < 5; look += 1) await settle();
  await world.clock.advance(1_000);
  expect(world.condition('Ready')).toBe('False Unreachable');
  expect(world.condition('FleetSynced')).toBe('True Synced');
  expect(await registry.metrics()).toContain(
    'sealgate_operator_kms_probes_total{connection="team-a/keysecure",endpoint="127.0.0.1:1",result="Unreachable"} 1',
  );

  world.api.remove(SECRET, { namespace: 'team-a', name: 'client' });
  for (let look = 0; look < 5; look += 1) await settle();
  expect(world.condition('CertificateValid')).toBe('False SecretNotFound');

  world.podsThere = false;
  world.api.edit(POD, world.pod().key, { status: { phase: 'Failed' } });
  for (let look = 0; look < 5; look += 1) await settle();
  expect(world.condition('FleetSynced')).toBe('False NoPods');
  end.abort();
  await running;
});
