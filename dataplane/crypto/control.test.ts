import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { controlKey, controlMac, verifyControlMac } from './control.ts';
import { newDataKey } from './dataKey.ts';
import type { Field } from './encoding.ts';

const key = controlKey(newDataKey());
const document = Buffer.from('{"name":"photos"}');
const mac = controlMac(key, 'bucket', ['photos', 1], document);
const integrity = expect.objectContaining({ code: 'Integrity' });

test.each<[string, string, readonly Field[], Buffer]>([
  ['table', 'buckets', ['photos', 1], document],
  ['identifier', 'bucket', ['photos', 2], document],
  ['impossible identifier', 'bucket', ['photos', -1], document],
  ['number of identifiers', 'bucket', ['photos'], document],
  ['document', 'bucket', ['photos', 1], Buffer.from('{"name":"photoz"}')],
])('a control row does not verify with another %s', (_, table, identifiers, document) => {
  verifyControlMac(key, 'bucket', ['photos', 1], Buffer.from('{"name":"photos"}'), mac);
  expect(() => verifyControlMac(key, table, identifiers, document, mac)).toThrow(integrity);
});

test('a control row does not verify with any bit of its MAC flipped, or under another installation key', () => {
  fc.assert(
    fc.property(fc.nat({ max: 255 }), (bit) => {
      const altered = Buffer.from(mac);
      const at = Math.floor(bit / 8);
      altered.writeUInt8(altered.readUInt8(at) ^ (1 << (bit % 8)), at);
      expect(() => verifyControlMac(key, 'bucket', ['photos', 1], document, altered)).toThrow(integrity);
    }),
  );
  expect(() => verifyControlMac(controlKey(newDataKey()), 'bucket', ['photos', 1], document, mac)).toThrow(
    integrity,
  );
});
