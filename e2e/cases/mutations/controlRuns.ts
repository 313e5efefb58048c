/** Runs tamperings with bucket settings and open uploads, one at a time, and judges what the requests got. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Sealgate } from '../../harness/sealgate.ts';
import type { RawRequest } from '../../harness/signedRequest.ts';
import type { LiveDatabase, Row } from './liveDatabase.ts';
import type { Observer } from './observe.ts';
import { seeded } from './random.ts';
import type { SettingKind } from './settingKinds.ts';
import { completion } from './specimens.ts';
import type { OpenUpload, UploadKind } from './uploadKinds.ts';

export interface ControlRun {
  readonly server: Sealgate;
  readonly db: LiveDatabase;
  readonly observer: Observer;
  readonly seed: string;
  readonly rounds: number;
}

/** How often each kind was done, and what went wrong. */
export interface ControlReport {
  readonly times: ReadonlyMap<string, number>;
  readonly wrong: readonly string[];
}

/** Everything that could have been stored: rows of versions, uploads and blobs, files. */
function stored({ db, server }: ControlRun): string {
  const rows = ['object_version', 'upload', 'upload_part', 'blob'].map((table) => db.count(table));
  const files = readdirSync(join(server.dataFolder, 'blobs'), { recursive: true });
  return [...rows, files.length].join(' ');
}

interface Asked {
  readonly request: RawRequest;
  /** Whether the answer needs the bucket's key. */
  readonly needsKey: boolean;
  readonly writes: boolean;
}

function requestsTo(bucket: string, key: string): readonly Asked[] {
  const object = `/${bucket}/${key}`;
  const read = { needsKey: true, writes: false };
  const settings = { needsKey: false, writes: false };
  const write = { needsKey: true, writes: true };
  return [
    { request: { method: 'GET', path: object }, ...read },
    { request: { method: 'GET', path: object, headers: [['range', 'bytes=5-9']] }, ...read },
    { request: { method: 'HEAD', path: object }, ...read },
    { request: { method: 'GET', path: `/${bucket}`, query: [['list-type', '2']] }, ...read },
    { request: { method: 'GET', path: `/${bucket}`, query: [['encryption', null]] }, ...settings },
    { request: { method: 'HEAD', path: `/${bucket}` }, ...settings },
    { request: { method: 'PUT', path: `${object}-new`, body: Buffer.from('small') }, ...write },
    { request: { method: 'PUT', path: `${object}-new`, body: Buffer.alloc(100_000) }, ...write },
    { request: { method: 'POST', path: `${object}-new`, query: [['uploads', null]] }, ...write },
  ];
}

/** `bucket` has an object under `key`; `past` is its row when it was plain. */
export async function tamperWithSettings(
  run: ControlRun,
  place: { readonly bucket: string; readonly otherBucket: string; readonly key: string; readonly past: Row },
  kinds: readonly SettingKind[],
): Promise<ControlReport> {
  const asked = requestsTo(place.bucket, place.key);
  return await each(run, kinds, async (kind, random, problems) => {
    const before = stored(run);
    const { undo, expectation } = kind.tamper({ db: run.db, random, ...place });
    try {
      for (const { request, needsKey, writes } of asked) {
        if (expectation === 'serve' && writes) continue;
        const right =
          expectation === 'vanish'
            ? 404
            : expectation === 'refuse' || (expectation === 'refuse without key' && needsKey)
              ? 500
              : null;
        const { status } = await run.observer.send(request);
        const asItShould = right === null ? status === 200 || status === 206 : status === right;
        if (!asItShould) problems.push(`${request.method} ${request.path} was answered ${status}`);
      }
      if (stored(run) !== before) problems.push('something was stored');
    } finally {
      undo();
    }
    const again = await run.observer.send({ method: 'GET', path: `/${place.bucket}/${place.key}` });
    if (again.status !== 200) problems.push(`the undoing left ${again.status}`);
  });
}

/** `upload` stays open: nothing of what is tried with it may succeed. */
export async function tamperWithUpload(
  run: ControlRun,
  place: { readonly upload: OpenUpload; readonly other: OpenUpload },
  kinds: readonly UploadKind[],
): Promise<ControlReport> {
  const { path, uploadId, etags } = place.upload;
  const query = [['uploadId', uploadId]] as const;
  const list: RawRequest = { method: 'GET', path, query };
  const complete: RawRequest = { method: 'POST', path, query, body: completion(etags) };
  return await each(run, kinds, async ({ tamper, expectation }, random, problems) => {
    const undo = tamper({ db: run.db, random, ...place });
    try {
      const before = stored(run);
      const answers = [await run.observer.send(list), await run.observer.send(complete)];
      const [listed, completed] = answers.map(({ status }) => status);
      const right = expectation === 'refuse' ? [500] : [500, 404, 400, 200];
      if (!right.includes(listed ?? 0)) problems.push(`ListParts was answered ${listed}`);
      const ends = expectation === 'refuse' ? [500] : [500, 404, 400];
      if (!ends.includes(completed ?? 0)) problems.push(`Complete was answered ${completed}`);
      if (stored(run) !== before) problems.push('something was stored');
    } finally {
      undo();
    }
    const again = await run.observer.send(list);
    if (again.status !== 200) problems.push(`the undoing left ${again.status}`);
  });
}

async function each<Kind extends { readonly name: string; readonly times: number }>(
  { seed, rounds }: ControlRun,
  kinds: readonly Kind[],
  tamper: (kind: Kind, random: ReturnType<typeof seeded>, problems: string[]) => Promise<void>,
): Promise<ControlReport> {
  const times = new Map<string, number>();
  const wrong: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) {
      for (let time = 0; time < kind.times; time += 1) {
        const name = `${seed} ${round} ${kind.name} ${time}`;
        const problems: string[] = [];
        await tamper(kind, seeded(name), problems);
        if (problems.length > 0) wrong.push(`${name}: ${problems.join('; ')}`);
        times.set(kind.name, (times.get(kind.name) ?? 0) + 1);
      }
    }
  }
  return { times, wrong };
}
