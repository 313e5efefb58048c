/** Access keys over HTTP, on two workers: what their grants allow, when they end, and where their secrets are. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Grant,
  PERMISSIONS,
  type Permission,
  type PutAccessKey,
} from '../../dataplane/admin/schema/accessKeys.ts';
import type { OperationName } from '../../dataplane/s3/router.ts';
import { type AdminAnswer, askAdmin } from '../harness/admin.ts';
import { type S3Access, sdkClient } from '../harness/clients.ts';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { refusal } from '../harness/refusal.ts';
import { send } from '../harness/signedRequest.ts';
import { openStore } from '../harness/store.ts';
import { CONNECTIONS, openConnections } from './accessKeys/connections.ts';
import { NEEDS, outcome, prepare, type Scene } from './accessKeys/operations.ts';
import { spellings } from './accessKeys/spellings.ts';

const OWNER = 'team-a/reports';

let deployment: Deployment;
const clients: S3Client[] = [];
/** Every secret that this file hands out, to be looked for at the end. */
const secrets: string[] = [];
const answers: string[] = [];
let made = 0;

beforeAll(async () => {
  deployment = await startDeployment({
    workers: 2,
    buckets: true,
    configPatch: (config) => {
      config['log'] = { level: 'trace' };
    },
  });
  for (const Bucket of BUCKETS)
    await deployment.client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'kept' }));
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await deployment?.close();
});

async function admin(method: 'GET' | 'PUT' | 'DELETE', path: string, payload?: object): Promise<AdminAnswer> {
  const answer = await askAdmin(deployment.server, method, `access-keys${path}`, payload);
  answers.push(JSON.stringify(answer.body));
  return answer;
}

/** 24 bytes in base64url: 32 characters, which base64 at any alignment and hex spell differently. */
function newSecret(): string {
  const secret = randomBytes(24).toString('base64url');
  secrets.push(secret);
  return secret;
}

type Declaration = Omit<PutAccessKey, 'owner'>;

const READ: Permission[] = ['read'];
const ALL: Permission[] = [...PERMISSIONS];

async function declare(accessKeyId: string, declaration: Declaration, owner = OWNER): Promise<void> {
  const answer = await admin('PUT', `/${accessKeyId}`, { owner, ...declaration });
  expect(answer).toMatchObject({ status: 200, body: { accessKeyId } });
}

/** A new access key with these grants. */
function accessKey(...grants: Declaration['grants']): Promise<{ access: S3Access; client: S3Client }> {
  return accessKeyOf(OWNER, grants);
}

async function accessKeyOf(
  owner: string,
  grants: Declaration['grants'],
): Promise<{ access: S3Access; client: S3Client }> {
  made += 1;
  const accessKeyId = `SGTESTACCESSKEY${String(made).padStart(3, '0')}`;
  const secretAccessKey = newSecret();
  await declare(accessKeyId, { grants, secretAccessKey }, owner);
  const access = { ...deployment.server, accessKeyId, secretAccessKey };
  const client = sdkClient(access);
  clients.push(client);
  return { access, client };
}

const get = (client: S3Client, Bucket: string, Key: string) =>
  client.send(new GetObjectCommand({ Bucket, Key }));

