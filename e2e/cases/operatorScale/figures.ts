/** What a stretch of work cost: requests to API server, admin port and KMS, reconciles, and their time. */
import { readFile } from 'node:fs/promises';
import type { AuditEvent } from '../../harness/cluster/auditLog.ts';
import type { ScaleInstallation } from './installation.ts';

export type Counts = Readonly<Record<string, number>>;

/** Of one stretch; counts by name. */
export interface Cost {
  readonly seconds: number;
  /** The operator's at the API server, as `verb resource[/subresource]`; those of its Lease are in `leases`. */
  readonly api: Counts;
  /** Of these, what was answered with 404, such as a ServiceMonitor where there is no such kind: it changed nothing. */
  readonly missed: Counts;
  readonly leases: number;
  /** At the admin port, as `METHOD resource`. */
  readonly admin: Counts;
  /** KMIP operations, the data plane's and the operator's. */
  readonly kmip: Counts;
  /** Reconciles of EncryptedBuckets: how many, those of them that failed, and ms of one on average. */
  readonly reconciles: number;
  readonly failed: number;
  readonly reconcileMs: number;
  /** Processor time of the operator, which other processes of the machine do not change. */
  readonly cpuMs: number;
}

const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection'];
const READS = ['get', 'list', 'watch'];

const total = (counts: Counts, of: (name: string) => boolean): number =>
  Object.entries(counts).reduce((sum, [name, count]) => sum + (of(name) ? count : 0), 0);

const isWrite = (name: string): boolean => WRITES.some((verb) => name.startsWith(`${verb} `));

/** Requests that changed something. */
export const writesIn = ({ api, missed }: Cost): number => total(api, isWrite) - total(missed, isWrite);

export const readsIn = ({ api }: Cost): number =>
  total(api, (name) => READS.some((verb) => name.startsWith(`${verb} `)));

export const totalOf = (counts: Counts): number => total(counts, () => true);

/** Begins a stretch; the result ends it. */
export async function measure(installation: ScaleInstallation): Promise<() => Promise<Cost>> {
  const { plane, kms, operatorUser } = installation;
  const startedMs = performance.now();
  const [auditBefore, metricsBefore] = [
    (await plane.auditEvents()).length,
    samples(await installation.metrics()),
  ];
  const kmipBefore = kms.requests.length;
  return async () => {
    const seconds = (performance.now() - startedMs) / 1_000;
    const after = samples(await installation.metrics());
    const grown = (name: string): number => (after.get(name) ?? 0) - (metricsBefore.get(name) ?? 0);
    const asked = (await plane.auditEvents())
      .slice(auditBefore)
      .filter((event) => event.user.username === operatorUser && isOneRequest(event));
    const isLease = ({ objectRef }: AuditEvent): boolean => objectRef?.resource === 'leases';
    const of = 'controller="encryptedbucket"';
    const time = 'sealgate_operator_reconcile_duration_seconds';
    const reconciles = grown(`${time}_count{${of}}`);
    return {
      seconds,
      api: counted(asked.filter((event) => !isLease(event)).map(nameOf)),
      missed: counted(
        asked.filter((event) => !isLease(event) && event.responseStatus?.code === 404).map(nameOf),
      ),
      leases: asked.filter(isLease).length,
      admin: adminRequests(after, grown),
      kmip: counted(kms.requests.slice(kmipBefore).map(({ operation }) => operation)),
      reconciles,
      failed: ['conflict', 'error'].reduce(
        (sum, result) => sum + grown(`sealgate_operator_reconciles_total{${of},result="${result}"}`),
        0,
      ),
      cpuMs: grown('process_cpu_seconds_total') * 1_000,
      reconcileMs: reconciles === 0 ? 0 : (grown(`${time}_sum{${of}}`) * 1_000) / reconciles,
    };
  };
}

/** A watch is one when it begins, anything else when it is answered. */
const isOneRequest = ({ verb, stage }: AuditEvent): boolean =>
  stage === (verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete');

function nameOf({ verb, objectRef }: AuditEvent): string {
  const { resource = 'none', subresource } = objectRef ?? {};
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}

function counted(names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function adminRequests(after: ReadonlyMap<string, number>, grown: (name: string) => number): Counts {
  const counts: Record<string, number> = {};
  for (const sample of after.keys()) {
    const found = /^sealgate_operator_admin_requests_total\{method="(\w+)",resource="([\w-]+)"/.exec(sample);
    const count = found === null ? 0 : grown(sample);
    if (found === null || count === 0) continue;
    const name = `${found[1]} ${found[2]}`;
    counts[name] = (counts[name] ?? 0) + count;
  }
  return counts;
}

/** Every sample of a text of /metrics by its name with labels. */
function samples(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** MiB of memory that the process has now, and has had at its most. */
export async function memoryOf(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const mib = (field: string): number =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1_024);
  return { now: mib('VmRSS'), peak: mib('VmHWM') };
}

/** Tells people what each object cost. */
export function tellCost(what: string, objects: number, cost: Cost): void {
  const each = (counts: Counts): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${(count / objects).toFixed(2)}`)
      .join(', ');
  const times = `${cost.seconds.toFixed(1)} s, ${(cost.reconciles / objects).toFixed(2)} reconciles of ${cost.reconcileMs.toFixed(0)} ms, ${(cost.cpuMs / objects).toFixed(1)} ms of the operator's processor`;
  const lines = [
    `${what}: ${objects} buckets in ${times} (${cost.failed} failed)`,
    `  API: ${each(cost.api)}; leases ${cost.leases}`,
    `  admin: ${each(cost.admin)}`,
    `  KMIP: ${each(cost.kmip)}`,
  ];
  tell(lines.join('\n'));
}

/** A line for people. */
export function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}
