/**
 * What the pages of docs/ take for granted, on a cluster of ours: tools, images, a KMS and its client certificate, a
 * volume. Their commands can then be run as they are.
 *
 * Owns the folder that people and commands work in. It must not install anything itself: that is what the pages tell.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DocumentedStep, stepsOf } from '../documents.ts';
import { importApplicationImage } from './applicationImage.ts';
import type { Cluster } from './cluster.ts';
import { ClusterError } from './clusterError.ts';
import { type ClusterKms, startClusterKms } from './clusterKms.ts';
import { importProductImage } from './productImage.ts';
import { cacheFolder, programPath } from './programs.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Release and namespace of docs/install.md, whose claim the volume is for. */
const RELEASE = 'sealgate';

/** The folder that people work in: kubeconfig, bin/ and kms/. Existing files are replaced by nobody: it must be new. */
export async function writeTools(cluster: Cluster, folder: string): Promise<void> {
  const bin = path.join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(cluster.kubeconfig, path.join(folder, 'kubeconfig'));
  for (const tool of ['kubectl', 'helm'] as const) await symlink(programPath(tool), path.join(bin, tool));
  const aws = path.join(cacheFolder(), 'clients/bin/aws');
  if (existsSync(aws)) await symlink(aws, path.join(bin, 'aws'));
  const quoted = cluster.enter.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
  const script = path.join(bin, 'in-network');
  await writeFile(script, `#!/bin/sh\nexec ${quoted.join(' ')} "$@"\n`);
  await chmod(script, 0o755);
}

export interface Stage {
  readonly kms: ClusterKms;
  /** The folder that becomes the volume of the data plane. */
  readonly volumeFolder: string;
  /** Variables for the commands of the pages. */
  readonly env: Readonly<Record<string, string>>;
}

export type Timed = <T>(what: string, work: () => Promise<T>) => Promise<T>;

/** Images, KMS and volume; `folder` is that of writeTools(). `timed` is told of every part; some run at the same time. */
export async function prepareStage(cluster: Cluster, folder: string, timed: Timed): Promise<Stage> {
  const [image, kms] = await Promise.all([
    timed('Image built and put on the node', () => importProductImage(cluster)).then(async (name) => {
      await timed('Image of the sample application, too', () => importApplicationImage(cluster));
      return name;
    }),
    timed('KMIP server started: keysecure.example.com', () =>
      startClusterKms(cluster, path.join(folder, 'kms')),
    ),
  ]);
  const claim = { namespace: RELEASE, name: `data-${RELEASE}-0` };
  const volume = { name: `${RELEASE}-data`, size: '20Gi', accessMode: 'ReadWriteOncePod', claim } as const;
  const volumeFolder = await cluster.localVolume(volume);
  const [repository = '', tag = ''] = image.split(':');
  const env = {
    KUBECONFIG: path.join(folder, 'kubeconfig'),
    PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
    IMAGE: repository,
    TAG: tag,
    KMS: path.join(folder, 'kms'),
  };
  return { kms, volumeFolder, env };
}

export interface StepResult extends DocumentedStep {
  readonly seconds: number;
  readonly output: string;
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Where the commands run; links to charts/ and docs/ are put there, as a checkout has them. */
  readonly folder: string;
  /** Told of what the commands write, when they write it, and of each step before it runs. */
  readonly show?: (text: string) => void;
}

const MARK = '==> step ';

/**
 * Runs the steps of a page in one shell that ends at the first command that fails, as somebody types them.
 * Rejects with ClusterError `command_failed`, whose message has what the step wrote.
 */
export async function runPage(page: string, options: RunOptions): Promise<StepResult[]> {
  const { env, folder, show = () => undefined } = options;
  await mkdir(folder, { recursive: true });
  for (const name of ['charts', 'docs']) {
    if (!existsSync(path.join(folder, name))) await symlink(path.join(ROOT, name), path.join(folder, name));
  }
  const steps = stepsOf(await readFile(path.join(ROOT, page), 'utf8'));
  const script = steps.map(({ commands }, index) => `echo '${MARK}${index}'\n${commands}\n`).join('');
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', `exec 2>&1\n${script}`], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(shell, 'close');
  const results: StepResult[] = [];
  let startedMs = performance.now();
  const finish = (): void => {
    const last = results.pop();
    if (last !== undefined) results.push({ ...last, seconds: (performance.now() - startedMs) / 1000 });
  };
  let rest = '';
  const take = (line: string): void => {
    const step = line.startsWith(MARK) ? steps[Number(line.slice(MARK.length))] : undefined;
    if (step !== undefined) {
      finish();
      startedMs = performance.now();
      results.push({ ...step, seconds: 0, output: '' });
      show(`\n${step.commands.replaceAll(/^(?=\S)/gm, '$ ')}\n`);
      return;
    }
    const last = results.pop();
    if (last !== undefined) results.push({ ...last, output: `${last.output}${line}\n` });
    show(`${line}\n`);
  };
  for await (const piece of shell.stdout) {
    const lines = `${rest}${String(piece)}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  }
  finish();
  const [code] = await ended;
  if (code !== 0) {
    const last = results.at(-1);
    throw new ClusterError(
      'command_failed',
      `${page}, ${last?.heading}: ended with ${code}\n${last?.output}`,
    );
  }
  return results;
}
