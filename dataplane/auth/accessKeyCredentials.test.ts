import { expect, test } from 'vitest';
import { sealAccessKeySecret } from '../crypto/accessKeySecret.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import type { AccessKeyDocument } from '../metadata/metadata.ts';
import { accessKeyOf, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import { accessKeyCredentials, openStoredSecret } from './accessKeyCredentials.ts';

const installationKey = newDataKey();
const ID = 'SGTEAMAREPORTS01';

function sealed(id: string, secret: string, changes: Partial<AccessKeyDocument> = {}): AccessKeyDocument {
  const { secretSalt, sealedSecret } = sealAccessKeySecret(installationKey, id, secret);
  return accessKeyOf(id, {
    secretSalt: secretSalt.toString('base64'),
    sealedSecret: sealedSecret.toString('base64'),
    ...changes,
  });
}

test('of an access key are in force with the very next question: made, changed, expired and revoked', async () => {
  await using engine = await openEngine();
  const clock = { nowMs: 1_000 };
  const lookup = accessKeyCredentials({
    metadata: engine.connect(),
    installationKey,
    ownerId: 'owner',
    now: () => clock.nowMs,
  });
  expect(lookup(ID)).toBeNull();
  const first = sealed(ID, 'first-secret');
  await engine.metadata.putAccessKey(first);
  expect(lookup(ID)).toEqual({
    secretAccessKey: 'first-secret',
    ownerId: 'owner',
    rights: [{ bucket: 'reports', prefix: Buffer.alloc(0), permissions: new Set(['read']) }],
  });
  expect(lookup(ID)).toBe(lookup(ID));

  await engine.metadata.putAccessKey({ ...first, revision: 1, grants: [] });
  expect(lookup(ID)).toMatchObject({ secretAccessKey: 'first-secret', rights: [] });

  await engine.metadata.putAccessKey(sealed(ID, 'second-secret', { revision: 2, expiresMs: 2_000 }));
  expect(lookup(ID)).toMatchObject({ secretAccessKey: 'second-secret' });
  clock.nowMs = 1_999;
  expect(lookup(ID)).not.toBeNull();
  clock.nowMs = 2_000;
  expect(lookup(ID)).toBeNull();

  await engine.metadata.putAccessKey(sealed(ID, 'second-secret', { revision: 3 }));
  expect(lookup(ID)).not.toBeNull();
  await engine.metadata.deleteAccessKey(ID, 3);
  expect(lookup(ID)).toBeNull();
});

test('of a row that was edited are not an unknown key but a failure', async () => {
  await using engine = await openEngine();
  const metadata = engine.connect();
  const lookup = accessKeyCredentials({ metadata, installationKey, ownerId: 'owner', now: () => 0 });
  await engine.metadata.putAccessKey(sealed(ID, 'secret'));
  expect(lookup(ID)).not.toBeNull();
  engine.edit('UPDATE access_key SET control_mac = zeroblob(32)');
  expect(() => lookup(ID)).toThrow(expect.objectContaining({ code: 'Integrity' }));
});

test('are opened once for each row, and only so many are kept', () => {
  const rows = new Map(['A', 'B', 'C'].map((id) => [id, sealed(id, id)]));
  const metadata = { accessKey: (id: string) => rows.get(id) ?? null };
  const lookup = accessKeyCredentials({
    metadata,
    installationKey,
    ownerId: 'owner',
    now: () => 0,
    limit: 2,
  });
  const [a, b] = [lookup('A'), lookup('B')];
  expect([lookup('A'), lookup('B')]).toEqual([a, b]);
  lookup('C');
  expect(lookup('B')).toBe(b);
  expect(lookup('A')).not.toBe(a);
});

test('a secret that does not open is an integrity failure, any other error stays what it is', () => {
  const row = sealed(ID, 'secret');
  expect(() => openStoredSecret(newDataKey(), row)).toThrow(expect.objectContaining({ code: 'Integrity' }));
  const broken = {
    ...row,
    get secretSalt(): string {
      throw new TypeError('a fault in the code');
    },
  };
  expect(() => openStoredSecret(installationKey, broken)).toThrow(TypeError);
});
