/**
 * The collector: deletes blobs that nothing references any more, after their grace and after their last reader.
 *
 * Owns the order of steps that keeps every crash harmless: garbage row (in the transaction that dropped the last
 * reference) -> read due rows -> ask who reads -> claim -> unlink -> forget the rows. A crash repeats steps; each may be repeated.
 * It must not decide what is garbage: that is the metadata's, inside its transactions. A file without a row is an
 * orphan only if its incarnation is dead.
 */
import type { BlobStore } from '../blobs/blobs.ts';
import type { GarbageRef, Id, Metadata } from '../metadata/metadata.ts';

export interface CollectorLog {
  info(fields: object, message: string): void;
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
    'garbage' | 'claimGarbage' | 'finishGarbage' | 'knownBlobs' | 'forgetCompletedUploads'
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
/** Complete is idempotent for so long. */
const rememberUploadsMs = 24 * 60 * 60 * 1_000;

/** Runs at once and then every intervalMs until the signal. */
export function startCollector(options: CollectorOptions): Collector {
  const { log, signal, intervalMs } = options;
  let running: Promise<CollectorReport> | null = null;
  const runOnce = (): Promise<CollectorReport> => {
    running ??= run(options).finally(() => {
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

async function run(options: CollectorOptions): Promise<CollectorReport> {
  const { metadata, now, onRun } = options;
  const collected = await collectGarbage(options);
  const orphans = await sweepOrphans(options);
  await metadata.forgetCompletedUploads(now() - rememberUploadsMs);
  const report = { ...collected, orphans };
  onRun?.(report);
  return report;
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

async function sweepOrphans({
  metadata,
  blobs,
  incarnation,
  log,
  signal,
}: CollectorOptions): Promise<number> {
  let orphans = 0;
  for (const dead of await blobs.incarnations()) {
    if (dead === incarnation || signal.aborted) continue;
    let asked: Id[] = [];
    const sweep = async (): Promise<void> => {
      const locations = asked.map((blobId) => ({ incarnation: dead, blobId }));
      asked = [];
      const known = await metadata.knownBlobs(locations);
      for (const location of locations) {
        if (known.has(location.blobId)) continue;
        await blobs.delete(location);
        orphans += 1;
      }
    };
    for await (const blobId of blobs.list(dead)) {
      asked.push(blobId);
      if (asked.length >= blobsPerQuestion) await sweep();
    }
    await sweep();
    if (await blobs.dropIncarnation(dead))
      log.info({ incarnation: dead }, 'an empty incarnation was removed');
  }
  if (orphans > 0) log.info({ orphans }, 'orphan blobs were removed');
  return orphans;
}
