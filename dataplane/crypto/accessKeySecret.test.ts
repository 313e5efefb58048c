import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openAccessKeySecret, sealAccessKeySecret } from './accessKeySecret.ts';
import { newDataKey } from './dataKey.ts';

const installationKey = newDataKey();
const id = 'SGTEAMAREPORTS01';
const secret = 'a secret of forty printable characters!!';
const sealed = sealAccessKeySecret(installationKey, id, secret);
const integrity = expect.objectContaining({ code: 'Integrity' });

test('the secret of an access key opens for that access key and under that installation key only', () => {
  expect(openAccessKeySecret(installationKey, id, sealed)).toBe(secret);
  expect(() => openAccessKeySecret(installationKey, 'SGTEAMAREPORTS02', sealed)).toThrow(integrity);
  expect(() => openAccessKeySecret(installationKey, '\ud800', sealed)).toThrow(integrity);
  expect(() => openAccessKeySecret(newDataKey(), id, sealed)).toThrow(integrity);
});

test('the sealed secret of an access key does not open with any bit flipped', () => {
  const bits = sealed.sealedSecret.length * 8;
  fc.assert(
    fc.property(fc.nat({ max: bits - 1 }), (bit) => {
      const altered = Buffer.from(sealed.sealedSecret);
      const at = Math.floor(bit / 8);
      altered.writeUInt8(altered.readUInt8(at) ^ (1 << (bit % 8)), at);
      expect(() => openAccessKeySecret(installationKey, id, { ...sealed, sealedSecret: altered })).toThrow(
        integrity,
      );
    }),
  );
});

test('the same secret is sealed differently each time, and is not in what is stored', () => {
  const again = sealAccessKeySecret(installationKey, id, secret);
  expect(again.secretSalt.equals(sealed.secretSalt)).toBe(false);
  expect(again.sealedSecret.equals(sealed.sealedSecret)).toBe(false);
  expect(sealed.sealedSecret.includes(secret.slice(0, 8))).toBe(false);
});