describe('every operation', () => {
  const held: readonly (readonly [string, Permission[], { prefix?: string; elsewhere?: true }])[] = [
    ...PERMISSIONS.map(
      (permission) => [permission, [permission], {}] satisfies [string, Permission[], object],
    ),
    ['all permissions', ALL, {}],
    ['all permissions inside of a prefix', ALL, { prefix: 'in/' }],
    ['all permissions outside of a prefix', ALL, { prefix: 'out/' }],
    ['all permissions on another bucket', ALL, { elsewhere: true }],
  ];

  it.each(held)(
    'with %s is allowed what that allows; nothing changes by what is denied',
    async (name, permissions, place) => {
      const { prefix = '', elsewhere } = place;
      const bucket = `operations-${name.replaceAll(' ', '-').slice(-24)}`;
      const folder = 'in/';
      const uploads = await prepare(deployment.client, bucket, folder);
      const grant = { bucket: elsewhere === true ? 'plain' : bucket, prefix, permissions };
      const scene: Scene = { ...(await accessKey(grant)), bucket, folder, uploads };
      const allowed = (operation: OperationName): boolean => {
        const needs = NEEDS[operation];
        if (needs === 'anybody' || needs === 'root') return needs === 'anybody';
        if (elsewhere === true) return false;
        if (needs === 'anyGrant') return true;
        const inside = needs.includes('admin') ? prefix === '' : folder.startsWith(prefix);
        return inside && needs.every((permission) => permissions.includes(permission));
      };
      const operations = Object.keys(NEEDS) as OperationName[];
      const store = openStore(deployment.server.dataFolder);
      const before = store.snapshot();
      for (const operation of operations.filter((one) => !allowed(one)))
        expect([operation, await outcome(operation, scene)]).toEqual([operation, 'AccessDenied']);
      expect(store.snapshot()).toEqual(before);
      for (const operation of operations.filter(allowed))
        expect([operation, await outcome(operation, scene)]).toEqual([operation, 'allowed']);
    },
  );
});

describe('what no grant covers', () => {
  it('is denied in the same words whether or not bucket, object and upload exist', async () => {
    const { access } = await accessKey({ bucket: 'encrypted', prefix: 'mine/', permissions: ALL });
    for (const [method, suffix, query] of [
      ['GET', '', []],
      ['HEAD', '', []],
      ['PUT', '', []],
      ['DELETE', '', []],
      ['GET', '/kept', []],
      ['HEAD', '/kept', []],
      ['PUT', '/kept', []],
      ['DELETE', '/kept', []],
      ['POST', '/kept', [['uploads', '']]],
      ['GET', '/kept', [['uploadId', 'x']]],
    ] as const) {
      const told = async (bucket: string): Promise<string> => {
        const answer = await send(access, { method, path: `/${bucket}${suffix}`, query });
        const text = answer.body.toString();
        return `${answer.status} ${text.replace(/<(RequestId|Resource)>[^<]*/g, '')}`;
      };
      const existing = await told('plain');
      expect(existing).toMatch(/^403 /);
      expect(await told('nowhere')).toBe(existing);
    }
  });

  it('is not told to be missing: 404 is only for whoever may list the key', async () => {
    const reader = await accessKey({ bucket: 'plain', permissions: READ });
    const lister = await accessKey(
      { bucket: 'plain', permissions: READ },
      { bucket: 'plain', prefix: 'miss', permissions: ['list'] },
    );
    const missing = { code: 'NoSuchKey', status: 404 };
    const denied = { code: 'AccessDenied', status: 403 };
    expect(await refusal(get(reader.client, 'plain', 'missing'))).toMatchObject(denied);
    expect(await refusal(get(lister.client, 'plain', 'missing'))).toMatchObject(missing);
    expect(await refusal(get(lister.client, 'plain', 'absent'))).toMatchObject(denied);
    for (const { access, status } of [
      { ...reader, status: 403 },
      { ...lister, status: 404 },
    ])
      expect((await send(access, { method: 'HEAD', path: '/plain/missing' })).status).toBe(status);
    const writer = await accessKey({ bucket: 'plain', permissions: ['read', 'write'] });
    const copy = new CopyObjectCommand({ Bucket: 'plain', Key: 'copy', CopySource: 'plain/missing' });
    expect(await refusal(writer.client.send(copy))).toMatchObject(denied);
  });

  it('is not listed: prefixes and buckets', async () => {
    const { client } = await accessKey({ bucket: 'plain', prefix: 'shown/', permissions: ['list', 'write'] });
    for (const Key of ['shown/a', 'shown/deep/b'])
      await client.send(new PutObjectCommand({ Bucket: 'plain', Key, Body: 'x' }));
    const list = (Prefix: string | undefined) =>
      client.send(new ListObjectsV2Command({ Bucket: 'plain', ...(Prefix === undefined ? {} : { Prefix }) }));
    expect((await list('shown/')).Contents?.map(({ Key }) => Key)).toEqual(['shown/a', 'shown/deep/b']);
    expect((await list('shown/deep')).Contents?.map(({ Key }) => Key)).toEqual(['shown/deep/b']);
    for (const prefix of [undefined, '', 'shown', 'kept', 'Shown/'])
      expect((await refusal(list(prefix))).code).toBe('AccessDenied');
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toEqual(['plain']);
    const paging = await accessKey(
      ...['plain', 'nowhere', 'encrypted'].map((bucket) => ({ bucket, permissions: READ })),
    );
    const first = await paging.client.send(new ListBucketsCommand({ MaxBuckets: 1 }));
    expect(first.Buckets?.map(({ Name }) => Name)).toEqual(['encrypted']);
    const { ContinuationToken } = first;
    const second = await paging.client.send(new ListBucketsCommand({ MaxBuckets: 1, ContinuationToken }));
    expect([second.Buckets?.map(({ Name }) => Name), second.ContinuationToken]).toEqual([
      ['plain'],
      undefined,
    ]);
  });

  it('is denied key by key by DeleteObjects, and stays', async () => {
    const { client } = await accessKey({ bucket: 'plain', prefix: 'mine/', permissions: ['delete'] });
    for (const Key of ['mine/a', 'yours/a'])
      await deployment.client.send(new PutObjectCommand({ Bucket: 'plain', Key, Body: 'x' }));
    const Objects = ['mine/a', 'yours/a', 'mine/absent'].map((Key) => ({ Key }));
    const { Deleted, Errors } = await client.send(
      new DeleteObjectsCommand({ Bucket: 'plain', Delete: { Objects } }),
    );
    expect(Deleted?.map(({ Key }) => Key)).toEqual(['mine/a', 'mine/absent']);
    expect(Errors).toMatchObject([{ Key: 'yours/a', Code: 'AccessDenied' }]);
    expect((await refusal(get(deployment.client, 'plain', 'mine/a'))).code).toBe('NoSuchKey');
    await get(deployment.client, 'plain', 'yours/a');
  });
});

