/**
 * What `helm test` runs: puts an object into an encrypted bucket with the access Secret that the operator made, looks at
 * the file on the data plane's volume, gets the object back, and deletes it. Exit code 0 only if all of it was as it
 * should be.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { PATHS } from '../fleet/names.ts';
import { podExec } from './podExec.ts';
import { type S3Answer, type S3Request, s3Request } from './signedRequest.ts';
import { assertCiphertext, storedObject } from './storedObject.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Larger than what is kept in the metadata instead of in a file. */
const OBJECT_BYTES = 256 * 1024;
const KEY = 'helm-test/object';

const environment = z.object({
  AWS_ENDPOINT_URL_S3: z.url(),
  AWS_REGION: z.string().min(1),
  AWS_ACCESS_KEY_ID: z.string().min(1),
  AWS_SECRET_ACCESS_KEY: z.string().min(1),
  BUCKET_NAME: z.string().min(1),
  CA_CERTIFICATE: z.string().optional(),
  DATA_PLANE_POD: z.string().min(1),
  POD_NAMESPACE: z.string().min(1),
  KUBERNETES_SERVICE_HOST: z.string().min(1),
  KUBERNETES_SERVICE_PORT: z.string().min(1),
});

/** A request for the object. */
interface Send {
  (method: S3Request['method'], body?: Buffer): Promise<S3Answer>;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function expectAnswer(what: string, { status, headers, body }: S3Answer, wanted: number): void {
  if (status !== wanted)
    throw new Error(`${what} answered ${status}: ${body.toString('utf8').slice(0, 500)}`);
  const encryption = headers['x-amz-server-side-encryption'];
  if (wanted === 200 && encryption !== 'AES256') {
    throw new Error(`${what} said x-amz-server-side-encryption: ${encryption ?? 'nothing'}`);
  }
  say(
    `ok  ${what}: ${status}${encryption === undefined ? '' : `, x-amz-server-side-encryption: ${encryption}`}`,
  );
}

async function run(): Promise<void> {
  const env = environment.parse(process.env);
  const access = {
    endpoint: new URL(env.AWS_ENDPOINT_URL_S3),
    region: env.AWS_REGION,
    accessKeyId: env.AWS_ACCESS_KEY_ID,
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
    ca: env.CA_CERTIFICATE,
  };
  const address = env.KUBERNETES_SERVICE_HOST;
  const host = address.includes(':') ? `[${address}]` : address;
  const inPod = (command: readonly string[]): Promise<Buffer> =>
    podExec(
      {
        server: new URL(`https://${host}:${env.KUBERNETES_SERVICE_PORT}`),
        token: readFileSync(`${SERVICE_ACCOUNT}/token`, 'utf8').trim(),
      },
      { namespace: env.POD_NAMESPACE, pod: env.DATA_PLANE_POD, container: 'dataplane' },
      command,
    );
  const path = `/${env.BUCKET_NAME}/${KEY}`;
  const send: Send = (method, body = Buffer.alloc(0)) =>
    s3Request(access, { method, path, body }, Date.now());
  try {
    await tryObject(path, env.BUCKET_NAME, send, inPod);
  } catch (error) {
    // The bucket goes only when it is empty, and the next test begins with deleting it.
    const failed = (status: unknown): void =>
      say(`the object may be left: DELETE ${path}: ${String(status)}`);
    await send('DELETE').then(({ status }) => (status === 204 ? undefined : failed(status)), failed);
    throw error;
  }
  expectAnswer(`DELETE ${path}`, await send('DELETE'), 204);
}

/** Puts the object, looks at what is stored, and gets it back. Rejects when anything is not as it should be. */
async function tryObject(
  path: string,
  bucket: string,
  send: Send,
  inPod: (command: readonly string[]) => Promise<Buffer>,
): Promise<void> {
  const plaintext = randomBytes(OBJECT_BYTES);
  expectAnswer(`PUT ${path}`, await send('PUT', plaintext), 200);
  const command = [
    '/usr/bin/node',
    '--disable-warning=ExperimentalWarning',
    '/app/dataplane/main.js',
    'inspect',
  ];
  const about = ['--config', PATHS.configFile, '--bucket', bucket, '--key', KEY, '--json'];
  const stored = storedObject((await inPod([...command, ...about])).toString('utf8'));
  const copy = "process.stdout.write(require('node:fs').readFileSync(process.argv[1]))";
  assertCiphertext(await inPod(['/usr/bin/node', '-e', copy, stored.file]), plaintext);
  say(
    `ok  ${stored.file} has ${stored.storedBytes} bytes of ciphertext, under a key of ${stored.kmsConnection}`,
  );

  const got = await send('GET');
  expectAnswer(`GET ${path}`, got, 200);
  if (!got.body.equals(plaintext)) throw new Error('the bytes that came back are not those that were put');
  say(`ok  the ${plaintext.length} bytes that came back are those that were put`);
}

try {
  await run();
} catch (error) {
  process.stderr.write(`FAILED  ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
