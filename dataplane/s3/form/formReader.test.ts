import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import { type FormField, FormReader, type FormSource } from './formReader.ts';

const BOUNDARY = 'xYz';

interface Part {
  readonly name: string;
  readonly value: Buffer;
}

function encode(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, value }) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
    value,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

interface Source extends FormSource {
  readonly req: PassThrough;
}

function source(): Source {
  return {
    req: new PassThrough(),
    bytesIn: 0,
    waitingForClient: false,
    failBody: null,
    brokenBody: null,
    acceptBody: () => undefined,
  };
}

interface Read {
  readonly before: readonly FormField[];
  readonly file: Buffer | null;
  readonly after: readonly FormField[];
}

async function readAll(from: Source, fed: () => void): Promise<Read> {
  const reader = new FormReader(from, BOUNDARY);
  fed();
  try {
    const { fields: before, file } = await reader.start();
    const pieces: Buffer[] = [];
    if (file !== null) for await (const piece of file.pieces) pieces.push(piece);
    const after = await reader.rest();
    return { before, file: file === null ? null : Buffer.concat(pieces), after };
  } finally {
    reader.close();
  }
}

function read(body: Buffer, cuts: readonly number[] = []): Promise<Read> {
  const from = source();
  return readAll(from, () => {
    let at = 0;
    for (const cut of cuts) {
      const length = cut % (body.length - at + 1);
      from.req.write(body.subarray(at, at + length));
      at += length;
    }
    from.req.end(body.subarray(at));
  });
}

async function code(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

/** Bytes that a parser of boundaries could stumble over. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc
        .constantFrom('\r\n', '--', `\r\n--${BOUNDARY.slice(0, -1)}`, `--${BOUNDARY}`, '\r\n-')
        .map((text) => Buffer.from(text)),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => Buffer.concat(pieces))
  .filter((value) => !`\r\n${value.toString('latin1')}`.includes(`\r\n--${BOUNDARY}`));
const fields = fc.array(fc.record({ name: fc.constantFrom('key', 'policy', 'x-amz-meta-a'), value: bytes }), {
  maxLength: 4,
});

describe('a form', () => {
  it('is read the same in whatever pieces it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fields,
        bytes,
        fields,
        fc.array(fc.nat(), { maxLength: 12 }),
        async (before, file, after, cuts) => {
          const whole = await read(encode([...before, { name: 'file', value: file }, ...after]), cuts);
          expect(whole.file?.equals(file)).toBe(true);
          expect(whole.before).toEqual(before);
          expect(whole.after).toEqual(after);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('may have no file', async () => {
    const key = { name: 'key', value: Buffer.from('k') };
    expect(await read(encode([key]))).toEqual({ before: [key], file: null, after: [] });
  });

  it('has one file: what else goes by that name is passed over', async () => {
    const parts = [
      { name: 'file', value: Buffer.from('first') },
      { name: 'FILE', value: Buffer.alloc(100_000) },
      { name: 'x', value: Buffer.from('y') },
    ];
    const whole = await read(encode(parts));
    expect(whole.file?.toString()).toBe('first');
    expect(whole.after.map((field) => field.name)).toEqual(['x']);
  });

  it('holds back the socket while nobody reads its file', async () => {
    const from = source();
    const reader = new FormReader(from, BOUNDARY);
    const large = Buffer.alloc(4_000_000, 'x');
    const body = encode([{ name: 'file', value: large }]);
    for (let at = 0; at < body.length; at += 50_000) from.req.write(body.subarray(at, at + 50_000));
    from.req.end();
    const { file } = await reader.start();
    await new Promise((resolve) => setImmediate(resolve));
    expect(from.bytesIn).toBeLessThan(400_000);
    expect(from.waitingForClient).toBe(false);
    let size = 0;
    for await (const piece of file?.pieces ?? []) size += piece.length;
    expect(size).toBe(large.length);
    await reader.rest();
    reader.close();
  });
});

describe('a form that is refused', () => {
  const value = Buffer.from('v');

  it.each([
    ['is empty', Buffer.alloc(0)],
    ['has another boundary', Buffer.from('--other\r\n\r\n--other--')],
    ['does not end', encode([{ name: 'key', value }]).subarray(0, -6)],
    ['ends in its file', encode([{ name: 'file', value }]).subarray(0, -12)],
    ['has a part without a head', Buffer.from(`--${BOUNDARY}\r\n\r\nvalue\r\n--${BOUNDARY}--`)],
    [
      'has a part whose head does not end',
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: x\r\n--${BOUNDARY}--`),
    ],
    ['has a part without a name', encode([{ name: '', value }])],
    [
      'has a part with two names',
      Buffer.from(
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--${BOUNDARY}--`,
      ),
    ],
  ])('%s: MalformedPOSTRequest', async (_, body) => {
    expect(await code(read(body))).toBe('MalformedPOSTRequest');
  });

  it.each([
    ['in one field', [{ name: 'key', value: Buffer.alloc(20 * 1024) }]],
    ['in many', Array.from({ length: 2000 }, () => ({ name: 'x-ignore', value: Buffer.alloc(10) }))],
    [
      'behind the file',
      [
        { name: 'file', value },
        { name: 'x', value: Buffer.alloc(1_000_000) },
      ],
    ],
    ['in the head of a part', [{ name: 'x'.repeat(300_000), value }]],
  ])('is too long %s: MaxPostPreDataLengthExceeded', async (_, parts) => {
    expect(await code(read(encode(parts)))).toBe('MaxPostPreDataLengthExceeded');
  });

  it.each(['fields', 'file'])('is cut off in its %s: IncompleteBody', async (where) => {
    const from = source();
    const parts = where === 'file' ? [{ name: 'file', value: Buffer.alloc(1000) }] : [{ name: 'key', value }];
    const reading = readAll(from, () => {
      from.req.write(encode(parts).subarray(0, -14));
      setImmediate(() => from.req.destroy());
    });
    expect(await code(reading)).toBe('IncompleteBody');
  });

  it('is told why when the server gives up waiting', async () => {
    const from = source();
    const reading = readAll(from, () => {
      from.req.write(encode([{ name: 'file', value }]).subarray(0, -14));
      setImmediate(() => from.failBody?.(new S3Error('RequestTimeout')));
    });
    expect(await code(reading)).toBe('RequestTimeout');
    expect(from.failBody).toBeNull();
  });
});
