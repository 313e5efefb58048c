import { describe, expect, test } from 'vitest';
import { STATE } from '../kmip/tags.ts';
import { GOOD_HANDSHAKE, problemsOf, setUpDoctor, warningsOf } from './doctor.testkit.ts';

/** The test certificate names no purpose. */
const ALWAYS = 'ClientCertificatePurpose';

test('a server in order is asked for one key of its own, which is gone afterwards', async () => {
  const { kms, run } = setUpDoctor();
  const other = kms.addKey();
  const examination = await run();
  expect(problemsOf(examination)).toEqual([]);
  expect(warningsOf(examination)).toEqual([ALWAYS]);
  expect(examination.facts.trial).toMatchObject({
    removal: 'Destroyed',
    located: 1,
    createdState: STATE.preActive,
    activeState: STATE.active,
    wrongAttributes: [],
    readableWhenDeactivated: true,
  });
  expect([...kms.keys.keys()]).toEqual([other]);
  expect([kms.count('Create'), kms.count('Locate'), kms.connections]).toEqual([1, 1, 1]);
});

test('all frames, which may hold the key or the password, are erased', async () => {
  const { kms, run } = setUpDoctor(1, { credentials: { username: 'u', password: 'p' } });
  await run();
  expect(kms.frames.length).toBeGreaterThan(10);
  for (const frame of kms.frames) expect(frame.every((byte) => byte === 0)).toBe(true);
});

describe('a refusal of', () => {
  test.each([
    ['Query', 0x0c, ['UserNotAccepted']],
    ['DiscoverVersions', 0x03, ['UserNotAccepted']],
    ['Create', 0x03, ['UserNotAccepted']],
    ['Create', 0x39, ['RightMissing']],
    ['Create', 0x05, ['OperationNotSupported']],
    ['Create', 0x2a, ['KmsFailed']],
    ['GetAttributes', 0x0c, ['RightMissing']],
    ['Locate', 0x0c, ['RightMissing']],
    ['Activate', 0x0c, ['RightMissing']],
    ['Get', 0x0c, ['OnlyEncryptAllowed']],
    ['Get', 0x16, ['KeyNotExportable']],
    ['Get', 0x17, ['KeyNotExportable']],
    ['Get', 0x01, ['KeyNotFound']],
    ['Get', 0x07, ['RequestRefused']],
    ['Revoke', 0x0c, ['RightMissing', 'ThrowAwayKeyLeft']],
    ['Destroy', 0x0c, ['RightMissing', 'ThrowAwayKeyLeft']],
  ] as const)('%s for reason 0x%s is told as %j', async (operation, reason, expected) => {
    const { kms, run } = setUpDoctor();
    kms.refuse = (asked) => (asked === operation ? reason : null);
    const examination = await run();
    const told = operation === 'Query' ? warningsOf(examination) : problemsOf(examination);
    expect(told.filter((code) => code !== ALWAYS)).toEqual(expected);
  });
});

test('a user who may neither Get nor Encrypt lacks a right; it is not told that Encrypt works', async () => {
  const { kms, run } = setUpDoctor();
  kms.refuse = (asked) => (asked === 'Get' || asked === 'Encrypt' ? 0x0c : null);
  const { findings } = await run();
  expect(findings[0]).toMatchObject({ code: 'RightMissing' });
  expect(findings[0]?.askKmsTeam).toContain('get (export) its keys');
});

test('a KMS that takes one request at a time is told as such', async () => {
  const { kms, run } = setUpDoctor();
  const asked: string[] = [];
  kms.refuse = (operation) => {
    asked.push(operation);
    return operation === 'Get' && asked.at(-2) === 'GetAttributes' ? 0x08 : null;
  };
  expect(problemsOf(await run())).toEqual(['BatchRefused']);
});

test('a profile that asks in two messages is obeyed', async () => {
  const { kms, run } = setUpDoctor(1, { separateMessages: true });
  expect(problemsOf(await run())).toEqual([]);
  expect(Math.max(...kms.itemCounts)).toBe(1);
});

