import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askAdmin } from '../harness/admin.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { type RawAnswer, type RawRequest, send, sign } from '../harness/signedRequest.ts';
import { openStore, type Store } from '../harness/store.ts';

const SSE = 'x-amz-server-side-encryption';
const SCAL_SSE = 'x-amz-scal-server-side-encryption';
const MESSAGE = 'The encryption method specified is not supported';
const QUERY = [['encryption', null]] as const;

let policy: Record<string, 'Refused'> | undefined;
let deployment: Deployment;
let store: Store;
beforeAll(async () => {
  deployment = await startDeployment({
    configPatch: (config) => {
      if (policy !== undefined) config['policy'] = policy;
      const [kms] = config['kmsConnections'] as [object];
      config['kmsConnections'] = [kms, { ...kms, name: 'team-a/other' }];
    },
  });
  store = openStore(deployment.server.dataFolder);
  await make('plain', false);
  await make('encrypted', true);
});
afterAll(() => deployment?.close());

const request = (sent: RawRequest): Promise<RawAnswer> => send(deployment.server, sent);
async function make(bucket: string, encrypted: boolean): Promise<void> {
  const headers = encrypted ? ([[SSE, 'AES256']] as const) : [];
  expect((await request({ method: 'PUT', path: `/${bucket}`, headers })).status).toBe(200);
  expect(await put(bucket, 'object')).toBe(encrypted ? 'AES256' : undefined);
}
async function put(bucket: string, key: string): Promise<string | undefined> {
  const answer = await request({
    method: 'PUT',
    path: `/${bucket}/${key}`,
    body: Buffer.from(`bytes of ${key}`),
  });
  expect(answer.status).toBe(200);
  expect(store.object(bucket, key)?.encrypted).toBe(answer.headers[SSE] === 'AES256');
  return answer.headers[SSE];
}
const putRule = (bucket: string, document: string): Promise<RawAnswer> =>
  request({ method: 'PUT', path: `/${bucket}`, query: QUERY, body: Buffer.from(document) });
const getRule = (bucket: string): Promise<RawAnswer> =>
  request({ method: 'GET', path: `/${bucket}`, query: QUERY });
const deleteRule = (bucket: string): Promise<RawAnswer> =>
  request({ method: 'DELETE', path: `/${bucket}`, query: QUERY });

const document = (...rules: string[]): string =>
  `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${rules
    .map((rule) => `<Rule>${rule}</Rule>`)
    .join('')}</ServerSideEncryptionConfiguration>`;
const byDefault = (algorithm: string, more = ''): string =>
  `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>${algorithm}</SSEAlgorithm>${more}` +
  '</ApplyServerSideEncryptionByDefault>';
