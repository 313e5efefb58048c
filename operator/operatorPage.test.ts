import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createApiMetrics } from './kube/apiMetrics.ts';
import { OPTIONS_HELP } from './options.ts';
import { registerConditionMetrics } from './runtime/conditionMetrics.ts';
import { createQueueMetrics } from './runtime/queueMetrics.ts';
import { createWorkMetrics } from './workMetrics.ts';

const page = readFileSync(new URL('../docs/operator.md', import.meta.url), 'utf8');

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].toSorted();
const all = (text: string, pattern: RegExp): string[] =>
  sorted([...text.matchAll(pattern)].map(([found]) => found));

/** Registered where a process, and not a test, has what they are made of. */
const OF_THE_PROCESS = ['sealgate_operator_events_total', 'sealgate_operator_leader'];

describe('docs/operator.md', () => {
  it('has every flag, and no other', () => {
    expect(all(page, /(?<=`)--[a-z-]+(?=`)/g)).toEqual(all(OPTIONS_HELP, /--[a-z-]+/g));
  });

  it('has every metric of the operator, and no other', async () => {
    const registry = new Registry();
    createApiMetrics(registry);
    createQueueMetrics(registry);
    createWorkMetrics(registry);
    registerConditionMetrics(registry, []);
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(all(page, /sealgate_operator_[a-z_]+/g)).toEqual(sorted([...names, ...OF_THE_PROCESS]));
  });
});
