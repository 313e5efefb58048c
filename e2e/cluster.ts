/**
 * `make cluster` and `make cluster-down`: a Kubernetes cluster that stays up, for people, with Sealgate installed in it as
 * docs/install.md and docs/first-bucket.md say. Its state is in .cluster/ of the checkout. With a container engine and
 * kind the cluster is kind's, and nothing is installed, else it is the one that the tests run.
 *
 * Usage: node e2e/cluster.ts up [--bare] | down | can-run | needs-programs
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type Cluster, openCluster } from './harness/cluster/cluster.ts';
import { stillComplete } from './harness/cluster/processes.ts';
import { removeCluster } from './harness/cluster/removal.ts';
import { whyNoCluster } from './harness/cluster/requirements.ts';
import { prepareStage, runPage, writeTools } from './harness/cluster/stage.ts';
import { startCluster } from './harness/cluster/startCluster.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const STATE = path.join(ROOT, '.cluster');
const FOLDER_FILE = path.join(STATE, 'folder');
/** Written when everything is done: without it, what is there is half a cluster. */
const DONE_FILE = path.join(STATE, 'done');
const PAGES = ['docs/install.md', 'docs/first-bucket.md'];
const KIND = path.join(ROOT, 'e2e/kind/kind.sh');

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function duration(seconds: number, what: string): string {
  return `  ${seconds.toFixed(1).padStart(5)} s  ${what}`;
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  say(duration((performance.now() - startedMs) / 1000, what));
  return result;
}

/** Whether a container engine answers and kind is there to use it. */
function hasKind(): boolean {
  const answers = (command: string, arg: string) =>
    spawnSync(command, [arg], { stdio: 'ignore', timeout: 10_000 }).status === 0;
  return answers('kind', 'version') && (answers('docker', 'info') || answers('podman', 'info'));
}

function runKind(what: 'up' | 'down'): void {
  const { status } = spawnSync(KIND, [what], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`kind failed: ${KIND} ${what}`);
}

/** The folder of the cluster that was brought up from this checkout; null when there is none. */
async function stateFolder(): Promise<string | null> {
  return existsSync(FOLDER_FILE) ? (await readFile(FOLDER_FILE, 'utf8')).trim() : null;
}

async function up(bare: boolean): Promise<void> {
  if (hasKind()) {
    runKind('up');
    say('Sealgate is not installed in it: docs/install.md tells how.');
    return;
  }
  const folder = await stateFolder();
  if (folder !== null && stillComplete(folder) && existsSync(DONE_FILE)) {
    say('The cluster is up.');
    explain(openCluster(folder), (await readFile(DONE_FILE, 'utf8')).trim());
    return;
  }
  const reason = await whyNoCluster();
  if (reason !== null) throw new Error(`this machine has no container engine with kind, and ${reason}`);
  if (folder !== null)
    await timed('What was left of an earlier cluster removed', () => removeCluster(folder));
  await rm(STATE, { recursive: true, force: true });
  const cluster = await timed('Kubernetes started', () => startCluster({ detached: true }));
  await mkdir(STATE);
  await writeFile(FOLDER_FILE, `${cluster.folder}\n`);
  await writeTools(cluster, STATE);
  const { env } = await prepareStage(cluster, STATE, timed);
  const variables = ['IMAGE', 'TAG', 'KMS'].map((name) => `${name}=${env[name] ?? ''}`).join(' ');
  if (!bare) await showPages(env);
  const hint = bare ? `export ${variables}` : '';
  await writeFile(DONE_FILE, `${hint}\n`);
  explain(cluster, hint);
}

/** Does what the pages say, and shows it. */
async function showPages(env: Readonly<Record<string, string>>): Promise<void> {
  for (const page of PAGES) {
    say(`\nWhat ${page} says:`);
    const show = (text: string) => process.stdout.write(text);
    const steps = await runPage(page, { env, folder: path.join(STATE, 'work'), show });
    say('');
    for (const { heading, seconds } of steps) say(duration(seconds, heading));
  }
}

/** `hint`: variables that the pages' commands need when a person types them; empty: that was done. */
function explain(cluster: Cluster, hint: string): void {
  say('');
  say(`  export KUBECONFIG=${path.join(STATE, 'kubeconfig')}`);
  say(`  export PATH=${path.join(STATE, 'bin')}:$PATH`);
  if (hint === '') explainInstallation();
  else {
    say(`  ${hint}`);
    say('');
    say('Nothing is installed: begin with docs/install.md. The image is on the node, and a KMS answers at');
    say('keysecure.example.com in the cluster.');
  }
  say('');
  say(
    "Pods and Services are reached from within the cluster's network alone: put in-network before the command.",
  );
  say(`Logs are in ${cluster.folder}. make cluster-down takes everything away.`);
}

function explainInstallation(): void {
  say('  kubectl get sealgate -A');
  say('');
  say("The bucket invoices is served, and the application's credentials are in the Secret invoices-s3:");
  say('');
  say("  kubectl -n team-a get encryptedbucket invoices -o jsonpath='{.status.endpoints.internal}'");
  say('  kubectl -n team-a describe secret invoices-s3');
  say(
    '  (cd .cluster/work && kubectl apply -f docs/samples/)     # the samples again, or what you change in them',
  );
  say('');
  say(
    'docs/first-bucket.md: aws-cli with these credentials, rotation, more buckets. docs/monitor.md: metrics.',
  );
}

async function down(): Promise<void> {
  const folder = await stateFolder();
  if (folder !== null) {
    await timed('The cluster removed', () => removeCluster(folder));
    await rm(STATE, { recursive: true });
  } else if (hasKind()) runKind('down');
  else say('There is no cluster.');
}

async function canRun(): Promise<void> {
  const reason = await whyNoCluster();
  if (reason === null) return;
  say(reason);
  process.exitCode = 1;
}

const commands = new Map<string, () => Promise<void> | void>([
  ['up', () => up(process.argv[3] === '--bare')],
  ['down', down],
  ['can-run', canRun],
  [
    'needs-programs',
    () => {
      if (hasKind()) process.exitCode = 1;
    },
  ],
]);

const command = commands.get(process.argv[2] ?? '');
if (command === undefined) {
  process.stderr.write('usage: node e2e/cluster.ts up [--bare] | down | can-run | needs-programs\n');
  process.exitCode = 2;
} else {
  try {
    await command();
  } catch (error) {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
