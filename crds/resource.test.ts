import { describe, expect, it } from 'vitest';
import { type EncryptedBucket, parseEncryptedBucket } from './encryptedbucket.ts';
import { parseKMSConnection } from './kmsconnection.ts';
import { InvalidResourceError } from './resource.ts';
import { durationMs } from './scalars.ts';

const BUCKET = {
  apiVersion: 'sealgate.io/v1alpha1',
  kind: 'EncryptedBucket',
  metadata: { name: 'invoices', namespace: 'team-a', uid: 'u', managedFields: [] },
  spec: {
    kmsConnectionRef: { name: 'keysecure' },
    access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3' }],
  },
};
const PENDING = {
  observedGeneration: -1,
  conditions: [
    {
      type: 'Ready',
      status: 'Unknown',
      reason: 'Pending',
      message: 'Waiting for the operator',
      lastTransitionTime: '1970-01-01T00:00:00Z',
    },
  ],
};

const parsed = (change: object): EncryptedBucket => parseEncryptedBucket({ ...BUCKET, ...change });

function refusal(action: () => unknown): InvalidResourceError {
  try {
    action();
  } catch (error) {
    if (error instanceof InvalidResourceError) return error;
    throw error;
  }
  throw new Error('was taken');
}

describe('parseEncryptedBucket()', () => {
  it('fills in the defaults that an object of an older schema lacks, and keeps its metadata', () => {
    expect(parseEncryptedBucket(BUCKET)).toEqual({
      ...BUCKET,
      spec: {
        kmsConnectionRef: { name: 'keysecure' },
        encryption: { algorithm: 'AES256' },
        access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3', overlap: '168h' }],
        adopt: false,
        deletionPolicy: 'Retain',
      },
      status: PENDING,
    });
  });

  it('drops fields of a newer schema', () => {
    const spec = {
      ...BUCKET.spec,
      quota: { maxObjects: 1 },
      encryption: { algorithm: 'AES256', strength: 9 },
    };
    expect(parsed({ spec }).spec).toEqual(parseEncryptedBucket(BUCKET).spec);
  });

  it.each([
    ['of another form', { conditions: 'none' }],
    ['with a condition that is none', { observedGeneration: 3, conditions: [{ type: 'Ready' }] }],
    ['that is null', null],
  ])('takes a status %s as none', (_, status) => {
    expect(parsed({ status }).status).toEqual(PENDING);
  });

  it.each([
    ['another kind', { kind: 'KMSConnection' }, /^kind: /],
    ['another version', { apiVersion: 'sealgate.io/v2' }, /^apiVersion: /],
    ['no spec', { spec: undefined }, /^spec: /],
    ['no namespace', { metadata: { name: 'a' } }, /^metadata\.namespace: /],
    [
      'a duration beyond its bounds',
      { spec: { ...BUCKET.spec, keyRotation: { interval: '1h' } } },
      /^spec\.keyRotation\.interval: must be a duration between 24h and 87600h/,
    ],
    [
      'a policy that it does not know',
      { spec: { ...BUCKET.spec, deletionPolicy: 'Shred' } },
      /^spec\.deletionPolicy: /,
    ],
  ])('refuses an object with %s, and names the field', (_, change, problem) => {
    const error = refusal(() => parsed(change));
    expect(error.code).toBe('InvalidResource');
    expect(error.problems).toEqual([expect.stringMatching(problem)]);
    expect(error.message).toContain('not a valid EncryptedBucket');
  });
});

describe('parseKMSConnection()', () => {
  it('fills in the defaults, and leaves the protocol to the profile', () => {
    const connection = parseKMSConnection({
      apiVersion: 'sealgate.io/v1alpha1',
      kind: 'KMSConnection',
      metadata: { name: 'keysecure', namespace: 'kms' },
      spec: {
        provider: 'KMIP',
        kmip: { endpoints: [{ host: 'ks1' }], tls: { secretRef: { name: 'client' } } },
      },
    });
    expect(connection.spec).toEqual({
      provider: 'KMIP',
      kmip: {
        endpoints: [{ host: 'ks1', port: 5696, tier: 0 }],
        tls: { secretRef: { name: 'client' } },
        profile: 'Generic',
        keyNamePrefix: 'sealgate',
        objectGroup: true,
        timeouts: { connect: '3s', request: '5s', total: '10s' },
      },
      keyAccess: 'Fetch',
      cache: { ttl: '5m', staleLimit: '1h' },
      allowedNamespaces: { from: 'Same' },
    });
    expect(connection.status).toEqual(PENDING);
  });
});

describe('durationMs()', () => {
  it.each([
    ['0s', 0],
    ['500ms', 500],
    ['1h30m', 5_400_000],
    ['1h2m3s4ms', 3_723_004],
    ['87600h', 315_360_000_000],
    ['999999h', 3_599_996_400_000],
  ])('%s is %i ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each(['', '5', '1d', '-1s', '1.5h', '1234567s', '1h1h1h1h1h', ' 1s', '1s\n'])('%j is none', (text) => {
    expect(() => durationMs(text)).toThrow(RangeError);
  });
});
