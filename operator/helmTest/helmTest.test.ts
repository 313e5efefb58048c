import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ExecOutput } from './podExec.ts';
import { signedHeaders } from './signedRequest.ts';
import { assertCiphertext, storedObject } from './storedObject.ts';

const message = (channel: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);

describe('a command in a pod', () => {
  it('gives its standard output when it succeeded', () => {
    const output = new ExecOutput();
    for (const [channel, text] of [
      [1, 'a'],
      [2, 'warning'],
      [1, 'b'],
      [3, '{"status":"Success"}'],
    ] as const) {
      output.take(message(channel, text));
    }
    expect(output.result().toString()).toBe('ab');
  });

  it('that failed is told with its standard error', () => {
    const output = new ExecOutput();
    output.take(message(2, 'no such file'));
    output.take(message(3, '{"status":"Failure","message":"exit code 1"}'));
    expect(() => output.result()).toThrow('exit code 1\nno such file');
  });

  it('whose connection broke has not succeeded', () => {
    const output = new ExecOutput();
    output.take(message(1, 'half'));
    expect(() => output.result()).toThrow('the connection ended before the command');
  });
});

describe('the stored object', () => {
  const version = {
    current: true,
    protection: 'sealed',
    keyVersion: { n: 1, kmsConnection: 'team-a/keysecure' },
    record: 'verifies',
    body: { file: '/var/lib/sealgate/blobs/a/b', storedBytes: 7 },
  };

  it('is found by its current version', () => {
    const versions = [{ ...version, current: false, protection: 'plain' }, version];
    expect(storedObject(JSON.stringify({ versions }))).toEqual({
      ...version.body,
      kmsConnection: 'team-a/keysecure',
    });
  });

  it.each([
    [{ protection: 'plain' }, 'stored plain'],
    [{ record: 'WRONG: x' }, 'WRONG: x'],
    [{ current: false }, 'does not know the object'],
  ])('with %j is no good one', (change, why) => {
    expect(() => storedObject(JSON.stringify({ versions: [{ ...version, ...change }] }))).toThrow(why);
  });

  it('is ciphertext when it is a blob without a piece of the plaintext', () => {
    const plaintext = randomBytes(4_096);
    const sealed = Buffer.concat([Buffer.from('SGB1'), randomBytes(4_200)]);
    expect(() => assertCiphertext(sealed, plaintext)).not.toThrow();
    expect(() => assertCiphertext(randomBytes(5_000), plaintext)).toThrow('not a sealed blob');
    expect(() => assertCiphertext(sealed.subarray(0, 100), plaintext)).toThrow('shorter');
    plaintext.copy(sealed, 1_000, 2_048, 2_064);
    expect(() => assertCiphertext(sealed, plaintext)).toThrow('plaintext is in the file');
  });
});

describe('a signed request', () => {
  it('has the signature that AWS publishes for it', () => {
    // "Example: PUT Object" of the S3 API reference, "Signature calculations for the Authorization header".
    const headers = signedHeaders(
      {
        endpoint: new URL('https://examplebucket.s3.amazonaws.com'),
        region: 'us-east-1',
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
        ca: undefined,
      },
      {
        method: 'PUT',
        path: '/test%24file.text',
        body: Buffer.from('Welcome to Amazon S3.'),
        headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      },
      Date.UTC(2013, 4, 24),
    );
    expect(headers['authorization']).toContain(
      'Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
  });
});
