import { describe, expect, it } from 'vitest';
import { authenticate } from './authenticate.ts';
import {
  authorization,
  bag,
  deps,
  EMPTY_SHA256,
  failure,
  HOST,
  signCanonical,
  TIMESTAMP,
  target,
} from './signer.testkit.ts';

describe('x-amz-content-sha256', () => {
  function payloadOf(value: string): unknown {
    const canonical = `PUT\n/k\n\nhost:${HOST}\nx-amz-content-sha256:${value}\nx-amz-date:${TIMESTAMP}\n\nhost;x-amz-content-sha256;x-amz-date\n${value}`;
    const headers = bag([
      ['Host', HOST],
      ['x-amz-date', TIMESTAMP],
      ['x-amz-content-sha256', value],
      authorization('host;x-amz-content-sha256;x-amz-date', signCanonical(canonical)),
    ]);
    return authenticate(target('PUT', '/k'), headers, deps()).payload;
  }

  it('names every form of payload that we take', () => {
    expect(payloadOf('UNSIGNED-PAYLOAD')).toEqual({ kind: 'unsigned' });
    expect(payloadOf('STREAMING-UNSIGNED-PAYLOAD-TRAILER')).toEqual({
      kind: 'aws-chunked',
      signing: null,
      trailer: true,
    });
    expect(payloadOf(EMPTY_SHA256)).toEqual({ kind: 'sha256', expected: Buffer.from(EMPTY_SHA256, 'hex') });
  });

  it.each([
    ['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', 'NotImplemented'],
    ['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER', 'NotImplemented'],
    ['STREAMING-UNSIGNED-PAYLOAD', 'InvalidArgument'],
    ['unsigned-payload', 'InvalidArgument'],
    [EMPTY_SHA256.slice(1), 'InvalidArgument'],
    [`${EMPTY_SHA256},${EMPTY_SHA256}`, 'InvalidArgument'],
    ['', 'InvalidArgument'],
  ])('%j is %s', (value, code) => {
    expect(failure(() => payloadOf(value)).code).toBe(code);
  });
});
