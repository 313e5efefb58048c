import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { configFile } from '../../dataplane/config/schema.ts';
import type { KubeObject } from '../kube/resource.ts';
import { FULL_SPEC, fleetYaml, INPUTS } from './fleet.testkit.ts';
import type { FleetContext } from './fleetContext.ts';
import { parseFleet } from './fleetSpec.ts';
import { connectionSecretName, fleetNames } from './names.ts';
import { type RenderInputs, renderFleet } from './render.ts';
import { secretFiles } from './secretContent.ts';
import { s3ServedNames } from './servedNames.ts';

const GOLDEN = fileURLToPath(new URL('golden/', import.meta.url));

function context(spec: Readonly<Record<string, unknown>> = {}): FleetContext {
  const fleet = parseFleet(fleetYaml(spec));
  return { name: fleet.name, namespace: 'storage', spec: fleet.spec };
}

const OFF = {
  networkPolicy: { enabled: false },
  serviceMonitor: { enabled: false },
  prometheusRule: { enabled: false },
};

const CASES: Readonly<Record<string, { spec: Record<string, unknown>; inputs?: Partial<RenderInputs> }>> = {
  default: { spec: {} },
  full: { spec: FULL_SPEC, inputs: { s3Certificate: null, clusterIPs: ['10.96.0.17', 'fd00::11'] } },
  off: { spec: OFF },
};

/** Secrets as people read them: the golden files show what a pod gets. */
function readable(object: KubeObject): KubeObject {
  return object.kind === 'Secret' ? { ...object, data: secretFiles(object) } : object;
}

function rendered(name: string) {
  const { spec, inputs } = CASES[name] ?? { spec: {} };
  return renderFleet(context(spec), { ...INPUTS, ...inputs });
}

function fileOf(object: KubeObject): string {
  return `${object.kind.toLowerCase()}.${object.metadata.name}.yaml`;
}

describe('a rendered fleet', () => {
  const files = Object.keys(CASES).flatMap((name) =>
    rendered(name).objects.map((object) => ({ name, file: fileOf(object), object })),
  );

  it.each(files)('$name/$file is as its golden file', async ({ name, file, object }) => {
    await expect(stringify(readable(object), { lineWidth: 120 })).toMatchFileSnapshot(
      `${GOLDEN}${name}/${file}`,
    );
  });

  it.each(Object.keys(CASES))('%s has no golden file without an object', (name) => {
    expect(readdirSync(`${GOLDEN}${name}`).toSorted()).toEqual(
      files
        .filter((one) => one.name === name)
        .map(({ file }) => file)
        .toSorted(),
    );
  });

  it.each(Object.keys(CASES))('%s gives the data plane a configuration that it accepts', (name) => {
    const secret = rendered(name).objects.find(({ kind }) => kind === 'Secret') ?? null;
    const file: unknown = JSON.parse(secretFiles(secret)['sealgate.json'] ?? '');
    expect(configFile.safeParse(file).error?.issues ?? []).toEqual([]);
    expect(file).toMatchObject({ revision: rendered(name).revision });
  });
});

describe('the end of a pod', () => {
  it.each([
    [1, 500],
    [2, 1_000],
    [10, 9_000],
    [600, 599_000],
  ])('with a grace of %i s is over by itself after %i ms, before the kill', (grace, limitMs) => {
    const { objects } = renderFleet(context({ terminationGracePeriodSeconds: grace }), INPUTS);
    const secret = objects.find(({ kind }) => kind === 'Secret') ?? null;
    const file = configFile.parse(JSON.parse(secretFiles(secret)['sealgate.json'] ?? ''));
    expect(file.shutdownLimit).toBe(limitMs);
    expect(limitMs).toBeLessThan(grace * 1_000);
  });
});

const podTemplate = z.object({
  spec: z.object({
    template: z.object({ metadata: z.object({ annotations: z.record(z.string(), z.string()) }) }),
  }),
});

function restartOf(spec: Record<string, unknown>, inputs: Partial<RenderInputs> = {}): string | undefined {
  const { objects } = renderFleet(context(spec), { ...INPUTS, ...inputs });
  const template = podTemplate.parse(objects.find(({ kind }) => kind === 'StatefulSet')).spec.template;
  return template.metadata.annotations['sealgate.io/restart'];
}

describe('a change', () => {
  it.each([
    ['the region', { region: 'eu-west-1' }],
    ['S3 with TLS or without', { s3: { tls: false } }],
    ['the number of workers', { workers: 7 }],
    ['the cores that decide the number of workers', { resources: { requests: { cpu: '5' } } }],
  ])('of %s restarts the pods', (_, spec) => {
    expect(restartOf(spec)).not.toBe(restartOf({}));
  });

  it('of the installation key restarts the pods', () => {
    const installation = { ...INPUTS.installation, key: 'cd'.repeat(32) };
    expect(restartOf({}, { installation })).not.toBe(restartOf({}));
  });

  it.each([
    ['a domain', { s3: { domains: ['s3.example.com'] } }],
    ['a policy', { policy: { plainBuckets: 'Refused' } }],
    ['the log level', { logLevel: 'debug' }],
    ['the default connection', { defaultKmsConnection: 'team-a/keysecure' }],
  ])('of %s reaches the pods without a restart', (_, spec) => {
    expect(restartOf(spec)).toBe(restartOf({}));
    expect(renderFleet(context(spec), INPUTS).revision).not.toBe(renderFleet(context(), INPUTS).revision);
  });

  it.each<[string, Partial<RenderInputs>]>([
    ['a certificate', { s3Certificate: { cert: 'another', key: 'another' } }],
    ['a token', { adminTokens: { ...INPUTS.adminTokens, tokens: ['new'.padEnd(32, '-')] } }],
    ['the root credentials', { rootFile: '{}' }],
  ])('of %s gives another revision, and no restart', (_, inputs) => {
    expect(renderFleet(context(), { ...INPUTS, ...inputs }).revision).not.toBe(
      renderFleet(context(), INPUTS).revision,
    );
    expect(restartOf({}, inputs)).toBe(restartOf({}));
  });
});

describe('names', () => {
  it('spread connections over sixteen Secrets by their hash', () => {
    const secrets = fleetNames('sealgate').connectionSecrets;
    expect(secrets).toHaveLength(16);
    const used = new Set(
      Array.from({ length: 500 }, (_, n) => connectionSecretName('sealgate', `team-${n}/keysecure`)),
    );
    expect([...used].toSorted()).toEqual([...secrets].toSorted());
  });

  it('of the S3 certificate hold every way to the Service, and each once', () => {
    const spec = { s3: { domains: ['s3.example.com'], externalUrl: 'https://s3.example.com:8443' } };
    expect(s3ServedNames(context(spec), ['10.96.0.17', 'fd00::11'])).toEqual({
      commonName: 'sealgate.storage.svc',
      dnsNames: [
        'sealgate.storage.svc',
        'sealgate.storage.svc.cluster.local',
        'sealgate.storage',
        'sealgate',
        's3.example.com',
        '*.s3.example.com',
      ],
      ipAddresses: ['10.96.0.17', 'fd00::11'],
    });
    expect(s3ServedNames(context({ s3: { externalUrl: 'https://192.0.2.7' } }), []).ipAddresses).toEqual([
      '192.0.2.7',
    ]);
  });
});