test('an Object Group that the KMS refuses is found by asking once more without it', async () => {
  const { kms, run } = setUpDoctor();
  kms.refuse = (asked) => (asked === 'Create' && kms.count('Create') === 1 ? 0x07 : null);
  const examination = await run();
  expect(problemsOf(examination)).toEqual(['ObjectGroupRefused']);
  expect(kms.count('Create')).toBe(2);
  expect(kms.keys.size).toBe(0);
});

test('without Object Group a refused Create is not repeated', async () => {
  const { kms, run } = setUpDoctor(1, { objectGroup: false });
  kms.refuse = (asked) => (asked === 'Create' ? 0x07 : null);
  expect(problemsOf(await run())).toEqual(['RequestRefused']);
  expect(kms.count('Create')).toBe(1);
});

test('a KMS that gives no deactivated keys is warned of', async () => {
  const { kms, run } = setUpDoctor();
  kms.refuse = (asked) => (asked === 'Get' && kms.count('Revoke') > 0 ? 0x0c : null);
  const examination = await run();
  expect(problemsOf(examination)).toEqual([]);
  expect(warningsOf(examination)).toContain('DeactivatedKeyNotReadable');
  expect(examination.facts.trial?.removal).toBe('Destroyed');
});

test('a KMS that lists its operations is told which are missing', async () => {
  const { kms, run } = setUpDoctor();
  kms.operations = [0x01, 0x0a, 0x0b, 0x12, 0x13, 0x18, 0x1e];
  const { findings } = await run();
  expect(findings.map(({ code, what }) => [code, what])).toContainEqual([
    'OperationsNotListed',
    expect.stringContaining('does not list Locate, Destroy among'),
  ]);
});

test('no common version ends it before a key is made', async () => {
  const { kms, run } = setUpDoctor(1, { protocol: { min: '1.3', max: '1.4' } });
  kms.versions = ['1.2', '1.1'];
  expect(problemsOf(await run())).toEqual(['NoCommonVersion']);
  expect(kms.count('Create')).toBe(0);
});

test.each([
  ['hang', 'NoAnswer'],
  ['lose', 'NoAnswer'],
  ['refuse', 'ConnectionEnded'],
  ['nonsense', 'AnswerNotUnderstood'],
] as const)('a server that does nothing but %s is told as %s', async (mode, code) => {
  const { kms, run } = setUpDoctor();
  kms.mode = mode;
  const examination = await run();
  expect(problemsOf(examination)).toEqual([code]);
  expect(examination.facts.trial).toBeNull();
});

test('nothing is sent to a server whose certificate is not trusted, or is for another name', async () => {
  const { kms, run } = setUpDoctor();
  await run({ ...GOOD_HANDSHAKE, verifyError: 'SELF_SIGNED_CERT_IN_CHAIN' });
  await run({ ...GOOD_HANDSHAKE, nameMatches: false });
  expect(kms.attempts).toBe(0);
});

test('a server that ends every connection after one answer is warned of, and works', async () => {
  const { run } = setUpDoctor(1, {}, (connect) => async (timeoutMs) => {
    const connection = await connect(timeoutMs);
    const used = { once: false };
    return {
      get usable() {
        return connection.usable && !used.once;
      },
      serverCertificateExpiresMs: null,
      exchange: async (request, limitMs) => {
        used.once = true;
        return await connection.exchange(request, limitMs);
      },
      destroy: () => connection.destroy(),
    };
  });
  const examination = await run();
  expect(problemsOf(examination)).toEqual([]);
  expect(warningsOf(examination)).toEqual([ALWAYS, 'ConnectionNotKept']);
});