/** The workers that served requests with these ids. */
async function workersOf(ids: readonly string[]): Promise<Set<unknown>> {
  const lines = ids.map((id) =>
    deployment.server.logLine((line) => line['requestId'] === id && line['msg'] === 'request'),
  );
  return new Set((await Promise.all(lines)).map((line) => line['thread']));
}

describe('on both workers, and on connections that are open already', () => {
  it('a revoked key is refused at the next request', async () => {
    const { access } = await accessKey({ bucket: 'plain', permissions: READ });
    using connections = openConnections('/plain/kept');
    const served = await connections.askAll(access);
    expect(new Set(served.map(({ told }) => told))).toEqual(new Set(['200']));
    expect(await workersOf(served.map(({ id }) => id))).toEqual(new Set(['s3-0', 's3-1']));
    expect((await admin('DELETE', `/${access.accessKeyId}?owner=${OWNER}`)).status).toBe(204);
    const refused = await connections.askAll(access);
    expect(new Set(refused.map(({ told }) => told))).toEqual(new Set(['403 InvalidAccessKeyId']));
    expect(refused.filter(({ reused }) => reused).length).toBeGreaterThan(CONNECTIONS / 4);
    expect(await workersOf(refused.map(({ id }) => id))).toEqual(new Set(['s3-0', 's3-1']));
    expect((await admin('DELETE', `/${access.accessKeyId}?owner=${OWNER}`)).status).toBe(404);
  });

  it('changed grants and a changed secret are in force at the next request', async () => {
    const grants = [{ bucket: 'plain', permissions: READ }];
    const { access } = await accessKey(...grants);
    using connections = openConnections('/plain/kept');
    const told = async (by: S3Access) => new Set((await connections.askAll(by)).map((answer) => answer.told));
    expect(await told(access)).toEqual(new Set(['200']));
    await declare(access.accessKeyId, { grants: [{ bucket: 'plain', permissions: ['write'] }] });
    expect(await told(access)).toEqual(new Set(['403 AccessDenied']));
    const secretAccessKey = newSecret();
    await declare(access.accessKeyId, { grants, secretAccessKey });
    expect(await told(access)).toEqual(new Set(['403 SignatureDoesNotMatch']));
    expect(await told({ ...access, secretAccessKey })).toEqual(new Set(['200']));
  });

  it('a key is rotated with an overlap: both serve, then the old one ends by itself', async () => {
    const grants = [{ bucket: 'plain', permissions: READ }];
    const old = await accessKey(...grants);
    const young = await accessKey(...grants);
    using connections = openConnections('/plain/kept');
    const told = async ({ access }: typeof old) =>
      new Set((await connections.askAll(access)).map((answer) => answer.told));
    const expiresMs = Date.now() + 1_000;
    await declare(old.access.accessKeyId, { grants, expiresAt: new Date(expiresMs).toISOString() });
    expect([await told(old), await told(young)]).toEqual([new Set(['200']), new Set(['200'])]);
    for (let seen = new Set<string>(); !seen.has('403 InvalidAccessKeyId'); ) {
      seen = await told(old);
      // Served before the end only, refused behind it only.
      expect(seen.has('403 InvalidAccessKeyId') && Date.now() < expiresMs).toBe(false);
      expect([...seen].filter((answer) => answer !== '200' && answer !== '403 InvalidAccessKeyId')).toEqual(
        [],
      );
      expect(await told(young)).toEqual(new Set(['200']));
    }
    expect(await told(old)).toEqual(new Set(['403 InvalidAccessKeyId']));
  });
});

