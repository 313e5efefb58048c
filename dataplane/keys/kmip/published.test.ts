/**
 * Messages that the KMIP TC printed, byte for byte: decoded and encoded again, made by our own request builders where
 * we send the like, and read by our own readers. Source and copyright notice: vectors/oasis.json.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decodeResponse, encodeRequest, type ItemResult, type ProtocolVersion } from './messages.ts';
import * as operations from './operations.ts';
import { OPERATION, type OperationName, STATE } from './tags.ts';
import { decodeTtlv, encodeTtlv, TtlvError } from './ttlv.ts';

const { messages } = z
  .object({
    notice: z.string(),
    messages: z.array(
      z.object({
        version: z.string(),
        section: z.string(),
        step: z.string(),
        message: z.enum(['request', 'response']),
        operation: z.string().nullable(),
        hex: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('vectors/oasis.json', import.meta.url), 'utf8')));

test.each(messages)(
  '$version, section $section, $step: the $message is decoded, and encoded as printed',
  ({ hex }) => {
    const printed = Buffer.from(hex, 'hex');
    expect(encodeTtlv(decodeTtlv(printed)).toString('hex').toUpperCase()).toBe(hex);
  },
);

/** The bytes of one message of a document. */
function published(version: string, section: string, step: string, message: 'request' | 'response'): Buffer {
  const found = messages.find(
    (one) =>
      one.version === version && one.section === section && one.step === step && one.message === message,
  );
  if (found === undefined) throw new Error(`no ${message} of ${version} ${section} ${step}`);
  return Buffer.from(found.hex, 'hex');
}

const V10: ProtocolVersion = { major: 1, minor: 0 };
const V11: ProtocolVersion = { major: 1, minor: 1 };
/** The key of use case 4.1. */
const KEY = '21d28b8a-06df-43c0-b72f-2a161633ada9';

describe('our requests are the printed ones', () => {
  test.each([
    ['Get Attributes', V10, '4.1', 'step 2', operations.getAttributes(KEY, ['State'])],
    ['Activate', V10, '4.1', 'step 3', operations.activate(KEY)],
    ['Destroy', V10, '4.1', 'step 15', operations.destroy(KEY)],
    ['Discover Versions without an offer', V11, '16.1', 'time 0', operations.discoverVersions([])],
    ['Discover Versions with an offer', V11, '16.1', 'time 2', operations.discoverVersions([V11])],
  ] as const)('%s', (_what, version, section, step, item) => {
    const name = `${version.major}.${version.minor}`;
    expect(encodeRequest(version, [item]).toString('hex')).toBe(
      published(name, section, step, 'request').toString('hex'),
    );
  });
});

describe('the printed answers are understood', () => {
  const read = (version: string, section: string, step: string, operation: OperationName): ItemResult => {
    const [result] = decodeResponse(published(version, section, step, 'response'), [operation]);
    if (result === undefined) throw new Error('no result');
    return result;
  };
  const payload = (...where: Parameters<typeof read>) => {
    const result = read(...where);
    if (result.status !== 'success') throw new Error(result.status);
    return result.payload;
  };

  test('Create, Activate and Destroy name the key', () => {
    expect(operations.readIdentifier(payload('1.0', '4.1', 'step 1', 'Create'))).toBe(KEY);
    expect(operations.readIdentifier(payload('1.0', '4.1', 'step 3', 'Activate'))).toBe(KEY);
    expect(operations.readIdentifier(payload('1.0', '4.1', 'step 15', 'Destroy'))).toBe(KEY);
  });

  test('Locate finds one key', () => {
    expect(operations.readIdentifiers(payload('1.0', '4.1', 'step 5', 'Locate'))).toEqual([KEY]);
  });

  test.each([
    ['step 2', STATE.preActive],
    ['step 4', STATE.active],
    ['step 8', STATE.compromised],
  ])('Get Attributes tells State in %s', (step, state) => {
    const attributes = operations.readAttributes(payload('1.0', '4.1', step, 'GetAttributes'));
    expect(attributes.get('State')).toMatchObject({ type: 'Enumeration', value: state });
  });

  test('Get gives a key that is not ours: it is Triple DES', () => {
    const answer = payload('1.0', '4.1', 'step 6', 'Get');
    expect(() => operations.readKey(answer, KEY)).toThrow(new TtlvError('the key is not AES-256'));
  });

  test('Query lists operations', () => {
    const { operations: codes } = operations.readQuery(payload('1.1', '12.1', 'time 1', 'Query'));
    const { Create, Locate, Get, GetAttributes, Activate, Revoke, Destroy, Query } = OPERATION;
    expect(codes).toEqual(
      expect.arrayContaining([Create, Locate, Get, GetAttributes, Activate, Revoke, Destroy, Query]),
    );
  });

  test('Discover Versions gives versions, or none in common', () => {
    expect(operations.readVersions(payload('1.1', '16.1', 'time 0', 'DiscoverVersions'))).toEqual([V11, V10]);
    expect(operations.readVersions(payload('1.1', '16.1', 'time 3', 'DiscoverVersions'))).toEqual([]);
  });

  test('failures have a reason, also without an operation', () => {
    expect(read('1.0', '12.1', 'step 1', 'Query')).toMatchObject({ status: 'failure', reason: 0x02 });
    expect(read('1.1', '17.1', 'time 1', 'GetAttributes')).toMatchObject({ status: 'failure', reason: 0x07 });
  });
});