describe('the throw-away key', () => {
  test('that a lost Create left is found by its name and removed', async () => {
    const { kms, run } = setUpDoctor();
    kms.loseNext = 'Create';
    const examination = await run();
    expect(problemsOf(examination)).toEqual(['ConnectionEnded']);
    expect(warningsOf(examination)).toEqual([ALWAYS]);
    expect(examination.facts.trial).toMatchObject({ kmsId: null, removal: 'Destroyed' });
    expect(kms.keys.size).toBe(0);
    expect(kms.count('Create')).toBe(1);
  });

  test.each(['Activate', 'Revoke', 'Destroy'] as const)(
    'is removed when the answer to %s is lost',
    async (lost) => {
      const { kms, run } = setUpDoctor();
      kms.loseNext = lost;
      const examination = await run();
      expect(problemsOf(examination)).toEqual(['ConnectionEnded']);
      expect(examination.facts.trial?.removal).toBe('Destroyed');
      expect(kms.keys.size).toBe(0);
      expect(kms.count(lost)).toBeLessThanOrEqual(2);
    },
  );

  test('of which nobody tells any more may still be there, and the report says so', async () => {
    const { kms, run } = setUpDoctor();
    kms.refuse = (asked) => {
      if (asked === 'Create') {
        kms.loseNext = 'Create';
        kms.mode = 'refuse';
      }
      return null;
    };
    const examination = await run();
    expect(problemsOf(examination)).toEqual(['ConnectionEnded', 'ThrowAwayKeyLeft']);
    expect(examination.facts.trial?.removal).toBe('Unknown');
  });

  test('is removed by the other endpoint when the first dies, whose "not found" alone would not count', async () => {
    const { servers, run } = setUpDoctor(2);
    const [first, second] = servers;
    if (first === undefined || second === undefined) throw new Error('two servers');
    first.refuse = (asked) => {
      if (asked === 'Activate') first.mode = 'refuse';
      return null;
    };
    second.refuse = () => {
      for (const [kmsId, key] of first.keys) second.keys.set(kmsId, key);
      first.keys.clear();
      return null;
    };
    const examination = await run();
    expect(examination.facts.trial?.removal).toBe('Destroyed');
    expect(second.keys.size).toBe(0);
  });

  test('is told as left when only an endpoint that does not have it answers', async () => {
    const { servers, run } = setUpDoctor(2);
    const [first] = servers;
    if (first === undefined) throw new Error('two servers');
    first.refuse = (asked) => {
      if (asked === 'Activate') first.mode = 'refuse';
      return null;
    };
    const examination = await run();
    expect(examination.facts.trial?.removal).toBe('Left');
    expect(problemsOf(examination)).toContain('ThrowAwayKeyLeft');
  });

  test('is removed when the examination is interrupted', async () => {
    const { kms, interrupt, run } = setUpDoctor();
    kms.refuse = (asked) => {
      if (asked === 'Activate') interrupt.abort();
      return null;
    };
    const examination = await run();
    expect(problemsOf(examination)).toEqual(['Interrupted']);
    expect(examination.facts.trial?.removal).toBe('Destroyed');
    expect(kms.keys.size).toBe(0);
  });
});

describe('another endpoint', () => {
  const replicating = (delayMs: number, change: (material: Buffer) => Buffer = (material) => material) => {
    const set = setUpDoctor(2);
    const [first, second] = set.servers;
    const startMs = set.clock.now();
    if (first === undefined || second === undefined) throw new Error('two servers');
    second.refuse = (asked) => {
      for (const [kmsId, key] of first.keys)
        second.keys.set(kmsId, { ...key, material: change(key.material) });
      return asked !== 'DiscoverVersions' && asked !== 'Query' && set.clock.now() - startMs < delayMs
        ? 0x01
        : null;
    };
    return set;
  };

  test('that has the key at once is in order', async () => {
    const examination = await replicating(0).run();
    expect(problemsOf(examination)).toEqual([]);
    expect(examination.facts.trial?.replication).toEqual([
      { endpoint: 'kms2.example.com:5696', lagMs: 0, sameKey: true, failure: null },
    ]);
  });

  test('that has it after three seconds is warned of, with the delay', async () => {
    const examination = await replicating(3000).run();
    expect(problemsOf(examination)).toEqual([]);
    expect(warningsOf(examination)).toContain('ReplicationSlow');
    expect(examination.facts.trial?.replication[0]?.lagMs).toBe(3000);
  });

  test('that never has it does not belong to the cluster', async () => {
    const examination = await replicating(Number.POSITIVE_INFINITY).run();
    expect(problemsOf(examination)).toEqual(['NotReplicated']);
    expect(examination.facts.trial?.removal).toBe('Destroyed');
  });

  test('that gives other bytes is a problem', async () => {
    const examination = await replicating(0, () => Buffer.alloc(32, 0xff)).run();
    expect(problemsOf(examination)).toEqual(['KeyDiffers']);
  });
});