describe('a bucket that comes to another owner', () => {
  const declareBucket = async (name: string, owner: string, adopt = false) => {
    const wish = { owner, encryption: { algorithm: 'AES256' }, kmsConnection: 'kms', adopt };
    expect((await askAdmin(deployment.server, 'PUT', `buckets/${name}`, wish)).status).toBe(200);
    await deployment.client.send(new PutObjectCommand({ Bucket: name, Key: 'kept', Body: 'kept' }));
  };
  const purge = async (name: string) => {
    const gone = `buckets/${name}?mode=purge&owner=${OWNER}`;
    const ask = async () => (await askAdmin(deployment.server, 'DELETE', gone)).status;
    expect(await ask()).toBe(202);
    await expect.poll(ask).toBe(404);
  };

  it.each([
    ['is adopted', (name: string) => declareBucket(name, 'team-b/reports', true)],
    [
      'is purged and declared by another',
      async (name: string) => {
        await purge(name);
        await declareBucket(name, 'team-b/reports');
      },
    ],
  ])('because it %s takes no key of the former one any more, on either worker', async (what, move) => {
    const name = `moved-${what.split(' ')[1]}`;
    await declareBucket(name, OWNER);
    const here: Grant = { bucket: name, prefix: '', permissions: READ };
    const elsewhere: Grant = { bucket: 'plain', prefix: '', permissions: READ };
    const only = await accessKey(here);
    const both = await accessKey(here, { ...here, prefix: 'kept' }, elsewhere);
    const unrelated = await accessKeyOf('team-c/batch', [here]);
    using connections = openConnections(`/${name}/kept`);
    const told = async ({ access }: typeof only) => [
      ...new Set((await connections.askAll(access)).map((answer) => answer.told)),
    ];
    for (const key of [only, both, unrelated]) expect(await told(key)).toEqual(['200']);
    await move(name);
    expect(await told(only)).toEqual(['403 InvalidAccessKeyId']);
    expect(await told(both)).toEqual(['403 AccessDenied']);
    expect(await told(unrelated)).toEqual(['200']);
    expect((await send(both.access, { method: 'GET', path: '/plain/kept' })).status).toBe(200);
    expect((await admin('GET', `/${only.access.accessKeyId}`)).status).toBe(404);
    const wish = { owner: OWNER, secretAccessKey: 's'.repeat(40), grants: [here], ownBucketsOnly: true };
    const late = async (owner: string) =>
      (await admin('PUT', `/${only.access.accessKeyId}`, { ...wish, owner })).status;
    expect(await late(OWNER)).toBe(409);
    expect(await told(only)).toEqual(['403 InvalidAccessKeyId']);
    expect(await late('team-b/reports')).toBe(200);
    expect((await admin('GET', `/${both.access.accessKeyId}`)).body['grants']).toEqual([elsewhere]);
  });
});

