import { describe, expect, it } from 'vitest';
import { S3Error } from '../s3/errors.ts';
import { parseBucketEncryption } from './bucketEncryption.ts';
import { REFUSAL_MESSAGE } from './rules.ts';

const AES256 = '<SSEAlgorithm>AES256</SSEAlgorithm>';

function byDefault(content: string): string {
  return `<ApplyServerSideEncryptionByDefault>${content}</ApplyServerSideEncryptionByDefault>`;
}

function document(...rules: readonly string[]): Buffer {
  const inner = rules.map((rule) => `<Rule>${rule}</Rule>`).join('\n');
  const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  return Buffer.from(
    `<ServerSideEncryptionConfiguration ${namespace}>${inner}</ServerSideEncryptionConfiguration>`,
  );
}

function errorOf(body: Buffer): S3Error {
  try {
    parseBucketEncryption(body);
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error(`accepted: ${body.toString()}`);
}

describe('parseBucketEncryption', () => {
  it.each([
    ['one rule', document(byDefault(AES256))],
    ['with the bucket key off', document(`${byDefault(AES256)}<BucketKeyEnabled>false</BucketKeyEnabled>`)],
    ['with white space between elements', document(`\n  ${byDefault(`\n ${AES256}\n `)}\n`)],
  ])('accepts AES256: %s', (_, body) => {
    expect(parseBucketEncryption(body)).toBe('AES256');
  });

  const kmsKey = '<KMSMasterKeyID>arn:aws:kms:x</KMSMasterKeyID>';
  it.each<[string, string, string, string]>([
    ['aws:kms', byDefault('<SSEAlgorithm>aws:kms</SSEAlgorithm>'), 'SSEAlgorithm', 'aws:kms'],
    [
      'aws:kms with a key',
      byDefault(`<SSEAlgorithm>aws:kms</SSEAlgorithm>${kmsKey}`),
      'SSEAlgorithm',
      'aws:kms',
    ],
    ['aws:kms:dsse', byDefault('<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>'), 'SSEAlgorithm', 'aws:kms:dsse'],
    ['aes256', byDefault('<SSEAlgorithm>aes256</SSEAlgorithm>'), 'SSEAlgorithm', 'aes256'],
    ['AES256 in white space', byDefault('<SSEAlgorithm> AES256</SSEAlgorithm>'), 'SSEAlgorithm', ' AES256'],
    ['AES-256', byDefault('<SSEAlgorithm>AES-256</SSEAlgorithm>'), 'SSEAlgorithm', 'AES-256'],
    ['a list', byDefault('<SSEAlgorithm>AES256,AES256</SSEAlgorithm>'), 'SSEAlgorithm', 'AES256,AES256'],
    ['an empty algorithm', byDefault('<SSEAlgorithm/>'), 'SSEAlgorithm', ''],
    ['a KMS key beside AES256', byDefault(AES256 + kmsKey), 'KMSMasterKeyID', 'arn:aws:kms:x'],
    ['an empty KMS key beside AES256', byDefault(`${AES256}<KMSMasterKeyID/>`), 'KMSMasterKeyID', ''],
    [
      'the bucket key on',
      `${byDefault(AES256)}<BucketKeyEnabled>true</BucketKeyEnabled>`,
      'BucketKeyEnabled',
      'true',
    ],
    [
      'the bucket key 1',
      `${byDefault(AES256)}<BucketKeyEnabled>1</BucketKeyEnabled>`,
      'BucketKeyEnabled',
      'true',
    ],
  ])('refuses %s as InvalidArgument', (_, rule, ArgumentName, ArgumentValue) => {
    const error = errorOf(document(rule));
    expect(error).toMatchObject({ code: 'InvalidArgument', status: 400, message: REFUSAL_MESSAGE });
    expect(error.details).toEqual({ ArgumentName, ArgumentValue });
  });

  const block = '<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>';
  it('answers NotImplemented to blocked encryption types', () => {
    expect(errorOf(document(byDefault(AES256) + block)).code).toBe('NotImplemented');
  });

  it.each([
    ['no rule', document()],
    ['two rules', document(byDefault(AES256), byDefault(AES256))],
    ['an empty rule', document('')],
    ['no algorithm', document(byDefault(''))],
    ['two algorithms', document(byDefault(AES256 + AES256))],
    ['an algorithm of elements', document(byDefault('<SSEAlgorithm><AES256/></SSEAlgorithm>'))],
    ['an unknown element', document(byDefault(`${AES256}<Strength>9</Strength>`))],
    ['an unknown element in the rule', document(`${byDefault(AES256)}<Foo/>`)],
    ['text in the rule', document(`${byDefault(AES256)} really`)],
    [
      'a bucket key that is neither',
      document(`${byDefault(AES256)}<BucketKeyEnabled>maybe</BucketKeyEnabled>`),
    ],
    ['another document', Buffer.from('<Delete/>')],
    ['nothing', Buffer.alloc(0)],
    ['not XML', Buffer.from('{"Rules": []}')],
  ])('answers MalformedXML to %s', (_, body) => {
    expect(errorOf(body).code).toBe('MalformedXML');
  });
});
