import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { type Report, tamperWithAll } from './mutations/campaign.ts';
import {
  type ControlReport,
  type ControlRun,
  tamperWithSettings,
  tamperWithUpload,
} from './mutations/controlRuns.ts';
import { FILE_KINDS } from './mutations/fileKinds.ts';
import { LiveDatabase } from './mutations/liveDatabase.ts';
import type { Kind } from './mutations/mutation.ts';
import { Observer } from './mutations/observe.ts';
import { PAGE_KINDS } from './mutations/pageKinds.ts';
import { ROW_KINDS } from './mutations/rowKinds.ts';
import { SETTING_KINDS } from './mutations/settingKinds.ts';
import {
  ask,
  createLane,
  ENCRYPTED,
  type Lane,
  OTHER,
  PLAIN,
  Places,
  putParts,
} from './mutations/specimens.ts';
import { type OpenUpload, UPLOAD_KINDS } from './mutations/uploadKinds.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const ROUNDS = SOAK ? 3 : 1;
const LANES = 3;
const TIMEOUT_MS = SOAK ? 3_600_000 : 600_000;
/** Settings and uploads are not tampered with in lanes. */
const CONTROL_ROUNDS = SOAK ? 6 : 2;
/** Repeat a run with this in the environment. */
const SEED = process.env['SEALGATE_MUTATION_SEED'] ?? String(Date.now());

/** What a GET does not read, or need not notice: listings are not authentic, rows can be deleted and restored. */
const NOT_NOTICED = new Set([
  'row: object_current.size',
  'row: object_current.last_modified_ms',
  'row: object_current.etag',
  'row: object_current.etag_parts',
  'row: object_current.n',
  'row: object_current.wrap_salt',
  'row: object_current.bucket_uid',
  'row: object_current.key',
  'row: delete of object_current',
  'row: roll back',
  // 0 is noticed, any other number of references is not.
  'row: body.refs',
  // Lead to the page that holds an offset or a part; the page is verified, and a wrong one is not taken.
  'page: body_parts.first_part',
  'page: body_parts.last_part',
  'page: body_parts.first_offset',
  'page: body_parts.end_offset',
]);

let deployment: Deployment;
let db: LiveDatabase;
let places: Places;
const lanes: Lane[] = [];

beforeAll(async () => {
  process.stdout.write(`mutations: SEALGATE_MUTATION_SEED=${SEED}\n`);
  deployment = await startDeployment({ workers: 2 });
  const { server } = deployment;
  for (const bucket of [ENCRYPTED, OTHER, PLAIN]) await createBucket(server, bucket, bucket !== PLAIN);
  db = new LiveDatabase(server.dataFolder);
  places = new Places(db, server.dataFolder);
  for (let lane = 0; lane < LANES; lane += 1) lanes.push(await createLane(server, places, lane));
});
afterAll(async () => {
  db?.close();
  await deployment?.close();
});

const SUBJECTS = ['blob', 'record', 'parts', 'upload', 'control', 'bucketKey'] as const;

/** sealgate_integrity_failures_total by subject. */
async function counted(): Promise<Record<string, number>> {
  const text = await deployment.server.metrics();
  return Object.fromEntries(
    SUBJECTS.map((subject) => {
      const [, value] =
        new RegExp(`^sealgate_integrity_failures_total\\{subject="${subject}"\\} (\\d+)$`, 'm').exec(text) ??
        [];
      return [subject, Number(value)];
    }),
  );
}

type Counts = Record<string, number>;

