import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { refusal } from '../harness/refusal.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
});
afterAll(() => deployment?.close());

type Pairs = readonly (readonly [name: string, value: string])[];

interface Form {
  readonly fields: Pairs;
  /** undefined: 'hello'; null: no file at all. */
  readonly file?: Buffer | null;
  readonly filename?: string;
  /** Fields behind the file. */
  readonly after?: Pairs;
  /** Further conditions of the policy. */
  readonly conditions?: readonly unknown[];
  /** Fields that the policy does not name. */
  readonly unsigned?: Pairs;
  readonly expiresMs?: number;
}

const BOUNDARY = 'boundary-0123456789';

function part(name: string, value: Buffer | string, filename?: string): Buffer {
  const file = filename === undefined ? '' : `; filename="${filename}"`;
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')]);
}

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** The whole body of a signed form. */
function encode(bucket: string, form: Form): Buffer {
  const { region, accessKeyId, secretAccessKey } = deployment.server;
  const { fields, file = Buffer.from('hello'), filename = 'name.txt', after = [] } = form;
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`;
  const signed: Pairs = [
    ...fields,
    ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
    ['x-amz-credential', `${accessKeyId}/${scope}`],
    ['x-amz-date', date],
  ];
  const conditions = [
    { bucket },
    ...signed.map(([name, value]) =>
      value.includes('${filename}') ? ['starts-with', `$${name}`, ''] : ['eq', `$${name}`, value],
    ),
    ...(form.conditions ?? []),
  ];
  const expiration = new Date(Date.now() + (form.expiresMs ?? 600_000)).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const steps = [date.slice(0, 8), region, 's3', 'aws4_request'];
  const key = steps.reduce<Buffer | string>((secret, step) => hmac(secret, step), `AWS4${secretAccessKey}`);
  const proof: Pairs = [
    ['policy', policy],
    ['x-amz-signature', hmac(key, policy).toString('hex')],
  ];
  return Buffer.concat([
    ...[...signed, ...proof, ...(form.unsigned ?? [])].map(([name, value]) => part(name, value)),
    ...(file === null ? [] : [part('file', file, filename)]),
    ...after.map(([name, value]) => part(name, value)),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);
}

function send(
  bucket: string,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
  query = '',
): Promise<Response> {
  return fetch(`${deployment.server.endpoint}/${bucket}${query}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
    body: new Uint8Array(body),
  });
}

const post = (
  bucket: string,
  form: Form,
  headers: Readonly<Record<string, string>> = {},
  query = '',
): Promise<Response> => send(bucket, encode(bucket, form), headers, query);

async function errorOf(sent: Promise<Response>): Promise<{ code: string; status: number; text: string }> {
  const answer = await sent;
  const text = await answer.text();
  return { code: /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? '', status: answer.status, text };
}

async function bytesOf(Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await deployment.client.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

const head = (Bucket: string, Key: string) =>
  deployment.client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));

async function expectNothingStored(bucket: string, key: string, before: readonly string[]): Promise<void> {
  expect((await refusal(head(bucket, key))).status).toBe(404);
  expect(await deployment.blobs()).toEqual(before);
}

function marked(sizeBytes: number): { bytes: Buffer; marker: string } {
  const marker = `marker-${randomBytes(12).toString('hex')}`;
  return { bytes: Buffer.alloc(sizeBytes, `${marker} ${randomBytes(8).toString('hex')} `), marker };
}

