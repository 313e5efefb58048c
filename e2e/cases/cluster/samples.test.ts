/**
 * docs/install.md and docs/first-bucket.md on a cluster of their own, from nothing: their commands and the samples as they
 * stand there. A cluster of its own, because the pages install for all namespaces and with the custom resources.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../../harness/cluster/cluster.ts';
import {
  prepareStage,
  runPage,
  type Stage,
  type StepResult,
  writeTools,
} from '../../harness/cluster/stage.ts';
import { startCluster } from '../../harness/cluster/startCluster.ts';
import { blocksOf } from '../../harness/documents.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
const PAGES = ['docs/install.md', 'docs/first-bucket.md', 'docs/monitor.md'];

/** Of the sample application's object. */
const PLAINTEXT = 'invoice 4711: 120.00 EUR';

let cluster: Cluster;
let stage: Stage;
const times: string[] = [];
const results: StepResult[] = [];

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  times.push(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s  ${what}`);
  return result;
}

beforeAll(async () => {
  cluster = await timed('Kubernetes started', () => startCluster());
  const folder = path.join(cluster.folder, 'people');
  await writeTools(cluster, folder);
  stage = await prepareStage(cluster, folder, timed);
  for (const page of PAGES) {
    const steps = await runPage(page, { env: stage.env, folder: path.join(folder, 'work') });
    for (const { heading, seconds } of steps) {
      times.push(`${seconds.toFixed(1).padStart(5)} s  ${page}: ${heading}`);
    }
    results.push(...steps);
  }
}, 420_000);

afterAll(async () => {
  process.stdout.write(`\n${times.join('\n')}\n`);
  await cluster.close();
});

/** What the step with this command wrote. */
function outputOf(command: string): string {
  const step = results.find(({ commands }) => commands.includes(command));
  if (step === undefined) throw new Error(`no page says ${command}`);
  return step.output;
}

/** The contents of all files of a folder. */
function contents(folder: string): Buffer[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file));
}

describe('the commands of the pages, from nothing', () => {
  it('bring an application with the AWS SDK to its bucket by the Secret alone', () => {
    expect(outputOf('samples/kmsconnection.yaml')).toContain(
      'kmsconnection.sealgate.io/keysecure condition met',
    );
    expect(outputOf('get sealgate')).toMatch(
      /encryptedbucket\S+\/invoices +True +Ready +invoices +keysecure +1 /,
    );
    expect(outputOf('get sealgate')).toMatch(/kmsconnection\S+\/keysecure +True +Ready +1\.4 +1\/1 /);
    expect(outputOf('logs job/invoices-app')).toBe(
      [
        'job.batch/invoices-app created',
        'configmap/invoices-app created',
        'job.batch/invoices-app condition met',
        '2026/4711.txt: ServerSideEncryption AES256, read back the same',
        '',
      ].join('\n'),
    );
  });

  it('let aws-cli write and read by the address of the Service, and by its name with path style', () => {
    expect(outputOf('cmp numbers.txt')).toContain('"ServerSideEncryption": "AES256"');
    expect(outputOf('cmp numbers.txt')).toMatch(/identical\n$/);
    expect(outputOf('https://sealgate.sealgate.svc')).toMatch(/588895 numbers\.txt\n$/);
  });

  it('show a request refused that asks for another encryption', () => {
    const output = outputOf('--sse aws:kms');
    expect(output).toContain('(InvalidArgument)');
    expect(output).toContain('The encryption method specified is not supported');
    expect(output).toMatch(/refused, as it should be\n$/);
  });

  it('show no value of the Secret', async () => {
    const format = 'jsonpath={.data.AWS_SECRET_ACCESS_KEY}';
    const encoded = await cluster.kubectl(['get', 'secret', 'invoices-s3', '-n', 'team-a', '-o', format]);
    const secret = Buffer.from(encoded, 'base64').toString();
    expect(secret).toHaveLength(40);
    expect(results.filter(({ output }) => output.includes(secret))).toEqual([]);
  });

  it('leave ciphertext alone on the volume, and the key in the KMS alone', async () => {
    const of = ['get', 'encryptedbucket', 'invoices', '-n', 'team-a'];
    const id = await cluster.kubectl([...of, '-o', 'jsonpath={.status.key.id}']);
    const key = stage.kms.keyBytes(id);
    expect(key).toHaveLength(32);
    expect(outputOf('inspect')).toContain(`kms id: ${id}\n`);
    expect(outputOf('inspect')).toContain('objects: 2\n');
    const files = contents(stage.volumeFolder);
    const size = files.reduce((sum, content) => sum + content.length, 0);
    // Both objects are there ...
    expect(size).toBeGreaterThan(588_895 + 250_000);
    // ... and none of it can be read.
    const marks = [Buffer.from(PLAINTEXT), Buffer.from('\n4711\n4712\n'), key ?? Buffer.alloc(0)];
    expect(marks.map((mark) => files.filter((content) => content.includes(mark)).length)).toEqual([0, 0, 0]);
  });

  it('change nothing when the samples are applied a second time', async () => {
    const output = await cluster.kubectl(['apply', '-f', path.join(ROOT, 'docs/samples')]);
    expect(output).not.toContain('created');
    // kubectl says "configured" of lists whose entries got defaults; the API server finds nothing to change.
    const resources = ['kmsconnection/keysecure', 'encryptedbucket/invoices', '-n', 'team-a'];
    const format = 'jsonpath={.items[*].metadata.generation}';
    expect(await cluster.kubectl(['get', ...resources, '-o', format])).toBe('1 1');
  });
});

describe('the pages', () => {
  it.each(PAGES)('%s has no command of the first installation that is not run', (page) => {
    const shown = blocksOf(readFileSync(path.join(ROOT, page), 'utf8')).filter(
      ({ language }) => language !== 'sh',
    );
    // Only where a person's own registry, gateway, platform or second release comes in.
    const headings = shown.filter(({ text }) => /kubectl|helm|aws/.test(text)).map(({ heading }) => heading);
    const allowed = ['S3 from outside', 'OpenShift', 'A second installation in the same cluster'];
    expect(headings.filter((heading) => !allowed.includes(heading))).toEqual([]);
  });
});