const growth = (before: Counts, after: Counts): Counts =>
  Object.fromEntries(SUBJECTS.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
const sum = (counts: Counts): number => Object.values(counts).reduce((total, count) => total + count, 0);

/** Runs the kinds; fails unless every answer was right and the metric grew by exactly the failures seen. */
async function campaign(
  kinds: readonly Kind[],
): Promise<{ readonly report: Report; readonly grown: Record<string, number> }> {
  const before = await counted();
  const report = await tamperWithAll(
    { server: deployment.server, db, places, lanes, seed: SEED, rounds: ROUNDS },
    kinds,
  );
  const after = await counted();
  const grown = growth(before, after);
  tell(report, grown);
  expect(report.wrong).toEqual([]);
  expect(sum(grown)).toBe(report.observer.failures);
  for (const { name, times } of kinds) {
    const tally = report.tallies.get(name);
    expect(tally?.times, name).toBe(times * LANES * ROUNDS);
    if (!NOT_NOTICED.has(name)) expect((tally?.refused ?? 0) + (tally?.cut ?? 0), name).toBeGreaterThan(0);
  }
  return { report, grown };
}

function tell({ tallies, observer }: Report, grown: Record<string, number>): void {
  const lines = [...tallies].map(
    ([kind, { times, refused, cut, gone, bytes }]) =>
      `${String(times).padStart(5)}  ${kind}: ${refused} refused, ${cut} cut, ${gone} gone, ${bytes} served`,
  );
  const done = [...tallies.values()].reduce((all, { times }) => all + times, 0);
  total += done;
  process.stdout.write(
    `${lines.join('\n')}\n${String(done).padStart(5)}  in all, ${observer.requests} requests, counted ${JSON.stringify(grown)}\n`,
  );
}

let total = 0;

describe('whatever is changed behind the back of the server', { timeout: TIMEOUT_MS }, () => {
  it('blob files: GET gives committed bytes or fails, and every failure is counted and logged with its place', async () => {
    const { report, grown } = await campaign(FILE_KINDS);
    expect(grown['blob']).toBe(report.observer.failures);
    const untold = new Set(report.observer.failedIds);
    await deployment.server.logLine((line) => {
      const places = [line['bucket'], line['versionId'], line['blobId']].every(
        (id) => typeof id === 'string',
      );
      if (
        line['msg'] === 'request failed' &&
        line['level'] === 'error' &&
        line['subject'] === 'blob' &&
        places
      ) {
        untold.delete(String(line['requestId']));
      }
      return untold.size === 0;
    });
    // The failures after the head was out are among them.
    const cut = [...report.tallies.values()].reduce((sum, tally) => sum + tally.cut, 0);
    expect(cut).toBeGreaterThan(0);
  });

  it('rows of objects: GET gives committed bytes or fails, and every failure is counted', async () => {
    const { grown } = await campaign(ROW_KINDS);
    expect(grown['record']).toBeGreaterThan(0);
    expect(grown['upload']).toBe(0);
  });

  it('pages of parts: GET gives committed bytes or fails, and every failure is counted', async () => {
    const { grown } = await campaign(PAGE_KINDS);
    expect(grown['parts']).toBeGreaterThan(0);
    // An entry may name a file that is not there.
    expect([grown['record'], grown['control'], grown['upload']]).toEqual([0, 0, 0]);
  });

  it('settings and keys of a bucket: nothing is served or stored by them, and every refusal is counted', async () => {
    const { server } = deployment;
    const [bucket, key] = ['mutated-settings', 'object'];
    await createBucket(server, bucket, false);
    const past = db.row('bucket', { name: bucket });
    const rule =
      '<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>';
    const body = Buffer.from(
      `<ServerSideEncryptionConfiguration>${rule}</ServerSideEncryptionConfiguration>`,
    );
    await ask(server, { method: 'PUT', path: `/${bucket}`, query: [['encryption', null]], body });
    await ask(server, { method: 'PUT', path: `/${bucket}/${key}`, body: Buffer.alloc(100_000, 'settings') });
    await control(SETTING_KINDS, (run) =>
      tamperWithSettings(run, { bucket, otherBucket: OTHER, key, past }, SETTING_KINDS),
    );
  });

  it('an open upload: it is neither listed nor completed, and every refusal is counted', async () => {
    const { server } = deployment;
    const open = async (name: string): Promise<OpenUpload> => {
      const path = `/${ENCRYPTED}/${name}`;
      const parts = [Buffer.alloc(3000, `${name} one`), Buffer.alloc(3000, `${name} two`)];
      return { path, ...(await putParts(server, path, parts)) };
    };
    const place = { upload: await open('open-1'), other: await open('open-2') };
    await control(UPLOAD_KINDS, (run) => tamperWithUpload(run, place, UPLOAD_KINDS));
  });

  it('that was at least 2,000 times, and the server lives on', async () => {
    expect(total).toBeGreaterThanOrEqual(2000);
    const { server } = deployment;
    expect(await Promise.race([server.exited, server.metric('sealgate_s3_requests_in_flight')])).toBe(0);
  });
});

/** Runs kinds one at a time; fails as campaign() does. */
async function control(
  kinds: readonly { readonly name: string; readonly times: number }[],
  tamper: (run: ControlRun) => Promise<ControlReport>,
): Promise<void> {
  const { server } = deployment;
  const observer = new Observer(server);
  const before = await counted();
  const { times, wrong } = await tamper({ server, db, observer, seed: SEED, rounds: CONTROL_ROUNDS });
  const grown = growth(before, await counted());
  process.stdout.write(
    `${[...times].map(([kind, count]) => `${String(count).padStart(5)}  ${kind}`).join('\n')}\n`,
  );
  process.stdout.write(`${observer.requests} requests, counted ${JSON.stringify(grown)}\n`);
  total += [...times.values()].reduce((all, count) => all + count, 0);
  expect(wrong).toEqual([]);
  expect(sum(grown)).toBe(observer.failures);
  expect(observer.failures).toBeGreaterThan(0);
  for (const kind of kinds) expect(times.get(kind.name), kind.name).toBe(kind.times * CONTROL_ROUNDS);
}
