import { expect, test } from 'vitest';
import {
  boolean,
  byteString,
  enumeration,
  integer,
  optional,
  required,
  structure,
  textString,
  valueOf,
  values,
} from './fields.ts';
import { decodeResponse, encodeRequest } from './messages.ts';
import { getAttributes, readAttributes, readKey } from './operations.ts';
import { TAG } from './tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv, TtlvError } from './ttlv.ts';

const VERSION = { major: 1, minor: 4 };
const get = { operation: 'Get', payload: [textString(TAG.uniqueIdentifier, 'k')] } as const;

const header = (request: Buffer) =>
  required(valueOf(decodeTtlv(request), 'Structure'), TAG.requestHeader, 'Structure');
const items = (request: Buffer) =>
  values(valueOf(decodeTtlv(request), 'Structure'), TAG.batchItem, 'Structure');

test('a request is the bytes of the specification', () => {
  expect(encodeRequest({ major: 1, minor: 2 }, [get]).toString('hex')).toBe(
    [
      '420078 01 00000070',
      '420077 01 00000038',
      '420069 01 00000020 42006a 02 00000004 0000000100000000 42006b 02 00000004 0000000200000000',
      '42000d 02 00000004 0000000100000000',
      '42000f 01 00000028',
      '42005c 05 00000004 0000000a00000000',
      '420079 01 00000010 420094 07 00000001 6b00000000000000',
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});

test('a batch is ordered, and its items carry ids', () => {
  const request = encodeRequest(VERSION, [getAttributes('k', ['State']), get]);
  expect(optional(header(request), TAG.batchOrderOption, 'Boolean')).toBe(true);
  expect(required(header(request), TAG.batchCount, 'Integer')).toBe(2);
  expect(
    items(request).map((item) =>
      Buffer.from(required(item, TAG.uniqueBatchItemId, 'ByteString')).toString('hex'),
    ),
  ).toEqual(['00000001', '00000002']);
});

test('user name and password travel as a Credential, when there are any', () => {
  const request = encodeRequest(VERSION, [get], { username: 'u', password: 'p' });
  const authentication = required(header(request), TAG.authentication, 'Structure');
  const credential = required(authentication, TAG.credential, 'Structure');
  const value = required(credential, TAG.credentialValue, 'Structure');
  expect([required(value, TAG.username, 'TextString'), required(value, TAG.password, 'TextString')]).toEqual([
    'u',
    'p',
  ]);
  expect(optional(header(encodeRequest(VERSION, [get])), TAG.authentication, 'Structure')).toBeNull();
});

const response = (...batch: Ttlv[][]) =>
  encodeTtlv(
    structure(TAG.responseMessage, [
      structure(0x42007a, [integer(TAG.batchCount, 7), boolean(0x54ffff, true)]),
      ...batch.map((item) => structure(TAG.batchItem, item)),
    ]),
  );
const id = (n: number) => byteString(TAG.uniqueBatchItemId, Buffer.from([0, 0, 0, n]));
const success = [enumeration(TAG.resultStatus, 0)];
const refusal = [enumeration(TAG.resultStatus, 1), enumeration(TAG.resultReason, 1)];

test('answers of a batch are matched by id, in any order', () => {
  const answer = response(
    [id(2), ...refusal],
    [id(1), ...success, structure(TAG.responsePayload, [integer(TAG.objectType, 5)])],
  );
  expect(decodeResponse(answer, ['GetAttributes', 'Get'])).toEqual([
    { status: 'success', payload: [integer(TAG.objectType, 5)] },
    { status: 'failure', reason: 1, message: '' },
  ]);
});

test('fewer items than announced are legal: the server stopped at a failure', () => {
  expect(decodeResponse(response([id(1), ...refusal]), ['GetAttributes', 'Get'])).toEqual([
    { status: 'failure', reason: 1, message: '' },
    { status: 'missing' },
  ]);
});

test('a failure of the whole message comes without id', () => {
  expect(decodeResponse(response(refusal), ['GetAttributes', 'Get'])[0]).toMatchObject({ status: 'failure' });
});

test('a success without id answers nothing of a batch', () => {
  expect(decodeResponse(response(success), ['GetAttributes', 'Get'])).toEqual([
    { status: 'missing' },
    { status: 'missing' },
  ]);
});

test("the server's own words are cut to one printable line", () => {
  const message = textString(TAG.resultMessage, `no\r\n\u0007${'x'.repeat(500)}`);
  const [result] = decodeResponse(response([...refusal, message]), ['Get']);
  expect(result).toMatchObject({ message: `no ${'x'.repeat(197)}` });
});

test.each([
  ['no batch item', response()],
  ['more batch items than asked', response(success, success)],
  ['a batch item without status', response([id(1)])],
  ['an answer to another operation', response([enumeration(TAG.operation, 1), ...success])],
  ['another message', encodeTtlv(structure(TAG.requestMessage, []))],
  ['no structure', encodeTtlv(integer(TAG.responseMessage, 1))],
  ['a status of the wrong type', response([integer(TAG.resultStatus, 0)])],
])('%s is refused', (_what, frame) => {
  expect(() => decodeResponse(frame, ['Get'])).toThrow(TtlvError);
});

const keyBlock = (changes: Record<number, Ttlv | null> = {}): Ttlv[] =>
  [
    enumeration(TAG.keyFormatType, 1),
    structure(TAG.keyValue, [byteString(TAG.keyMaterial, Buffer.alloc(32, 7))]),
    enumeration(TAG.cryptographicAlgorithm, 3),
    integer(TAG.cryptographicLength, 256),
  ].flatMap((item) => changes[item.tag] ?? (changes[item.tag] === null ? [] : [item]));
const getPayload = (block: Ttlv[], kmsId = 'k', objectType = 2): Ttlv[] => [
  enumeration(TAG.objectType, objectType),
  textString(TAG.uniqueIdentifier, kmsId),
  structure(TAG.symmetricKey, [structure(TAG.keyBlock, block)]),
];

test('a raw AES-256 key is read, also from a server that leaves out algorithm and length', () => {
  const bare = keyBlock({ [TAG.cryptographicAlgorithm]: null, [TAG.cryptographicLength]: null });
  for (const block of [keyBlock(), bare]) {
    expect(readKey(getPayload(block), 'k').export()).toEqual(Buffer.alloc(32, 7));
  }
});

test.each([
  ['another identifier', getPayload(keyBlock(), 'other')],
  ['another object type', getPayload(keyBlock(), 'k', 7)],
  ['a wrapped key', getPayload([...keyBlock(), structure(TAG.keyWrappingData, [])])],
  ['another key format', getPayload(keyBlock({ [TAG.keyFormatType]: enumeration(TAG.keyFormatType, 7) }))],
  [
    'another algorithm',
    getPayload(keyBlock({ [TAG.cryptographicAlgorithm]: enumeration(TAG.cryptographicAlgorithm, 2) })),
  ],
  [
    'another length',
    getPayload(keyBlock({ [TAG.cryptographicLength]: integer(TAG.cryptographicLength, 128) })),
  ],
  [
    'too few bytes',
    getPayload(
      keyBlock({ [TAG.keyValue]: structure(TAG.keyValue, [byteString(TAG.keyMaterial, Buffer.alloc(16))]) }),
    ),
  ],
  ['no key', getPayload(keyBlock({ [TAG.keyValue]: null }))],
])('%s is not taken for our key', (_what, payload) => {
  expect(() => readKey(payload, 'k')).toThrow(TtlvError);
});

test('attributes are read by name; the first instance counts, unknown ones do no harm', () => {
  const attribute = (name: string, value?: Ttlv) =>
    structure(TAG.attribute, [textString(TAG.attributeName, name), ...(value === undefined ? [] : [value])]);
  const read = readAttributes([
    attribute('State', enumeration(TAG.attributeValue, 2)),
    attribute('State', enumeration(TAG.attributeValue, 5)),
    attribute('x-vendor', textString(TAG.attributeValue, '?')),
    attribute('Lease Time'),
  ]);
  expect([...read.keys()]).toEqual(['State', 'x-vendor']);
  expect(read.get('State')).toMatchObject({ value: 2 });
});
