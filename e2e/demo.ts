/**
 * `make demo`: the main job from nothing. A real KMIP server, the data plane with embedded storage, an encrypted
 * bucket; then it serves until Ctrl-C. With ONCE=1 it exits after the tour, 0 only if all that it showed was true.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { sdkClient } from './harness/clients.ts';
import { type DemoKms, startDemoKms } from './harness/demoKms.ts';
import { type Sealgate, startSealgate } from './harness/sealgate.ts';

const FOLDER = resolve('.demo');
const BUCKET = 'invoices';
const PLAIN_BUCKET = 'leaflets';
const KEY = '2026/november.csv';
/** Larger than what is kept inside the metadata, so that there is a file to look at. */
const OBJECT_BYTES = 200_000;
const LINE = 'Invoice 4711; ACME Corp.; 1,299.00 EUR\n';
const PREFERRED_PORT = 9000;

class DemoFailed extends Error {}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs one step of the tour and tells how long it took. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  process.stdout.write(`\n* ${title}\n`);
  const result = await work();
  say(`  (${((performance.now() - started) / 1000).toFixed(2)} s)`);
  return result;
}

function require(truth: boolean, what: string): void {
  if (!truth) throw new DemoFailed(`not true: ${what}`);
}

/** A client that adds these headers to every request, as any S3 client can. */
function withHeaders(client: S3Client, headers: Readonly<Record<string, string>>): S3Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(request.headers ?? {}, headers);
      }
      return next(args);
    },
    { step: 'build' },
  );
  return client;
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const outcome = new Promise<boolean>((settle) => {
    probe.once('error', () => settle(false)).once('listening', () => settle(true));
  });
  probe.listen(port, '127.0.0.1');
  const free = await outcome;
  if (free) await new Promise((closed) => probe.close(closed));
  return free;
}

function refuseSecondDemo(): void {
  const file = join(FOLDER, 'demo.pid');
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').trim();
  const running =
    existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('demo.ts');
  if (running) throw new DemoFailed(`another demo is running here (process ${pid}): stop it first`);
}

function blobFiles(server: Sealgate): string[] {
  return readdirSync(join(server.dataFolder, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function hexdump(bytes: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const text = row.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
    lines.push(
      `  ${at.toString(16).padStart(6, '0')}  ${row.toString('hex').replace(/(..)/g, '$1 ').padEnd(48)} ${text}`,
    );
  }
  return lines.join('\n');
}

async function startAll(): Promise<{ kms: DemoKms; server: Sealgate }> {
  const kms = await step('Starting a KMIP server with certificates made on the spot', async () => {
    const started = await startDemoKms(join(FOLDER, 'kms'));
    say(`  ${started.product}; mutual TLS on ${started.host}:${started.port}`);
    return started;
  });
  const port = (await isFree(PREFERRED_PORT)) ? PREFERRED_PORT : 0;
  const server = await step('Starting the data plane: SQLite metadata, blobs as files', async () => {
    const started = await startSealgate({
      folder: FOLDER,
      kms,
      configPatch: (config) => {
        config['s3'] = { listen: `127.0.0.1:${port}`, domains: [] };
      },
    });
    say(`  S3 on ${started.endpoint}, metrics on ${started.monitoringEndpoint}/metrics`);
    return started;
  }).catch(async (error: unknown) => {
    await kms.stop();
    throw error;
  });
  return { kms, server };
}

/** Shows a refusal and holds the server to it. */
async function showRefusal(client: S3Client, bucket: string, value: string): Promise<void> {
  const method = { 'x-amz-server-side-encryption': value };
  try {
    await withHeaders(client, method).send(
      new PutObjectCommand({ Bucket: bucket, Key: 'refused.txt', Body: 'refused' }),
    );
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    const { httpStatusCode } = error.$metadata;
    say(
      `  PUT with x-amz-server-side-encryption: ${value} into ${bucket}: ${httpStatusCode} ${error.name}: ${error.message}`,
    );
    require(httpStatusCode === 400 && error.name === 'InvalidArgument', 'the refusal is 400 InvalidArgument');
    return;
  }
  throw new DemoFailed(`a PUT with x-amz-server-side-encryption: ${value} into ${bucket} was accepted`);
}

async function tour(kms: DemoKms, server: Sealgate): Promise<void> {
  const s3 = sdkClient(server);
  await step(
    `Creating the encrypted bucket "${BUCKET}" (x-amz-scal-server-side-encryption: AES256)`,
    async () => {
      const creating = withHeaders(sdkClient(server), { 'x-amz-scal-server-side-encryption': 'AES256' });
      await creating.send(new CreateBucketCommand({ Bucket: BUCKET }));
      creating.destroy();
      await s3.send(new HeadBucketCommand({ Bucket: BUCKET }));
      const created = kms.creations();
      say(`  the KMS generated its key: ${created} KMIP Create so far; no key is written to our disk`);
      require(created === 1, 'the key came from the KMS');
    },
  );

  const secret = randomBytes(8).toString('hex');
  const body = Buffer.from(`${LINE.repeat(Math.ceil(OBJECT_BYTES / LINE.length))}${secret}`);
  const before = new Set(blobFiles(server));
  await step(`PUT ${KEY}: ${body.length} bytes of plaintext, an ordinary S3 call`, async () => {
    const put = await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: KEY, Body: body }));
    say(`  answer: ETag ${put.ETag}, x-amz-server-side-encryption: ${put.ServerSideEncryption}`);
    require(put.ServerSideEncryption === 'AES256', 'the answer says that it is encrypted');
  });
  await step('Looking at the very file on disk', async () => {
    const [file, ...others] = blobFiles(server).filter((name) => !before.has(name));
    if (file === undefined || others.length > 0) throw new DemoFailed('the PUT made one file');
    const stored = await readFile(file);
    say(`  ${file}: ${stored.length} bytes\n${hexdump(stored.subarray(0, 128))}`);
    require(stored.subarray(0, 3).toString('latin1') === 'SGB', 'the file is a sealed blob');
    const metadata = await readFile(join(server.dataFolder, 'metadata.db'));
    for (const needle of ['ACME Corp', secret]) {
      require(!stored.includes(needle) &&
        !metadata.includes(needle), 'nothing of the plaintext is on the disk');
    }
    say('  neither "ACME Corp" nor the random last word of the plaintext is in it, or in the metadata');
  });
  await step(`GET ${KEY}`, async () => {
    const got = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: KEY }));
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    require(bytes.equals(body), 'the bytes that come back are the bytes that were put');
    say(`  ${bytes.length} bytes, identical; x-amz-server-side-encryption: ${got.ServerSideEncryption}`);
    require(got.ServerSideEncryption === 'AES256', 'the answer says that it is encrypted');
  });
  await step('What we would not do is refused, never ignored', async () => {
    await showRefusal(sdkClient(server), BUCKET, 'aws:kms');
    await s3.send(new CreateBucketCommand({ Bucket: PLAIN_BUCKET }));
    await showRefusal(sdkClient(server), PLAIN_BUCKET, 'AES256');
    for (const bucket of [BUCKET, PLAIN_BUCKET]) {
      const found = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: 'refused.txt' })).then(
        () => true,
        () => false,
      );
      require(!found, 'a refused request stores nothing');
    }
    say('  and nothing was stored');
  });
  s3.destroy();
}

