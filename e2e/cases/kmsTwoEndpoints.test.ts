/**
 * The causes of the outage table with a second server in the cluster: as long as that one is well, S3 clients notice
 * nothing of the first; and what is true of both is true.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STATES } from '../harness/scriptedKms/numbers.ts';
import { AWAY, LAGGING } from './kmsOutages/rows.ts';
import { bodyOf, get, KEY, put, type Room, seen, startWorld, type World } from './kmsOutages/world.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const CAUSES = [...LAGGING, ...AWAY.filter((_, i) => SOAK || i % 2 === 0)];
/** Requests of each kind while the first server is of no use. */
const REQUESTS = 5;

let world: World;
let slowestMs = 0;

beforeAll(async () => {
  world = await startWorld(CAUSES.length + 1, true);
});
afterAll(async () => {
  process.stdout.write(
    `${CAUSES.length} causes at one of two endpoints: no 5xx, slowest answer ${(slowestMs / 1000).toFixed(1)} s\n`,
  );
  await world.close();
});

function roomAt(i: number): Room {
  const room = world.rooms[i];
  if (room === undefined) throw new Error('a cause without room');
  return room;
}

/** What a server has had to do with: connections and requests. */
const work = ({ kms }: Room): number => kms.connections + kms.count();

describe.concurrent('two endpoints', () => {
  it.each(CAUSES.map(([cause, begin], i) => ({ cause, begin, i })))(
    'serve all requests when of the first $cause',
    async ({ cause, begin, i }) => {
      const room = roomAt(i);
      const { kms, cold, warm } = room;
      expect(seen(await get(world.server, warm, KEY))).toBe('200');
      const before = work(room);
      const end = await begin(kms, [...kms.store.keys.keys()], world.odd);
      for (let turn = 0; turn < REQUESTS; turn += 1) {
        for (const bucket of [cold, warm]) {
          const started = performance.now();
          const read = await get(world.server, bucket, KEY);
          expect({ read: seen(read), body: read.body }).toEqual({ read: '200', body: bodyOf(bucket, KEY) });
          expect(seen(await put(world.server, bucket, `new-${turn}`))).toBe('200');
          slowestMs = Math.max(slowestMs, performance.now() - started);
        }
      }
      // Requests did meet it: otherwise nothing was shown. Nobody can be met where nobody listens.
      if (cause !== AWAY[0]?.[0]) expect(work(room)).toBeGreaterThan(before);
      await end();
      expect(seen(await get(world.server, cold, KEY))).toBe('200');
    },
  );

  it('take a key for gone when neither has it, and serve again when it is back', async () => {
    const { kms, cold, warm } = roomAt(CAUSES.length);
    expect(seen(await get(world.server, warm, KEY))).toBe('200');
    for (const kmsId of kms.store.keys.keys()) kms.store.setState(kmsId, 'gone');
    for (const bucket of [cold, warm]) {
      expect(seen(await get(world.server, bucket, KEY))).toBe('400 KMS.NotFound');
      expect(seen(await put(world.server, bucket, 'new'))).toBe('400 KMS.NotFound');
    }
    for (const kmsId of kms.store.keys.keys()) kms.store.setState(kmsId, STATES.active);
    for (const bucket of [cold, warm]) expect(seen(await get(world.server, bucket, KEY))).toBe('200');
  });
});
