/**
 * Real S3 clients as their users run them, pointed at an endpoint and otherwise unchanged.
 *
 * Owns how clients are started: each in an environment of its own, so that no configuration of the machine reaches
 * it. The round trip of each client is a file of clients/.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Material } from './material.ts';

/** Where a client is pointed at. */
export interface S3Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** What a client works on. The round trip leaves what it stored of `small` and `large` in the bucket. */
export interface Trip {
  readonly access: S3Access;
  /** Exists and is empty. */
  readonly bucket: string;
  /** Exists; for the client's own files. */
  readonly folder: string;
  /** Small enough to be stored inside the metadata database. */
  readonly small: Material;
  /** Large enough for a multipart upload. */
  readonly large: Material;
}

/** Bytes that the client's traffic put into the bucket, and whether they travelled in a small or in a large object. */
export interface Trace {
  readonly bytes: Buffer;
  readonly size: 'small' | 'large';
}

/**
 * Writes, reads back and compares byte by byte; throws where anything differs from what was written.
 * Resolves to what the plaintext can be recognised by.
 */
export type RoundTrip = (trip: Trip) => Promise<readonly Trace[]>;

/** What a trip that stored both its files as they are can be recognised by. */
export function tracesOf({ small, large }: Trip): Trace[] {
  return [
    { bytes: Buffer.from(small.marker), size: 'small' },
    { bytes: Buffer.from(large.marker), size: 'large' },
  ];
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Also the client's home folder. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end; rejects with everything that it wrote when it ends with another code than 0. */
export function runClient(program: string, args: readonly string[], options: RunOptions): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: options.folder, LC_ALL: 'C.UTF-8', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    child.on('error', (error) => reject(new Error(`${program} could not be started`, { cause: error })));
    child.on('close', (code, signal) => {
      const output = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
      if (code === 0) resolve(output);
      else {
        const command = [program, ...args].join(' ');
        reject(new Error(`${command} ended with ${code ?? signal}:\n${output.stdout}\n${output.stderr}`));
      }
    });
  });
}

/** A program of the Python environment that holds the pinned aws-cli and boto3. */
export function pythonClient(name: 'aws' | 'python'): string {
  const cache = process.env['SEALGATE_CACHE'];
  if (cache === undefined) throw new Error('SEALGATE_CACHE is not set: run the tests with make test');
  return join(cache, 'clients/bin', name);
}

/** The variables that AWS's own tools and SDKs, and restic, take the endpoint and credentials from. */
export function awsVariables(access: S3Access): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_S3: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_DEFAULT_REGION: access.region,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** AWS's SDK for JavaScript on this endpoint. Path style, because the endpoint is an address and has no names. */
export function sdkClient(access: S3Access): S3Client {
  return new S3Client({
    endpoint: access.endpoint,
    region: access.region,
    forcePathStyle: true,
    credentials: { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey },
  });
}

/** Lets every request of the client carry these headers too, signed like its own. */
export function addHeaders(client: S3Client, headers: Readonly<Record<string, string>>): void {
  client.middlewareStack.add(
    (next) => (args) => {
      if (hasHeaders(args.request)) Object.assign(args.request.headers, headers);
      return next(args);
    },
    { step: 'build' },
  );
}

/** Creates a bucket; an encrypted one as applications do it, with the header that AWS's SDK has no parameter for. */
export async function createBucket(access: S3Access, bucket: string, encrypted: boolean): Promise<void> {
  const client = sdkClient(access);
  if (encrypted) addHeaders(client, { 'x-amz-server-side-encryption': 'AES256' });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}
