/** Plays one scenario again and again, each time with the operator killed at another of its messages. */
import { expect } from 'vitest';
import type { CutOrder } from './cutOrder.ts';
import type { CutStage } from './cutStage.ts';

export interface CutScenario {
  readonly name: string;
  /** The ordinary form kills at each so many-th message only. */
  readonly every: number;
  /** Brings everything to where the change begins. The operator is at work. `name`: of the resource of this time. */
  readonly prepare: (stage: CutStage, name: string) => Promise<void>;
  readonly change: (stage: CutStage, name: string) => Promise<void>;
  /** Resolves when the end is reached. */
  readonly settled: (stage: CutStage, name: string) => Promise<void>;
  /** How many keys the KMS has more afterwards, wherever the operator was cut off. */
  readonly keysMade: number;
  /** Rejects when the end is not what it should be. */
  readonly check: (stage: CutStage, name: string) => Promise<void>;
  /** Takes the resource away again: a new operator looks at all that there are. */
  readonly tidy?: (stage: CutStage, name: string) => Promise<void>;
}

export interface CutReport {
  /** Of the time without a cut. */
  readonly messages: readonly string[];
  readonly cuts: number;
  /** Messages that did not come in any of the times, because the change took fewer each time. */
  readonly missed: readonly string[];
}

/** Rejects with what differs from the end that is expected, naming the message at which the operator was killed. */
export async function runCuts(stage: CutStage, scenario: CutScenario, every: number): Promise<CutReport> {
  const name = scenario.name.replaceAll(/[^a-z]+/g, '-').toLowerCase();
  const messages = await withoutCut(stage, scenario, `${name}-whole`);
  const places = messages.flatMap((message, index) =>
    (['before', 'after'] as const).map((side) => ({ message, step: index + 1, side })),
  );
  let cuts = 0;
  const missed: string[] = [];
  for (const [turn, { message, step, side }] of places.entries()) {
    if ((turn + 1) % every !== 0) continue;
    // How many messages a change takes is a matter of time in part: a look at a pod may come before or after its answer.
    let end: Cut = 'Lost';
    for (let time = 1; end !== 'Cut' && time <= 5; time += 1) {
      try {
        end = await oneCut(stage, scenario, `${name}-${step}-${side}-${time}`, {
          step,
          side,
          signal: 'SIGKILL',
        });
      } catch (error) {
        throw new Error(`killed ${side} message ${step}, ${message}`, { cause: error });
      }
    }
    if (end === 'Cut') cuts += 1;
    else missed.push(`${side} ${message}`);
  }
  return { messages, cuts, missed };
}

/** The messages of the change. */
async function withoutCut(stage: CutStage, scenario: CutScenario, name: string): Promise<readonly string[]> {
  await scenario.prepare(stage, name);
  await stage.operator.order();
  await scenario.change(stage, name);
  await scenario.settled(stage, name);
  const messages = await stage.operator.order();
  if (messages === null) throw new Error('the operator ended by itself');
  await scenario.check(stage, name);
  await scenario.tidy?.(stage, name);
  return messages;
}

/**
 * Lost: on a machine that is too busy, the operator lost its lease before the message. NotReached: this time the change took
 * fewer messages. The end is checked all the same.
 */
type Cut = 'Cut' | 'NotReached' | 'Lost';

async function oneCut(stage: CutStage, scenario: CutScenario, name: string, order: CutOrder): Promise<Cut> {
  const { operator, kms } = stage;
  await operator.leading();
  await scenario.prepare(stage, name);
  const { current } = operator;
  const armed = await operator.order(order);
  const keysBefore = kms.store.keys.size;
  await scenario.change(stage, name);
  await Promise.race([current.exited, scenario.settled(stage, name)]);
  // Either it has ended, or it has come to the end with fewer messages: then the order is taken back.
  const ended = current === operator.current ? await operator.order() : null;
  if (ended !== null && ended.length >= (order.step ?? 0))
    throw new Error('the message came, and nothing was cut');
  const end = ended !== null ? 'NotReached' : (await current.exited) === 'SIGKILL' ? 'Cut' : 'Lost';
  await scenario.settled(stage, name);
  await operator.leading();
  await operator.order();
  await scenario.check(stage, name);
  expect(kms.store.keys.size - keysBefore).toBe(scenario.keysMade);
  await scenario.tidy?.(stage, name);
  return armed === null ? 'Lost' : end;
}
