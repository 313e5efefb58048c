import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRulesPage } from '../../dataplane/headers/rulesPage.testkit.ts';
import type { RawAnswer } from '../harness/signedRequest.ts';
import { send } from '../harness/signedRequest.ts';
import { CARRIERS, type Carrier, carriersOf } from './headerRules/carriers.ts';
import type { Subject } from './headerRules/operations.ts';
import { READS_AND_OTHERS } from './headerRules/reads.ts';
import { type Refusal, refusalOf, type Wish, wishesOf } from './headerRules/wishes.ts';
import { makeWorld, type World } from './headerRules/world.ts';
import { WRITES } from './headerRules/writes.ts';

/** Requests at once: enough for both workers. */
const AT_ONCE = 16;
/** Each accepted CompleteMultipartUpload and AbortMultipartUpload uses one up. */
const SPARE_UPLOADS = 64;
const MESSAGE = 'The encryption method specified is not supported';

const page = readRulesPage();
const { all: WISHES, secrets } = wishesOf(page);
const SUBJECTS = [...WRITES, ...READS_AND_OTHERS];

let world: World;
beforeAll(async () => {
  world = await makeWorld(SPARE_UPLOADS);
});
afterAll(() => world?.close());

/** One wish to one subject by one carrier. */
interface Trial {
  readonly subject: Subject;
  readonly wish: Wish;
  readonly carrier: Carrier;
  /** What the page says about it. */
  readonly outcome: 'refused' | 'plain' | 'encrypted';
  readonly refusal: Refusal | null;
}

/** What the page's cell says; a trailer that never comes is "anything else". */
function trialOf(subject: Subject, wish: Wish, carrier: Carrier): Trial {
  const row = page.row(subject.operation, subject.encrypted);
  const never = carrier.arrival === 'never' && wish.column === 2;
  const cell = page.outcome(row, never ? 3 : wish.column, subject.encrypted);
  if (cell === 'refused') {
    const aes256Refused = page.outcome(row, 2, subject.encrypted) === 'refused';
    const { arrival, inHead } = carrier;
    const stateLater = subject.stateLater && inHead;
    const refusal = refusalOf(wish, { aes256Refused, arrival, stateLater });
    return { subject, wish, carrier, outcome: cell, refusal };
  }
  const state = subject.encrypted ? 'encrypted' : 'plain';
  return { subject, wish, carrier, outcome: cell === 'served' ? state : cell, refusal: null };
}

function trialsOf(subject: Subject): Trial[] {
  return WISHES.flatMap((wish) =>
    carriersOf(subject.body, wish).map((carrier) => trialOf(subject, wish, carrier)),
  );
}

async function inBatches(
  trials: readonly Trial[],
  run: (trial: Trial) => Promise<string[]>,
): Promise<string[]> {
  const wrong: string[] = [];
  for (let from = 0; from < trials.length; from += AT_ONCE) {
    const batch = trials.slice(from, from + AT_ONCE).map(async (trial) => {
      const { carrier, wish, outcome } = trial;
      const found = await run(trial);
      return found.map((problem) => `[${wish.title}] by ${carrier.title}, to be ${outcome}: ${problem}`);
    });
    for (const found of await Promise.all(batch)) wrong.push(...found);
  }
  return wrong;
}

/** What is wrong with the answer to a request that must be refused. */
function refusalFaults(
  answer: RawAnswer,
  { argumentName, argumentValue }: Refusal,
  bodiless: boolean,
): string[] {
  if (answer.status !== 400 || answer.cut) return [`status ${answer.status} ${answer.code}`];
  const text = answer.body.toString('utf8');
  const element = (name: string): string | null =>
    new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? (text.includes(`<${name}/>`) ? '' : null);
  const said = ['Code', 'Message', 'ArgumentName', 'ArgumentValue'].map(element);
  const expected = bodiless
    ? [null, null, null, null]
    : ['InvalidArgument', MESSAGE, argumentName, argumentValue];
  const wrong = JSON.stringify(said) === JSON.stringify(expected) ? [] : [`it said ${JSON.stringify(said)}`];
  const whole = JSON.stringify(answer.headers) + text;
  if (secrets.some((secret) => whole.includes(secret))) wrong.push('the answer repeats a customer key');
  if ('x-amz-server-side-encryption' in answer.headers) wrong.push('a refusal speaks of encryption');
  return wrong;
}