describe('an access key', () => {
  it('signs URLs and forms too, and those end with it', async () => {
    const { access } = await accessKey({ bucket: 'plain', permissions: READ });
    const presigned = { method: 'GET', path: '/plain/kept', presigned: true } as const;
    expect((await send(access, presigned)).body.toString()).toBe('kept');
    expect(await send(access, { ...presigned, path: '/encrypted/kept' })).toMatchObject({
      status: 403,
      code: 'AccessDenied',
    });
    await admin('DELETE', `/${access.accessKeyId}`);
    expect(await send(access, presigned)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
  });

  it("of another owner, or the root's, is not given away", async () => {
    const { access } = await accessKey({ bucket: 'plain', permissions: READ });
    const { accessKeyId } = access;
    const grants: Grant[] = [{ bucket: 'plain', prefix: '', permissions: ['admin'] }];
    const other = { owner: 'team-b/reports', secretAccessKey: newSecret(), grants };
    const taken = { status: 409, body: { error: { code: 'AccessKeyTaken' } } };
    expect(await admin('PUT', `/${accessKeyId}`, other)).toMatchObject(taken);
    expect(await admin('DELETE', `/${accessKeyId}?owner=team-b/reports`)).toMatchObject(taken);
    expect(await admin('PUT', `/${deployment.server.accessKeyId}`, other)).toMatchObject(taken);
    expect((await send(access, { method: 'GET', path: '/plain/kept' })).status).toBe(200);
  });

  it('whose row was edited is a failure of ours, counted and logged, and its new rights are not used', async () => {
    const { access } = await accessKey({ bucket: 'plain', permissions: ['list'] });
    const counted = () => deployment.server.metric('sealgate_integrity_failures_total', 'subject="control"');
    const before = await counted();
    using database = new DatabaseSync(join(deployment.server.dataFolder, 'metadata.db'), { timeout: 5_000 });
    const sql = `UPDATE access_key SET document = CAST(replace(CAST(document AS TEXT), 'list', 'read') AS BLOB)
      WHERE access_key_id = ?`;
    expect(Number(database.prepare(sql).run(access.accessKeyId).changes)).toBe(1);
    const answer = await send(access, { method: 'GET', path: '/plain/kept' });
    expect(answer).toMatchObject({ status: 500, code: 'InternalError' });
    expect(await counted()).toBe(before + 1);
    const requestId = answer.headers['x-amz-request-id'];
    const line = await deployment.server.logLine(
      (one) => one['requestId'] === requestId && one['msg'] === 'request failed',
    );
    expect(line).toMatchObject({ level: 'error' });
    expect((await admin('DELETE', `/${access.accessKeyId}`)).status).toBe(204);
  });
});

it('secrets of access keys are nowhere: not in the database, the log or an answer, raw, hex or base64', async () => {
  const { accessKeyId } = (await accessKey({ bucket: 'plain', permissions: READ })).access;
  const listed = await admin('GET', `?owner=${OWNER}&limit=1000`);
  expect(listed.body['accessKeys']).toContainEqual(expect.objectContaining({ accessKeyId, owner: OWNER }));
  expect(await admin('GET', `/${accessKeyId}`)).toMatchObject({ status: 200, body: { accessKeyId } });
  const folder = join(deployment.folder, 'sealgate');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => ({ name: entry.name, bytes: readFileSync(join(entry.parentPath, entry.name)) }));
  const holding = (needle: Buffer): string[] =>
    files.filter(({ bytes }) => bytes.includes(needle)).map(({ name }) => name);
  // The search finds what is there: the id, in the database and in the log.
  const found = holding(Buffer.from(accessKeyId));
  expect(found).toContain('sealgate.log');
  expect(found.some((file) => file.startsWith('metadata.db'))).toBe(true);
  expect(secrets.length).toBeGreaterThan(15);
  for (const needle of secrets.flatMap(spellings)) {
    expect(answers.filter((answer) => answer.includes(needle.toString()))).toEqual([]);
    expect(holding(needle)).toEqual([]);
  }
});
