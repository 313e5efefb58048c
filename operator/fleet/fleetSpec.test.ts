import { describe, expect, it } from 'vitest';
import { FULL_SPEC, fleetYaml } from './fleet.testkit.ts';
import { FleetError, parseFleet } from './fleetSpec.ts';
import { quantityValue } from './quantity.ts';
import { workersOf } from './workers.ts';

function problemsOf(text: string): string[] {
  try {
    parseFleet(text);
    return [];
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('a declared fleet', () => {
  it('is complete with an image alone', () => {
    const { name, spec } = parseFleet(fleetYaml());
    expect(name).toBe('sealgate');
    expect(spec).toMatchObject({ replicas: 1, region: 'us-east-1', runAsUser: 65_532, s3: { tls: true } });
  });

  it('may set every field', () => {
    expect(problemsOf(fleetYaml(FULL_SPEC))).toEqual([]);
  });

  it.each([
    [{ replicas: 2 }, 'spec.replicas: must be 1'],
    [{ storage: { engine: 'Distributed' } }, 'spec.storage.engine: must be Embedded'],
    [
      { image: 'sealgate.test/sealgate:latest' },
      'spec.image: must end in a tag other than latest, or in a digest',
    ],
    [
      { image: 'sealgate.test:5000/sealgate' },
      'spec.image: must end in a tag other than latest, or in a digest',
    ],
    [{ replica: 1 }, 'spec.replica: unknown field'],
    [{ s3: { tls: true, port: 1 } }, 'spec.s3.port: unknown field'],
    [
      { s3: { externalUrl: 'https://x.example.com/s3' } },
      'spec.s3.externalUrl: must have no path: bucket and key follow there',
    ],
    [{ runAsUser: 0 }, 'spec.runAsUser: Too small: expected number to be >=1'],
    [
      { defaultKmsConnection: 'keysecure' },
      'spec.defaultKmsConnection: must be namespace/name of a KMSConnection',
    ],
    [
      { storage: { engine: 'Embedded', size: '20 GB' } },
      'spec.storage.size: must be an amount such as 500m, 2 or 4Gi',
    ],
    [{ storage: { engine: 'Embedded', size: '0Gi' } }, 'spec.storage.size: must be more than 0'],
    [
      { resources: { requests: { cpu: 1e-7 } } },
      'spec.resources.requests.cpu: must be an amount such as 500m, 2 or 4Gi',
    ],
    [
      { networkPolicy: { s3From: [{}] } },
      'spec.networkPolicy.s3From[0]: must have either ipBlock, or podSelector and/or namespaceSelector',
    ],
    [
      { networkPolicy: { kmsCidrs: [{ cidr: '10.0.0.1', ports: [5696] }] } },
      'spec.networkPolicy.kmsCidrs[0].cidr: must be an address range such as 10.20.0.0/16',
    ],
  ])('with %j is refused by the name of the field', (spec, problem) => {
    expect(problemsOf(fleetYaml(spec))).toEqual([problem]);
  });

  it('that is not YAML is refused', () => {
    expect(problemsOf('a: [')).toEqual([': is not YAML']);
  });
});

describe('workers', () => {
  it.each([
    [{ requests: { cpu: '1500m' }, limits: {} }, 2],
    [{ requests: { cpu: '4' }, limits: { memory: '1Gi' } }, 4],
    [{ requests: {}, limits: {} }, 2],
    [{ requests: { cpu: '100m' }, limits: {} }, 2],
    [{ requests: { cpu: '1' }, limits: { cpu: '8' } }, 'auto'],
  ])('with %j are %s', (resources, workers) => {
    expect(workersOf({ workers: 'auto', resources })).toBe(workers);
  });

  it('are what is declared', () => {
    expect(workersOf({ workers: 3, resources: { requests: { cpu: '8' }, limits: {} } })).toBe(3);
  });
});

describe('an amount', () => {
  it.each([
    ['1Gi', 1_073_741_824],
    ['1024Mi', 1_073_741_824],
    ['500m', 0.5],
    ['0.5', 0.5],
    ['2k', 2_000],
    ['2Q', null],
    ['many', null],
  ])('%s is %s', (text, value) => {
    expect(quantityValue(text)).toBe(value);
  });
});
