/**
 * The outage table of the KMS design, each row over HTTP: what S3 clients see when the KMS is away, slow, broken, lying
 * or refusing, for keys that are in memory and for keys that are not; and that all is well when it is over.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RawAnswer, send } from '../harness/signedRequest.ts';
import { ROWS } from './kmsOutages/rows.ts';
import {
  bodyOf,
  connectionName,
  get,
  KEY,
  PLAIN_BUCKET,
  put,
  seen,
  startWorld,
  type World,
} from './kmsOutages/world.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';

let world: World;
const recoveries: { readonly cause: string; readonly ms: number }[] = [];

beforeAll(async () => {
  world = await startWorld(ROWS.length);
});
afterAll(async () => {
  const slowest = recoveries.toSorted((a, b) => b.ms - a.ms)[0];
  process.stdout.write(
    `${ROWS.length} causes over HTTP; slowest recovery ${((slowest?.ms ?? 0) / 1000).toFixed(1)} s (${slowest?.cause})\n`,
  );
  await world.close();
});

/** GET of what was there before and PUT of something new; what was read must be what was written. */
async function ask(bucket: string): Promise<{ readonly get: string; readonly put: string }> {
  const read = await get(world.server, bucket, KEY);
  if (read.status === 200) expect(read.body).toEqual(bodyOf(bucket, KEY));
  if (read.status === 503) expect(Number(read.headers['retry-after'])).toBeGreaterThan(0);
  return { get: seen(read), put: seen(await put(world.server, bucket, 'new')) };
}

/** Asks until it is served; every answer before that must be one of `meanwhile`. */
async function recovered(
  request: () => Promise<RawAnswer>,
  meanwhile: readonly string[],
): Promise<RawAnswer> {
  for (;;) {
    const answer = await request();
    if (answer.status === 200) return answer;
    expect(meanwhile).toContain(seen(answer));
  }
}

const mismatches = async (i: number): Promise<number> =>
  await world.server.metric('sealgate_kms_key_mismatches_total', `connection="${connectionName(i)}"`);

describe.concurrent('the outage table', () => {
  it.each(ROWS.map((row, i) => ({ ...row, i })))('holds when $cause', async (row) => {
    const { server } = world;
    const room = world.rooms[row.i];
    if (room === undefined) throw new Error('a row without room');
    const { kms, cold, warm } = room;
    const alarms = await mismatches(row.i);
    expect(seen(await get(server, warm, KEY))).toBe('200');

    const end = await row.begin(kms, [...kms.store.keys.keys()], world.odd);
    expect({ cold: await ask(cold), warm: await ask(warm) }).toEqual({ cold: row.cold, warm: row.warm });
    expect(seen(await send(server, { method: 'GET', path: `/${cold}` }))).toBe(row.cold.get);
    // What needs no KMS goes on, and no load balancer takes the gateway out.
    expect(seen(await get(server, PLAIN_BUCKET, KEY))).toBe('200');
    expect((await fetch(`${server.monitoringEndpoint}/readyz`)).status).toBe(200);
    expect((await mismatches(row.i)) > alarms).toBe(row.alarm === true);

    // A key that was refused is forgotten at once: an outage that follows does not bring it back.
    const thenOutage = row.warm.get !== '200' && (SOAK || row.thenOutage === true);
    if (thenOutage) await kms.pause();
    await end();
    if (thenOutage) {
      expect(seen(await get(server, warm, KEY))).toBe('503 ServiceUnavailable');
      await kms.resume();
    }

    const started = performance.now();
    const meanwhile = [row.cold.get, '503 ServiceUnavailable'];
    for (const bucket of [cold, warm]) {
      const read = await recovered(() => get(server, bucket, KEY), meanwhile);
      expect(read.body).toEqual(bodyOf(bucket, KEY));
    }
    recoveries.push({ cause: row.cause, ms: performance.now() - started });
    for (const [bucket, written] of [
      [cold, row.cold.put],
      [warm, row.warm.put],
    ] as const) {
      // A refused PUT left nothing.
      expect((await get(server, bucket, 'new')).status).toBe(written === '200' ? 200 : 404);
      await recovered(() => put(server, bucket, 'new'), meanwhile);
      expect((await get(server, bucket, 'new')).body).toEqual(bodyOf(bucket, 'new'));
    }
  });
});