const element = (answer: RawAnswer, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(answer.body.toString('utf8'))?.[1];

describe('PutBucketEncryption', () => {
  it.each([
    ['aws:kms', byDefault('aws:kms'), 'SSEAlgorithm', 'aws:kms'],
    ['aws:kms:dsse', byDefault('aws:kms:dsse'), 'SSEAlgorithm', 'aws:kms:dsse'],
    ['an unknown algorithm', byDefault('DES'), 'SSEAlgorithm', 'DES'],
    [
      'a KMS key',
      byDefault('AES256', '<KMSMasterKeyID>some-key</KMSMasterKeyID>'),
      'KMSMasterKeyID',
      'some-key',
    ],
    [
      'a bucket key',
      `${byDefault('AES256')}<BucketKeyEnabled>true</BucketKeyEnabled>`,
      'BucketKeyEnabled',
      'true',
    ],
  ])('with %s is refused as InvalidArgument, and nothing changes', async (_, rule, name, value) => {
    for (const bucket of ['plain', 'encrypted']) {
      const before = store.snapshot();
      const answer = await putRule(bucket, document(rule));
      expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
      expect(['Message', 'ArgumentName', 'ArgumentValue'].map((it) => element(answer, it))).toEqual([
        MESSAGE,
        name,
        value,
      ]);
      expect(store.snapshot()).toEqual(before);
    }
  });

  it.each([
    ['no XML', 'AES256'],
    ['cut XML', document(byDefault('AES256')).slice(0, -5)],
    ['no rule', document()],
    ['two rules', document(byDefault('AES256'), byDefault('AES256'))],
    ['no algorithm', document('<ApplyServerSideEncryptionByDefault/>')],
    ['an unknown element', document(`${byDefault('AES256')}<Strength>9</Strength>`)],
  ])('with %s is MalformedXML, and nothing changes', async (_, body) => {
    for (const bucket of ['plain', 'encrypted']) {
      const before = store.snapshot();
      const answer = await putRule(bucket, body);
      expect([answer.status, answer.code]).toEqual([400, 'MalformedXML']);
      expect(store.snapshot()).toEqual(before);
    }
  });

  it('with AES256 turns encryption on for what is written from then on; deleting it turns it off, and both stay readable', async () => {
    await make('turned', false);
    expect((await getRule('turned')).code).toBe('ServerSideEncryptionConfigurationNotFoundError');
    expect((await getRule('turned')).status).toBe(404);
    const rule = `${byDefault('AES256')}<BucketKeyEnabled>false</BucketKeyEnabled>`;
    expect((await putRule('turned', document(rule))).status).toBe(200);
    expect(element(await getRule('turned'), 'SSEAlgorithm')).toBe('AES256');
    const head: RawRequest = { method: 'HEAD', path: '/turned' };
    expect((await request(head)).headers[SCAL_SSE]).toBe('AES256');
    expect(await put('turned', 'while-on')).toBe('AES256');

    expect((await deleteRule('turned')).status).toBe(204);
    expect((await getRule('turned')).status).toBe(404);
    expect((await request(head)).headers[SCAL_SSE]).toBeUndefined();
    expect(await put('turned', 'after')).toBeUndefined();
    for (const [key, told] of [
      ['object', undefined],
      ['while-on', 'AES256'],
      ['after', undefined],
    ] as const) {
      const read = await request({ method: 'GET', path: `/turned/${key}` });
      expect([read.body.toString('utf8'), read.headers[SSE]]).toEqual([`bytes of ${key}`, told]);
      expect(store.object('turned', key)?.encrypted).toBe(told === 'AES256');
    }
    expect((await putRule('turned', document(byDefault('AES256')))).status).toBe(200);
    expect(await put('turned', 'on-again')).toBe('AES256');
  });

  it('deletes the rule of a plain bucket too', async () => {
    expect((await deleteRule('plain')).status).toBe(204);
    expect((await getRule('plain')).status).toBe(404);
  });
});

/** PutBucketEncryption up to its body, which the server asks for; `finish` sends it and resolves to the status. */
async function heldRule(bucket: string): Promise<{ finish(): Promise<number> }> {
  const body = Buffer.from(document(byDefault('AES256')));
  const headers = [['expect', '100-continue']] as const;
  const { head } = sign(deployment.server, {
    method: 'PUT',
    path: `/${bucket}`,
    query: QUERY,
    headers,
    body,
  });
  const { hostname, port } = new URL(deployment.server.endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(head);
  const [told] = (await once(socket, 'data')) as [Buffer];
  expect(told.toString('latin1')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  return {
    finish: async () => {
      socket.write(body);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return Number(answer.toString('latin1').split(' ')[1]);
    },
  };
}

describe('PutBucketEncryption whose body is late', () => {
  const creations = (): number => deployment.kms.requestCount('Create');

  it.each([
    [
      'another request',
      'kms',
      async (bucket: string) => await putRule(bucket, document(byDefault('AES256'))),
    ],
    [
      'a declaration over another connection',
      'team-a/other',
      async (bucket: string) =>
        await askAdmin(deployment.server, 'PUT', `buckets/${bucket}`, {
          owner: 'team-a/late',
          encryption: { algorithm: 'AES256' },
          kmsConnection: 'team-a/other',
          adopt: true,
        }),
    ],
  ])('keeps the key that %s made meanwhile', async (what, kmsConnection, meanwhile) => {
    const bucket = `late-${what.split(' ')[1]}`;
    expect((await request({ method: 'PUT', path: `/${bucket}` })).status).toBe(200);
    const before = creations();
    const held = await heldRule(bucket);
    expect((await meanwhile(bucket)).status).toBe(200);
    expect(await held.finish()).toBe(200);
    expect((await askAdmin(deployment.server, 'GET', `buckets/${bucket}`)).body).toMatchObject({
      encryption: 'AES256',
      keyVersion: 1,
      keyVersions: [{ n: 1, state: 'Current', kmsConnection }],
    });
    expect(creations() - before).toBe(1);
    expect(await put(bucket, 'object')).toBe('AES256');
  });
});

describe('replication', () => {
  it.each(['PUT', 'GET', 'DELETE'])('is not built: %s answers 501 and changes nothing', async (method) => {
    const before = store.snapshot();
    const body = Buffer.from('<ReplicationConfiguration/>');
    const query = [['replication', null]] as const;
    const sent = { method, path: '/encrypted', query, ...(method === 'PUT' ? { body } : {}) };
    const answer = await request(sent);
    expect([answer.status, answer.code]).toEqual([501, 'NotImplemented']);
    expect(store.snapshot()).toEqual(before);
  });
});

describe('where the policy refuses plain buckets and copies into them', () => {
  const copy = (from: string, to: string): RawRequest => ({
    method: 'PUT',
    path: `/${to}/copy-of-${from}`,
    headers: [['x-amz-copy-source', `/${from}/object`]],
  });

  it('until then both are allowed, and a plain copy says that it is plain', async () => {
    const copied = await request(copy('encrypted', 'plain'));
    expect([copied.status, copied.headers[SSE]]).toEqual([200, undefined]);
    expect(store.object('plain', 'copy-of-encrypted')?.encrypted).toBe(false);
    await request({ method: 'DELETE', path: '/plain/copy-of-encrypted' });
  });

  it('neither is possible any more, and each refusal says why and changes nothing', async () => {
    policy = { plainBuckets: 'Refused', copyToPlain: 'Refused' };
    await deployment.server.stop();
    await deployment.restart();
    const started = await request({ method: 'POST', path: '/plain/part', query: [['uploads', null]] });
    const uploadId = element(started, 'UploadId') ?? '';
    const partCopy: RawRequest = {
      ...copy('encrypted', 'plain'),
      path: '/plain/part',
      query: [
        ['partNumber', '1'],
        ['uploadId', uploadId],
      ],
    };
    const before = store.snapshot();
    for (const [sent, said] of [
      [{ method: 'PUT', path: '/another' }, 'Plain buckets are refused here'],
      [{ method: 'DELETE', path: '/encrypted', query: QUERY }, 'Plain buckets are refused here'],
      [copy('encrypted', 'plain'), 'Copies from encrypted into plain buckets are refused here'],
      [partCopy, 'Copies from encrypted into plain buckets are refused here'],
    ] as const) {
      const answer = await request(sent);
      expect([answer.status, answer.code]).toEqual([400, 'InvalidRequest']);
      expect(element(answer, 'Message')).toContain(said);
    }
    expect(store.snapshot()).toEqual(before);
  });

  it('encrypted buckets are made, and all other copies are', async () => {
    await make('yet-another', true);
    for (const [from, to] of [
      ['plain', 'plain'],
      ['plain', 'encrypted'],
      ['encrypted', 'encrypted'],
    ] as const) {
      const answer = await request(copy(from, to));
      expect([answer.status, answer.headers[SSE]]).toEqual([200, to === 'encrypted' ? 'AES256' : undefined]);
    }
  });
});
