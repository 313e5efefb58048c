import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodeStored, FormatError } from './errors.ts';
import { newId } from './ids.ts';
import { openOnce, requireEqual, sealOnce, takeKey } from './sealing.ts';

const parent = createSecretKey(Buffer.alloc(32, 1));
const salt = Buffer.alloc(32, 2);
const aad = Buffer.from('bound to this');
const sealed = sealOnce(parent, 'label', salt, Buffer.from('content'), aad);
const open = (label: string, salt: Buffer, sealed: Buffer, aad: Buffer) =>
  openOnce('thing', parent, label, salt, sealed, aad);
const integrity = expect.objectContaining({ code: 'Integrity' });

test('a sealed value opens with the same key, label, salt and binding only', () => {
  expect(open('label', salt, sealed, aad).toString()).toBe('content');
  expect(() => open('other', salt, sealed, aad)).toThrow(integrity);
  expect(() => open('label', Buffer.alloc(32, 3), sealed, aad)).toThrow(integrity);
  expect(() => open('label', salt, sealed, Buffer.from('bound to that'))).toThrow(integrity);
  expect(() => openOnce('thing', createSecretKey(salt), 'label', salt, sealed, aad)).toThrow(integrity);
});

test('a sealed value that was cut to a valid shorter tag does not open', () => {
  for (let cut = 1; cut <= sealed.length; cut++) {
    expect(() => open('label', salt, sealed.subarray(0, -cut), aad), `cut by ${cut}`).toThrow(integrity);
  }
});

test('a salt of another length is refused', () => {
  for (const length of [0, 31, 33]) {
    const sealed = sealOnce(parent, 'label', Buffer.alloc(length, 2), Buffer.from('content'), aad);
    expect(() => open('label', Buffer.alloc(length, 2), sealed, aad)).toThrow(integrity);
  }
});

test('a refusal keeps its cause and names the structure, and nothing of the content', () => {
  try {
    open('other', salt, sealed, aad);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ message: 'thing does not verify', cause: expect.any(Error) });
  }
});

test('taking a key erases the buffer that it came in', () => {
  const bytes = Buffer.alloc(32, 7);
  expect(takeKey(bytes).export().equals(Buffer.alloc(32, 7))).toBe(true);
  expect(bytes.equals(Buffer.alloc(32))).toBe(true);
});

test.each([
  ['another byte', Buffer.from([1, 3])],
  ['fewer bytes', Buffer.from([1])],
  ['more bytes', Buffer.from([1, 2, 3])],
  ['no bytes', Buffer.alloc(0)],
])('%s is not equal', (_, stored) => {
  expect(() => requireEqual('thing', Buffer.from([1, 2]), stored)).toThrow(integrity);
});

test("only the format's own refusal counts as tampering, any other error stays what it is", () => {
  const fault = new TypeError('a fault in the code');
  expect(() =>
    encodeStored('thing', () => {
      throw fault;
    }),
  ).toThrow(fault);
});

test('identifiers are 32 lower-case hex characters, and new each time', () => {
  const ids = Array.from({ length: 100 }, () => newId());
  expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(100);
});