async function writeEnv(kms: DemoKms, server: Sealgate): Promise<void> {
  const variables = {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_REGION: server.region,
    AWS_DEFAULT_REGION: server.region,
    SEALGATE_CONFIG: server.configFile,
    SEALGATE_DATA: server.dataFolder,
    SEALGATE_KMIP: `${kms.host}:${kms.port}`,
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  await writeFile(join(FOLDER, 'env'), lines.join(''), { mode: 0o600 });
}

function sayClients(server: Sealgate): void {
  const { host } = new URL(server.endpoint);
  const keys = `--access_key="$AWS_ACCESS_KEY_ID" --secret_key="$AWS_SECRET_ACCESS_KEY"`;
  say(`
Try it from another terminal, in this folder:

  . .demo/env
  aws s3 cp README.md s3://${BUCKET}/            # aws-cli
  aws s3 ls s3://${BUCKET}/ --recursive
  s3cmd ${keys} --region="$AWS_REGION" --host=${host} --host-bucket=${host} --no-ssl put README.md s3://${BUCKET}/s3cmd.md
  rclone copy README.md ":s3,provider=Other,env_auth=true,region=$AWS_REGION,endpoint='${server.endpoint}':${BUCKET}/rclone"
  aws s3api put-object --bucket ${BUCKET} --key x --server-side-encryption aws:kms     # refused: 400

endpoint    ${server.endpoint}
access key  ${server.accessKeyId}
secret key  in .demo/env
data        ${server.dataFolder}`);
}

async function main(): Promise<number> {
  const started = performance.now();
  refuseSecondDemo();
  rmSync(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true, mode: 0o700 });
  await writeFile(join(FOLDER, 'demo.pid'), String(process.pid));
  const { kms, server } = await startAll();
  try {
    await tour(kms, server);
    await writeEnv(kms, server);
    say(`\nAll of this was true. The tour took ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    if (process.env['ONCE'] === '1') return 0;
    sayClients(server);
    say('\nServing until Ctrl-C.');
    const stopped = new AbortController();
    const { signal } = stopped;
    await Promise.race([
      once(process, 'SIGINT', { signal }),
      once(process, 'SIGTERM', { signal }),
      server.exited,
    ]);
    stopped.abort();
    return 0;
  } finally {
    await server.stop();
    await kms.stop();
    rmSync(join(FOLDER, 'demo.pid'), { force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`\nThe demo failed: ${error instanceof DemoFailed ? error.message : String(error)}\n`);
  process.stderr.write(`Logs: ${join(FOLDER, 'sealgate.log')}, ${join(FOLDER, 'kms')}\n`);
  process.exitCode = 1;
}
