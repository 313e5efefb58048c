/**
 * The collector: deletes blobs that nothing references any more, after their grace and after their last reader.
 *
 * Owns the order of steps that keeps every crash harmless: garbage row (in the transaction that dropped the last
 * reference) -> read due rows -> ask who reads -> claim -> unlink -> forget the rows. A crash repeats steps; each may be repeated.
 * It must not decide what is garbage: that is the metadata's, inside its transactions. A file without a row is an
 * orphan only if its incarnation is dead.
 */
import type { BlobStore } from '../blobs/blobs.ts';
import type { BlobLocation, GarbageRef, Id, Metadata } from '../metadata/metadata.ts';

export interface CollectorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What one run did. */
export interface CollectorReport {
  /** Bodies and part blobs forgotten. */
  readonly items: number;
  readonly blobs: number;
  /** Left for a later run because somebody reads them. */
  readonly open: number;
  /** Left because deleting them failed; logged. */
  readonly failed: number;
  readonly orphans: number;
}

export interface CollectorOptions {
  readonly metadata: Pick<
    Metadata,
    'garbage' | 'claimGarbage' | 'finishGarbage' | 'knownBlobs' | 'incarnations' | 'forgetCompletedUploads'
  >;
  readonly blobs: Pick<BlobStore, 'delete' | 'incarnations' | 'list' | 'dropIncarnation'>;
  /** The live incarnation. Every other one is dead: the data folder's lock says so. */
  readonly incarnation: Id;
  /** The open bodies of every client of the metadata; each answers from its own thread. */
  readonly openBodies: () => Promise<ReadonlySet<Id>>;
  /** How long a body stays after its last reference, so that a restored backup finds it. */
  readonly graceMs: number;
  readonly intervalMs: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: CollectorLog;
  /** Called after each run. */
  readonly onRun?: (report: CollectorReport) => void;
  /** Ends the collector after the step under way. */
  readonly signal: AbortSignal;
}

export interface Collector {
  /** One complete run; joins the one that is under way. Rejects when metadata or blob store fail. */
  runOnce(): Promise<CollectorReport>;
  /** Resolves when nothing of the collector runs any more. After the signal. */
  stopped(): Promise<void>;
}

/** Items looked at together: their claims and their ends become a few group commits. */
const itemsPerPage = 64;
const blobsPerQuestion = 256;
const sweepEveryMs = 24 * 60 * 60 * 1_000;
/** Complete is idempotent for so long. */
const rememberUploadsMs = 24 * 60 * 60 * 1_000;

/** Runs at once and then every intervalMs until the signal. */
export function startCollector(options: CollectorOptions): Collector {
  const { log, signal, intervalMs } = options;
  let running: Promise<CollectorReport> | null = null;
  let sweptMs = Number.NEGATIVE_INFINITY;
  const run = async (): Promise<CollectorReport> => {
    const { metadata, now, onRun } = options;
    const startedMs = now();
    const collected = await collectGarbage(options);
    // What is dead gets no new orphans but those that could not be deleted, so one look a day is enough.
    const sweepDue = startedMs - sweptMs >= sweepEveryMs;
    const orphans = sweepDue ? await sweepOrphans(options) : 0;
    if (sweepDue) sweptMs = startedMs;
    await dropEmptyIncarnations(options);
    await metadata.forgetCompletedUploads(startedMs - rememberUploadsMs);
    const report = { ...collected, orphans };
    onRun?.(report);
    return report;
  };
  const runOnce = (): Promise<CollectorReport> => {
    running ??= run().finally(() => {
      running = null;
    });
    return running;
  };
  const runAndLog = (): void => {
    runOnce().catch((error: unknown) => log.error({ err: error }, 'the collector failed; it will run again'));
  };
  const timer = setInterval(runAndLog, intervalMs);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  runAndLog();
  return {
    runOnce,
    async stopped() {
      await Promise.allSettled([running]);
    },
  };
}

async function collectGarbage(options: CollectorOptions): Promise<Omit<CollectorReport, 'orphans'>> {
  const { metadata, openBodies, graceMs, now, signal } = options;
  const untilMs = now() - graceMs;
  const total = { items: 0, blobs: 0, open: 0, failed: 0 };
  let after: GarbageRef | null = null;
  while (!signal.aborted) {
    const due: readonly GarbageRef[] = await metadata.garbage({ untilMs, after, limit: itemsPerPage });
    after = due.at(-1) ?? null;
    if (after === null) break;
    // Asked after the rows were seen: whoever opens something now can no longer find these.
    const open = await openBodies();
    const free = due.filter(({ kind, id }) => kind !== 'body' || !open.has(id));
    total.open += due.length - free.length;
    const done = await Promise.all(free.map((item) => collectItem(item, options)));
    for (const blobs of done) {
      if (blobs === null) total.failed += 1;
      else total.items += 1;
      total.blobs += blobs ?? 0;
    }
  }
  return total;
}

/** Number of blobs deleted, or null when the item has to wait for the next run. */
async function collectItem(
  item: GarbageRef,
  { metadata, blobs, log }: CollectorOptions,
): Promise<number | null> {
  try {
    const claimed = await metadata.claimGarbage([item]);
    const locations = claimed.flatMap((claim) => claim.blobs);
    for (const location of locations) await blobs.delete(location);
    await metadata.finishGarbage(claimed);
    return locations.length;
  } catch (error) {
    log.error({ err: error, kind: item.kind, id: item.id }, 'garbage could not be collected');
    return null;
  }
}

/**
 * Files without a row in incarnations that are dead. An incarnation that this metadata never knew is left alone:
 * beside metadata that was lost or restored, its files may be all that is left of somebody's objects.
 */
async function sweepOrphans(options: CollectorOptions): Promise<number> {
  const { metadata, blobs, incarnation, log, signal } = options;
  const ours = new Set(await metadata.incarnations());
  let orphans = 0;
  for (const dead of await blobs.incarnations()) {
    if (dead === incarnation || signal.aborted) continue;
    if (ours.has(dead)) orphans += await sweepIncarnation(dead, options);
    else
      log.warn(
        { incarnation: dead },
        'files of an incarnation that this metadata does not know are left alone',
      );
  }
  if (orphans > 0) log.info({ orphans }, 'orphan blobs were removed');
  return orphans;
}

async function sweepIncarnation(dead: Id, { metadata, blobs, signal }: CollectorOptions): Promise<number> {
  let orphans = 0;
  let asked: BlobLocation[] = [];
  const sweep = async (): Promise<void> => {
    const known = await metadata.knownBlobs(asked);
    const unknown = asked.filter(({ blobId }) => !known.has(blobId));
    asked = [];
    await Promise.all(unknown.map((location) => blobs.delete(location)));
    orphans += unknown.length;
  };
  for await (const blobId of blobs.list(dead)) {
    asked.push({ incarnation: dead, blobId });
    if (asked.length < blobsPerQuestion) continue;
    if (signal.aborted) return orphans;
    await sweep();
  }
  await sweep();
  return orphans;
}

/** Folders of dead incarnations that hold nothing any more. */
async function dropEmptyIncarnations({ blobs, incarnation, log }: CollectorOptions): Promise<void> {
  for (const dead of await blobs.incarnations()) {
    if (dead === incarnation) continue;
    if (await blobs.dropIncarnation(dead))
      log.info({ incarnation: dead }, 'an empty incarnation was removed');
  }
}
