import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAdminServer } from '../admin/adminServer.ts';
import { Epochs } from '../admin/epochs.ts';
import { accessKey, accessKeyPage } from '../admin/schema/accessKeys.ts';
import { unusedAdministration } from '../admin/unused.testkit.ts';
import { openStoredSecret } from '../auth/accessKeyCredentials.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { systemRandom } from '../crypto/random.ts';
import { createLogger } from '../log.ts';
import { type Engine, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import { administerAccessKeys } from './accessKeyAdministration.ts';

const ID = 'SGTEAMAREPORTS01';
const SECRET = 'a-secret-nobody-else-has-1';
const installationKey = newDataKey();
const grants = [{ bucket: 'reports', prefix: '2026/', permissions: ['read', 'list'] }];
const declared = { owner: 'team-a/reports', secretAccessKey: SECRET, grants, expiresAt: null };
const { secretAccessKey: _secret, ...withoutSecret } = declared;

let engine: Engine;
let log: PassThrough;
let server: ReturnType<typeof createAdminServer>;
let nowMs = 0;

beforeEach(async () => {
  engine = await openEngine();
  log = new PassThrough({ encoding: 'utf8' });
  nowMs = Date.UTC(2026, 0, 1);
  const logger = createLogger({ level: 'trace', thread: 'test', destination: log });
  server = createAdminServer({
    tokens: () => ['token'],
    status: () => Promise.reject(new Error('not asked for here')),
    keys: unusedAdministration,
    epochs: new Epochs({ ...unusedAdministration, epoch: () => Promise.resolve(0) }),
    flush: () => Promise.resolve(),
    accessKeys: administerAccessKeys({
      metadata: engine.metadata,
      installationKey,
      rootAccessKeyId: () => 'ROOTACCESSKEY0001',
      random: systemRandom,
      now: () => nowMs,
      log: logger,
    }),
    log: logger,
  });
});
afterEach(async () => {
  await server.close();
  await engine[Symbol.asyncDispose]();
});

async function ask(method: 'GET' | 'PUT' | 'DELETE', path: string, payload?: object) {
  const answer = await server.inject({
    method,
    url: `/admin/v1/access-keys${path}`,
    headers: { authorization: 'Bearer token' },
    ...(payload === undefined ? {} : { payload }),
  });
  expect(answer.body).not.toContain(SECRET);
  const body = answer.body === '' ? null : answer.json<Record<string, unknown>>();
  return { status: answer.statusCode, body };
}
const put = (id: string, changes: object = {}) => ask('PUT', `/${id}`, { ...declared, ...changes });
const code = (answer: { status: number; body: Record<string, unknown> | null }): string =>
  `${answer.status} ${String((answer.body?.['error'] as { code: string } | undefined)?.code)}`;
const row = () => engine.rows('SELECT document, control_mac FROM access_key');
const stored = (id = ID) => {
  const found = engine.metadata.accessKey(id);
  if (found === null) throw new Error('there is none');
  return found;
};

describe('PUT', () => {
  test('makes an access key and tells it without its secret', async () => {
    const { status, body } = await put(ID);
    expect(status).toBe(200);
    expect(accessKey.strict().parse(body)).toEqual({
      accessKeyId: ID,
      owner: declared.owner,
      grants,
      createdAt: '2026-01-01T00:00:00.000Z',
      expiresAt: null,
    });
    expect(openStoredSecret(installationKey, stored())).toBe(SECRET);
    expect(await ask('GET', `/${ID}`)).toEqual({ status, body });
  });

  test('of an id of 128 characters works', async () => {
    expect((await put('x'.repeat(128))).status).toBe(200);
    expect(code(await put('x'.repeat(129)))).toBe('400 InvalidArgument');
  });

  test('writes nothing when nothing differs, with the secret or without it', async () => {
    await put(ID);
    const before = row();
    nowMs += 1;
    expect((await put(ID)).status).toBe(200);
    expect((await ask('PUT', `/${ID}`, withoutSecret)).status).toBe(200);
    expect(row()).toEqual(before);
  });

  test.each([
    ['another secret', { secretAccessKey: 'another-secret-2' }],
    ['other grants', { grants: [{ bucket: 'reports', permissions: ['read'] }] }],
    ['an expiry', { expiresAt: '2026-06-01T00:00:00.000Z' }],
  ])('replaces what differs: %s', async (_, changes) => {
    const { body: before } = await put(ID);
    nowMs += 1;
    const { body } = await put(ID, changes);
    expect(body?.['createdAt']).toBe(before?.['createdAt']);
    const { secretAccessKey, ...told } = { ...declared, ...changes };
    expect(body).toMatchObject(told);
    expect(stored().revision).toBe(1);
    expect(openStoredSecret(installationKey, stored())).toBe(secretAccessKey);
  });

  test('keeps the sealed secret when the secret is the same, and seals another one under another salt', async () => {
    await put(ID);
    const { secretSalt, sealedSecret } = stored();
    await put(ID, { expiresAt: '2026-06-01T00:00:00.000Z' });
    expect(stored()).toMatchObject({ secretSalt, sealedSecret });
    await put(ID, { secretAccessKey: 'another-secret-2' });
    expect(stored().secretSalt).not.toBe(secretSalt);
  });

  test('is refused for the id of another owner and for that of the root', async () => {
    await put(ID);
    const before = row();
    expect(code(await put(ID, { owner: 'team-b/reports' }))).toBe('409 AccessKeyTaken');
    expect(code(await put('ROOTACCESSKEY0001'))).toBe('409 AccessKeyTaken');
    expect(row()).toEqual(before);
  });

  test.each([
    ['no secret for a new access key', withoutSecret],
    ['a secret with a blank', { ...declared, secretAccessKey: `${SECRET} x` }],
    ['a short secret', { ...declared, secretAccessKey: 'short' }],
    ['no grants', { ...declared, grants: [] }],
    ['an unknown permission', { ...declared, grants: [{ bucket: 'reports', permissions: ['own'] }] }],
    ...['Reports', 'reports*', '-reports', 'a/b', '192.168.0.1'].map((bucket): [string, object] => [
      `the bucket ${bucket}`,
      { ...declared, grants: [...grants, { bucket, permissions: ['read'] }] },
    ]),
    ['an unknown field', { ...declared, quota: 1 }],
    ['an owner that is none', { ...declared, owner: 'somebody' }],
    ['an expiry that is no time', { ...declared, expiresAt: 'tomorrow' }],
    ['nothing', {}],
  ])('with %s is 400, tells no secret and makes nothing', async (_, payload) => {
    expect(code(await ask('PUT', `/${ID}`, payload))).toBe('400 InvalidArgument');
    expect(row()).toEqual([]);
  });

  test('of one new id by two owners at once makes it for one of them', async () => {
    const answers = await Promise.all([put(ID), put(ID, { owner: 'team-b/reports' })]);
    expect(answers.map(code).toSorted()).toEqual(['200 undefined', '409 Conflict']);
  });
});

describe('GET and DELETE', () => {
  test('are refused to another owner, and tell when there is none', async () => {
    await put(ID);
    for (const method of ['GET', 'DELETE'] as const) {
      expect(code(await ask(method, `/${ID}?owner=team-b/reports`))).toBe('409 AccessKeyTaken');
      expect(code(await ask(method, '/SGTEAMAREPORTS02?owner=team-b/reports'))).toBe('404 NoSuchAccessKey');
      expect(code(await ask(method, '/SGTEAMAREPORTS02'))).toBe('404 NoSuchAccessKey');
      expect(code(await ask(method, `/${ID}?owner=nobody`))).toBe('400 InvalidArgument');
    }
    expect(row()).toHaveLength(1);
    expect(await ask('DELETE', `/${ID}?owner=team-a/reports`)).toEqual({ status: 204, body: null });
    expect(code(await ask('DELETE', `/${ID}?owner=team-a/reports`))).toBe('404 NoSuchAccessKey');
  });

  test('a row that was edited is 500 with its reason in the log; it goes when no owner is named', async () => {
    await put(ID);
    engine.edit('UPDATE access_key SET control_mac = zeroblob(32)');
    expect(code(await ask('GET', `/${ID}`))).toBe('500 InternalError');
    expect(code(await put(ID))).toBe('500 InternalError');
    expect(code(await ask('DELETE', `/${ID}?owner=team-a/reports`))).toBe('500 InternalError');
    expect((await ask('GET', '')).body).toEqual({ accessKeys: [], next: null });
    const lines = String(log.read());
    expect(lines).toContain('a access_key row is not authentic');
    expect(lines).not.toContain(SECRET);
    expect((await ask('DELETE', `/${ID}`)).status).toBe(204);
    expect((await put(ID)).status).toBe(200);
  });

  test('lists go in pages, of one owner or of all', async () => {
    for (const n of [3, 1, 2]) await put(`SGTEAMAREPORTS0${n}`);
    await put('SGTEAMBREPORTS01', { owner: 'team-b/reports' });
    const seen: string[] = [];
    for (let next: string | null = ''; next !== null; ) {
      const { body } = await ask('GET', `?owner=team-a/reports&limit=2&after=${next}`);
      const page = accessKeyPage.parse(body);
      seen.push(...page.accessKeys.map(({ accessKeyId }) => accessKeyId));
      next = page.next;
    }
    expect(seen).toEqual(['SGTEAMAREPORTS01', 'SGTEAMAREPORTS02', 'SGTEAMAREPORTS03']);
    expect(accessKeyPage.parse((await ask('GET', '')).body).accessKeys).toHaveLength(4);
    expect(code(await ask('GET', '?limit=0'))).toBe('400 InvalidArgument');
  });
});

test('the log tells who declared and revoked what, and no secret', async () => {
  await put(ID);
  await put(ID, { secretAccessKey: 'another-secret-2' });
  await ask('DELETE', `/${ID}`);
  const lines = String(log.read());
  expect(lines).toContain('"msg":"an access key was declared"');
  expect(lines).toContain('"msg":"an access key was revoked"');
  for (const secret of [SECRET, 'another-secret-2']) expect(lines).not.toContain(secret);
});
