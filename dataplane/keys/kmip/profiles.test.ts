import { expect, test } from 'vitest';
import { setUpClient } from './client.testkit.ts';
import { KMIP_PROFILE_NAMES, KMIP_PROFILES, profileWith } from './profiles.ts';
import { STATE } from './tags.ts';

test.each(KMIP_PROFILE_NAMES)('%s offers a range of versions, of which either end may be set', (name) => {
  const { protocol } = KMIP_PROFILES[name];
  expect(protocol.min <= protocol.max).toBe(true);
  expect(profileWith(name, {}).protocol).toEqual(protocol);
  expect(profileWith(name, { min: '1.3' }).protocol).toEqual({ ...protocol, min: '1.3' });
  expect(profileWith(name, { max: '1.2' }).protocol).toEqual({ ...protocol, max: '1.2' });
});

test.each(KMIP_PROFILE_NAMES)(
  'with %s keys are made and fetched in the messages that it says',
  async (name) => {
    const profile = profileWith(name, {});
    const { kms, client } = setUpClient(profile);
    const fetched = await client.activateKey(await client.createKey('sealgate-bucket-v1-0'));
    expect(fetched).toMatchObject({ writable: true });
    expect(client.endpoints[0]?.protocolVersion).toBe(profile.protocol.max);
    expect(Math.max(...kms.itemCounts)).toBe(profile.separateMessages ? 1 : 2);
  },
);

test('a key whose State forbids it is not asked for at all when messages are separate', async () => {
  const { kms, client } = setUpClient({ separateMessages: true });
  await expect(client.fetchKey(kms.addKey({ state: STATE.destroyed }))).rejects.toMatchObject({
    code: 'NotFound',
  });
  expect(kms.count('Get')).toBe(0);
});

test('a refused Get of a Deactivated key is a wrong state, also in a message of its own', async () => {
  const { kms, client } = setUpClient({ separateMessages: true });
  kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
  await expect(client.fetchKey(kms.addKey({ state: STATE.deactivated }))).rejects.toMatchObject({
    code: 'InvalidState',
  });
});
