import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, send } from '../harness/signedRequest.ts';
import { storedRows } from '../harness/storedRows.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const KILLS = SOAK ? 25 : 4;
const WRITERS = 64;
const BUCKETS = ['crash-encrypted', 'crash-plain'] as const;
/** Inline, just above the inline limit, several chunks. */
const SIZES = [1000, 70_000, 400_000] as const;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({
    workers: 2,
    configPatch: (config) => {
      config['gc'] = { grace: '0s' };
    },
  });
  for (const bucket of BUCKETS) await createBucket(deployment.server, bucket, bucket === 'crash-encrypted');
});
afterAll(() => deployment.close());

/** The body of attempt n of a key: its size and every byte follow from its name. */
function bodyOf(name: string, attempt: number): Buffer {
  return Buffer.alloc(SIZES[attempt % SIZES.length] ?? 0, `${name} attempt ${attempt};`);
}

/** What may be found of one key: the acknowledged attempt, and those sent after it that were never answered. */
interface Expected {
  readonly bucket: string;
  /** null: never acknowledged. */
  acknowledged: number | null;
  readonly unanswered: Set<number>;
}
const expected = new Map<string, Expected>();

/** Writes until the server is gone: half of the time to keys that nobody wrote before, else over its own one. */
async function write(writer: number, round: number, acknowledge: () => void): Promise<void> {
  for (let i = 0; ; i += 1) {
    const name = i % 2 === 0 ? `own-${writer}` : `new-${round}-${writer}-${i}`;
    const bucket = BUCKETS[writer % BUCKETS.length] ?? '';
    const entry = expected.get(name) ?? { bucket, acknowledged: null, unanswered: new Set<number>() };
    expected.set(name, entry);
    const attempt = round * 100_000 + i;
    entry.unanswered.add(attempt);
    const answer = await send(deployment.server, {
      method: 'PUT',
      path: `/${bucket}/${name}`,
      body: bodyOf(name, attempt),
    }).catch((): RawAnswer | null => null);
    if (answer === null || answer.status === 0 || answer.cut) return;
    expect(answer.status).toBe(200);
    // One writer per key, one request at a time: what was unanswered before this one cannot win any more.
    entry.unanswered.clear();
    entry.acknowledged = attempt;
    acknowledge();
  }
}

/** All writers at work; the process is killed after so many acknowledged writes. */
async function writeAndKill(round: number, killAfter: number): Promise<number> {
  let acknowledged = 0;
  const kills: Promise<unknown>[] = [];
  const acknowledge = (): void => {
    acknowledged += 1;
    if (acknowledged === killAfter) kills.push(deployment.server.kill());
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer, round, acknowledge)));
  await Promise.all(kills);
  return acknowledged;
}

async function verify(names: readonly string[]): Promise<void> {
  const queue = [...names];
  const check = async (): Promise<void> => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const entry = expected.get(name);
      if (entry === undefined) continue;
      const answer = await send(deployment.server, { method: 'GET', path: `/${entry.bucket}/${name}` });
      const candidates = [...entry.unanswered, ...(entry.acknowledged === null ? [] : [entry.acknowledged])];
      if (answer.status === 404) {
        expect(entry.acknowledged, `${name} was acknowledged and is gone`).toBeNull();
        entry.unanswered.clear();
        continue;
      }
      expect([answer.status, answer.cut]).toEqual([200, false]);
      const found = candidates.find((attempt) => answer.body.equals(bodyOf(name ?? '', attempt)));
      expect(found, `${name} is none of its attempts ${candidates.join(', ')}`).toBeDefined();
      entry.acknowledged = found ?? null;
      entry.unanswered.clear();
    }
  };
  await Promise.all(Array.from({ length: 8 }, check));
}

/** Resolves when the collector has run once more than it has now. */
async function collectorRun(): Promise<void> {
  for (let runs = 0; runs === 0; ) runs = await deployment.server.metric('sealgate_collector_runs_total');
}

function filesAndRows(): { readonly files: string[]; readonly rows: string[] } {
  const blobs = join(deployment.server.dataFolder, 'blobs');
  const files = readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name))
    .map((entry) => entry.name)
    .toSorted();
  const rows = storedRows(deployment.server.dataFolder, 'SELECT blob_id FROM blob').map((row) =>
    String(row['blob_id']),
  );
  return { files, rows: rows.toSorted() };
}

describe(`after kill -9 under ${WRITERS} writers, ${KILLS} times`, () => {
  it('every acknowledged object reads back, nothing else is half visible, and the collector leaves no orphan', async () => {
    let total = 0;
    let orphans = 0;
    for (let round = 1; round <= KILLS; round += 1) {
      // Each time at another point of the traffic.
      total += await writeAndKill(round, 40 + ((round * 97) % 400));
      const before = filesAndRows();
      const rows = new Set(before.rows);
      orphans += before.files.filter((file) => !rows.has(file)).length;
      const files = new Set(before.files);
      expect(before.rows.filter((row) => !files.has(row) && !isGarbage(row))).toEqual([]);
      await deployment.restart();
      const names = [...expected.keys()];
      const recent = new RegExp(`^own-|^new-${round}-`);
      await verify(round === KILLS ? names : names.filter((name) => recent.test(name)));
      await collectorRun();
      const after = filesAndRows();
      expect(after.files).toEqual(after.rows);
    }
    process.stdout.write(
      `${KILLS} kills: ${total} acknowledged writes, ${expected.size} keys, ${orphans} orphans collected\n`,
    );
    expect(total).toBeGreaterThan(KILLS * 40);
    // If a kill never left an orphan, this test would not show that they are collected.
    expect(orphans).toBeGreaterThan(0);
  });
});

/** The collector may have unlinked a file whose row it had not forgotten yet. */
function isGarbage(blobId: string): boolean {
  const claimed = storedRows(
    deployment.server.dataFolder,
    `SELECT 1 FROM garbage WHERE claimed = 1 AND (id = ? OR body_no IN (SELECT body_no FROM body WHERE blob_id = ?))`,
    blobId,
    blobId,
  );
  return claimed.length > 0;
}