describe.each(BUCKETS)('a form sent to the %s bucket', (bucket) => {
  const told = bucket === 'encrypted' ? 'AES256' : null;

  it.each([0, 1, 65_536, 65_537, 131_072, 5_000_000])(
    'with a file of %i bytes becomes that object',
    async (size) => {
      const { bytes, marker } = marked(size);
      const key = `file-${size}`;
      const answer = await post(bucket, {
        fields: [
          ['key', key],
          ['Content-Type', 'text/x-test'],
          ['x-amz-meta-note', 'ä note'],
        ],
        file: bytes,
      });
      expect(answer.status).toBe(204);
      expect(answer.headers.get('x-amz-server-side-encryption')).toBe(told);
      expect(answer.headers.get('etag')).toBe(`"${createHash('md5').update(bytes).digest('hex')}"`);
      expect(answer.headers.get('location')).toBe(`${deployment.server.endpoint}/${bucket}/${key}`);
      expect((await bytesOf(bucket, key)).equals(bytes)).toBe(true);
      const described = await head(bucket, key);
      expect(described.ContentType).toBe('text/x-test');
      expect(Buffer.from(described.Metadata?.['note'] ?? '', 'latin1').toString()).toBe('ä note');
      expect(described.ServerSideEncryption ?? null).toBe(told);
      if (size > 100) expect((await deployment.filesWith(marker)).length > 0).toBe(bucket === 'plain');
    },
  );

  it('names the object after the file where the key says so, without its folders', async () => {
    const fields: Pairs = [['key', 'user/${filename}']];
    for (const filename of ['C:\\docs\\a b.txt', '/tmp/a b.txt', 'a b.txt']) {
      expect((await post(bucket, { fields, filename, file: Buffer.from(filename) })).status).toBe(204);
      expect((await bytesOf(bucket, 'user/a b.txt')).toString()).toBe(filename);
    }
  });

  it('may have other fields behind its file: they are passed over, as at AWS', async () => {
    const after: Pairs = [
      ['submit', 'Send'],
      ['x-amz-meta-late', 'x'],
    ];
    expect((await post(bucket, { fields: [['key', 'behind']], after })).status).toBe(204);
    expect((await head(bucket, 'behind')).Metadata).toEqual({});
  });

  it('answers as success_action_status and success_action_redirect say', async () => {
    const status = async (value: string) =>
      await post(bucket, {
        fields: [
          ['key', 'a&b'],
          ['success_action_status', value],
        ],
      });
    expect((await status('200')).status).toBe(200);
    expect((await status('204')).status).toBe(204);
    expect((await status('418')).status).toBe(204);
    const created = await status('201');
    expect(created.status).toBe(201);
    const document = await created.text();
    expect(document).toContain('<Key>a&amp;b</Key>');
    expect(document).toContain(`<Location>${deployment.server.endpoint}/${bucket}/a%26b</Location>`);
    expect(document).toContain('<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>');
    for (const name of ['success_action_redirect', 'redirect']) {
      const answer = await post(bucket, {
        fields: [
          ['key', 'a&b'],
          [name, 'https://example.com/done?x=1'],
        ],
      });
      expect(answer.status).toBe(303);
      expect(answer.headers.get('location')).toBe(
        `https://example.com/done?x=1&bucket=${bucket}&key=a%26b&etag=%225d41402abc4b2a76b9719d911017c592%22`,
      );
    }
    const odd = await post(bucket, {
      fields: [
        ['key', 'a&b'],
        ['redirect', 'javascript:alert(1)'],
      ],
    });
    expect(odd.status).toBe(204);
  });

  it('keeps and checks digests', async () => {
    const hello = Buffer.from('hello');
    const sha256 = createHash('sha256').update(hello).digest('base64');
    const md5 = createHash('md5').update(hello).digest('base64');
    const right = await post(bucket, {
      fields: [
        ['key', 'digests'],
        ['x-amz-checksum-sha256', sha256],
        ['Content-MD5', md5],
      ],
    });
    expect(right.headers.get('x-amz-checksum-sha256')).toBe(sha256);
    expect(await head(bucket, 'digests')).toMatchObject({ ChecksumSHA256: sha256 });
    const blobs = await deployment.blobs();
    const wrong = { file: marked(3_000_000).bytes };
    const other: Pairs = [['key', 'wrong']];
    expect(
      await errorOf(post(bucket, { ...wrong, fields: [...other, ['x-amz-checksum-sha256', sha256]] })),
    ).toMatchObject({ code: 'BadDigest', status: 400 });
    expect(await errorOf(post(bucket, { ...wrong, fields: [...other, ['Content-MD5', md5]] }))).toMatchObject(
      {
        code: 'BadDigest',
      },
    );
    expect(
      await errorOf(post(bucket, { ...wrong, fields: [...other, ['x-amz-checksum-sha256', 'xyz']] })),
    ).toMatchObject({ code: 'InvalidRequest' });
    await expectNothingStored(bucket, 'wrong', blobs);
  });

  it('is held to the sizes of its policy', async () => {
    const blobs = await deployment.blobs();
    const sized = (size: number) =>
      errorOf(
        post(bucket, {
          fields: [['key', 'sized']],
          conditions: [['content-length-range', 200_000, 300_000]],
          file: marked(size).bytes,
        }),
      );
    expect(await sized(199_999)).toMatchObject({ code: 'EntityTooSmall', status: 400 });
    expect(await sized(300_001)).toMatchObject({ code: 'EntityTooLarge', status: 400 });
    expect(await sized(4_000_000)).toMatchObject({ code: 'EntityTooLarge', status: 400 });
    await expectNothingStored(bucket, 'sized', blobs);
    expect((await sized(200_000)).status).toBe(204);
    expect((await sized(300_000)).status).toBe(204);
  });

  it.each([
    ['x-amz-server-side-encryption', 'aws:kms'],
    ['x-amz-server-side-encryption', ''],
    ['X-Amz-Scal-Server-Side-Encryption', 'aes256'],
    ['x-amz-server-side-encryption-aws-kms-key-id', 'k'],
    ['x-amz-server-side-encryption-customer-key', 'c2VjcmV0LWtleS1tYXRlcmlhbA=='],
    ...(bucket === 'plain' ? [['x-amz-server-side-encryption', 'AES256']] : []),
  ])('is refused with %s: %s wherever it is carried, and leaves nothing', async (name = '', value = '') => {
    const blobs = await deployment.blobs();
    const fields: Pairs = [['key', 'refused']];
    const file = marked(3_000_000).bytes;
    const refused = { code: 'InvalidArgument', status: 400 };
    const asked = [
      await errorOf(post(bucket, { fields: [...fields, [name, value]], file })),
      await errorOf(post(bucket, { fields, file, after: [[name, value]] })),
      await errorOf(post(bucket, { fields, file }, { [name]: value })),
      await errorOf(
        post(bucket, { fields, file }, {}, `?${name.toLowerCase()}=${encodeURIComponent(value)}`),
      ),
    ];
    for (const error of asked) {
      expect(error).toMatchObject(refused);
      expect(error.text).toContain(`<ArgumentName>${name.toLowerCase()}</ArgumentName>`);
      expect(error.text).not.toContain('c2VjcmV0');
    }
    await expectNothingStored(bucket, 'refused', blobs);
  });

  it('is refused when an encryption field comes twice, before and behind the file', async () => {
    const blobs = await deployment.blobs();
    const sse = ['x-amz-server-side-encryption', 'AES256'] as const;
    const form = { fields: [['key', 'twice'], sse], after: [sse], file: marked(100_000).bytes } as const;
    expect(await errorOf(post(bucket, form))).toMatchObject({ code: 'InvalidArgument' });
    await expectNothingStored(bucket, 'twice', blobs);
    const once = { ...form, after: [] };
    expect((await post(bucket, once)).status).toBe(bucket === 'encrypted' ? 204 : 400);
  });

  it('is refused with what is not built, and what is harmless is taken', async () => {
    const code = async (...field: [string, string]) =>
      (await errorOf(post(bucket, { fields: [['key', 'unbuilt'], field] }))).code;
    expect(await code('tagging', '<Tagging/>')).toBe('NotImplemented');
    expect(await code('acl', 'public-read')).toBe('AccessControlListNotSupported');
    expect(await code('x-amz-storage-class', 'GLACIER')).toBe('InvalidStorageClass');
    expect(await code('x-amz-website-redirect-location', '/x')).toBe('NotImplemented');
    expect((await refusal(head(bucket, 'unbuilt'))).status).toBe(404);
    expect(await code('acl', 'private')).toBe('');
    expect((await bytesOf(bucket, 'unbuilt')).toString()).toBe('hello');
  });

  it('is removed when its client goes away', async () => {
    const blobs = await deployment.blobs();
    const body = encode(bucket, { fields: [['key', 'gone']], file: marked(6_000_000).bytes });
    const { hostname, port } = new URL(deployment.server.endpoint);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /${bucket} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: ${body.length}\r\n` +
        `Content-Type: multipart/form-data; boundary=${BOUNDARY}\r\n\r\n`,
    );
    await new Promise<void>((resolve) => socket.write(body.subarray(0, 5_000_000), () => resolve()));
    socket.destroy();
    await deployment.server.logLine(
      (line) =>
        line['operation'] === 'PostObject' &&
        line['bucket'] === bucket &&
        (line['code'] === 'ClientGone' || line['code'] === 'IncompleteBody'),
    );
    await expectNothingStored(bucket, 'gone', blobs);
  });
});

describe('a form that is not right', () => {
  const fields: Pairs = [['key', 'wrong']];

  it('has to be signed by a policy that names all of its fields', async () => {
    const anonymous = Buffer.concat([
      part('key', 'k'),
      part('file', 'x', 'f'),
      Buffer.from(`--${BOUNDARY}--\r\n`),
    ]);
    expect(await errorOf(send('plain', anonymous))).toMatchObject({ code: 'AccessDenied', status: 403 });
    expect(await errorOf(post('plain', { fields, unsigned: [['x-amz-meta-more', 'x']] }))).toMatchObject({
      code: 'AccessDenied',
    });
    expect(await errorOf(post('plain', { fields, expiresMs: -1000 }))).toMatchObject({
      code: 'AccessDenied',
    });
    const forged = encode('plain', { fields })
      .toString('latin1')
      .replace(/"x-amz-signature"\r\n\r\n./, '$&0');
    expect(await errorOf(send('plain', Buffer.from(forged, 'latin1')))).toMatchObject({
      code: 'SignatureDoesNotMatch',
      status: 403,
    });
    const elsewhere = encode('encrypted', { fields });
    expect(await errorOf(send('plain', elsewhere))).toMatchObject({ code: 'AccessDenied' });
    expect(await errorOf(post('no-such-bucket', { fields }))).toMatchObject({
      code: 'NoSuchBucket',
      status: 404,
    });
  });

  it('has to be multipart/form-data with a length, a key and a file', async () => {
    const body = encode('plain', { fields });
    const typed = (type: string) => errorOf(send('plain', body, { 'content-type': type }));
    expect(await typed('multipart/form-data')).toMatchObject({ code: 'MalformedPOSTRequest', status: 400 });
    expect(await typed('multipart/form-data; boundary=another')).toMatchObject({
      code: 'MalformedPOSTRequest',
    });
    expect(await typed('application/x-www-form-urlencoded')).toMatchObject({ code: 'PreconditionFailed' });
    expect(await errorOf(send('plain', body.subarray(0, -4)))).toMatchObject({
      code: 'MalformedPOSTRequest',
    });
    expect(await errorOf(post('plain', { fields, file: null }))).toMatchObject({ code: 'InvalidArgument' });
    expect(await errorOf(post('plain', { fields: [] }))).toMatchObject({ code: 'InvalidArgument' });
    expect(await errorOf(post('plain', { fields: [['key', '']] }))).toMatchObject({
      code: 'InvalidArgument',
    });
    expect(await errorOf(post('plain', { fields: [['key', 'x'.repeat(1025)]] }))).toMatchObject({
      code: 'KeyTooLongError',
    });
    expect(await errorOf(post('plain', { fields: [...fields, ...fields] }))).toMatchObject({
      code: 'InvalidArgument',
    });
    const chunked = fetch(`${deployment.server.endpoint}/plain`, {
      method: 'POST',
      headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
      body: new Blob([new Uint8Array(body)]).stream(),
      duplex: 'half',
    });
    expect(await errorOf(chunked)).toMatchObject({ code: 'MissingContentLength', status: 411 });
    expect((await refusal(head('plain', 'wrong'))).status).toBe(404);
  });

  it('may not bring more than 20 KiB of fields, before or behind its file', async () => {
    const blobs = await deployment.blobs();
    const large: Pairs = [['x-ignore-this', 'x'.repeat(20 * 1024)]];
    const tooMuch = { code: 'MaxPostPreDataLengthExceeded', status: 400 };
    expect(await errorOf(post('plain', { fields: [...fields, ...large] }))).toMatchObject(tooMuch);
    const file = marked(200_000).bytes;
    expect(await errorOf(post('plain', { fields, file, after: large }))).toMatchObject(tooMuch);
    const huge: Pairs = [['x-ignore-this', 'x'.repeat(3_000_000)]];
    expect(await errorOf(post('plain', { fields, file, after: huge }))).toMatchObject(tooMuch);
    await expectNothingStored('plain', 'wrong', blobs);
  });

  it('cannot store what could not be sent back as a header', async () => {
    const meta = (name: string, value: string) =>
      errorOf(post('plain', { fields: [...fields, [name, value]] }));
    expect(await meta('x-amz-meta-a', 'two\r\nlines')).toMatchObject({ code: 'InvalidArgument' });
    expect(await meta('x-amz-meta-a b', 'x')).toMatchObject({ code: 'InvalidArgument' });
    expect(await meta('x-amz-meta-big', 'x'.repeat(2049))).toMatchObject({ code: 'MetadataTooLarge' });
    expect((await refusal(head('plain', 'wrong'))).status).toBe(404);
  });
});