const TRIALS = SUBJECTS.flatMap(trialsOf).length;
const tried = { trials: 0, refused: 0, accepted: 0 };

describe('the table of docs/header-rules.md over HTTP, cell by cell and carrier by carrier', () => {
  it.each(SUBJECTS.map((subject) => [subject.title, subject] as const))(
    '%s: accepted and truthful, or refused without a trace',
    async (_, subject) => {
      const trials = trialsOf(subject);
      const toAccept = trials.filter(({ refusal }) => refusal === null);
      const toRefuse = trials.filter(({ refusal }) => refusal !== null);
      const { server } = world.deployment;

      const accepted = await inBatches(toAccept, async ({ wish, carrier, outcome }) => {
        const attempt = await subject.attempt(world, 'fresh');
        const answer = await carrier.send(server, attempt.plan, wish);
        return await attempt.accepted(answer, outcome === 'encrypted');
      });
      expect(accepted).toEqual([]);

      const before = world.store.snapshot();
      const refused = await inBatches(toRefuse, async ({ wish, carrier, refusal }) => {
        const { plan } = await subject.attempt(world, 'existing');
        const answer = await carrier.send(server, plan, wish);
        const bodiless = plan.kind === 'signed' && plan.request.method === 'HEAD';
        return refusal === null ? [] : refusalFaults(answer, refusal, bodiless);
      });
      expect(refused).toEqual([]);
      expect(world.store.snapshot()).toEqual(before);

      tried.trials += trials.length;
      tried.accepted += toAccept.length;
      tried.refused += toRefuse.length;
    },
  );

  it(`was tried with ${WISHES.length} headers in ${SUBJECTS.length} situations: ${TRIALS} requests in every cell, by every carrier`, () => {
    const trials = SUBJECTS.flatMap(trialsOf);
    const cells = new Set(
      trials.map(({ subject, wish }) => {
        return `${page.row(subject.operation, subject.encrypted)}/${subject.encrypted}/${wish.column}`;
      }),
    );
    // CreateBucket once, the rows of writes once each, the three other rows in both states; four columns.
    expect(cells.size).toBe((1 + 2 + 3 * 2) * 4);
    expect(new Set(trials.map(({ carrier }) => carrier)).size).toBe(CARRIERS.length);
    const names = [...page.names('S'), ...page.names('K'), ...page.names('C')];
    expect(names.length).toBe(12);
    for (const name of names) {
      expect(trials.some(({ wish }) => wish.entries.some((entry) => entry.name === name))).toBe(true);
    }
    expect(tried.trials).toBe(TRIALS);
    expect(tried.refused).toBeGreaterThan(13_000);
    expect(tried.accepted).toBeGreaterThan(500);
  });

  it('what was encrypted is nowhere in the data folder as plaintext, and what was plain is', () => {
    expect(world.store.filesWith(world.sealedMarker)).toBe(0);
    expect(world.store.filesWith(world.body('plain').toString('utf8', 0, 38))).toBeGreaterThan(0);
  });

  it('a customer key is in no answer, no log and no file', () => {
    const log = world.deployment.server.logLines().join('\n');
    expect(log).toContain('"code":"InvalidArgument"');
    for (const secret of secrets) {
      expect(log.includes(secret)).toBe(false);
      expect(world.store.filesWith(secret)).toBe(0);
    }
  });

  it('the look at the store sees an object that is written, and one that is overwritten', async () => {
    const { server } = world.deployment;
    const before = world.store.snapshot();
    const first = { method: 'PUT', path: '/plain/seen', body: Buffer.from('first') };
    expect((await send(server, first)).status).toBe(200);
    const between = world.store.snapshot();
    expect(between).not.toEqual(before);
    expect((await send(server, { ...first, body: Buffer.from('other') })).status).toBe(200);
    expect(world.store.snapshot()).not.toEqual(between);
  });
});
