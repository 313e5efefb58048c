/**
 * The custom resources on a real API server: what it lets through, what it refuses and in which words, what it fills in,
 * and what it shows.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { resourceSchema } from '../../crds/crd.ts';
import { encryptedBucketResource, parseEncryptedBucket } from '../../crds/encryptedbucket.ts';
import {
  KMIP_PROFILE_PROTOCOLS,
  kmsConnectionResource,
  parseKMSConnection,
} from '../../crds/kmsconnection.ts';
import { KMIP_PROFILE_NAMES, profileWith } from '../../dataplane/keys/kmip/profiles.ts';
import { isBucketName } from '../../dataplane/s3/target.ts';
import type { Answer } from './customResources/apiRequests.ts';
import { overstepped } from './customResources/bounds.ts';
import { BUCKET_RULES } from './customResources/bucketRules.ts';
import { CONNECTION_RULES } from './customResources/connectionRules.ts';
import { fieldsOf, publishedFields, tableOf } from './customResources/display.ts';
import { RELEASES } from './customResources/releases.ts';
import { type RuleCase, rulesOf } from './customResources/rules.ts';
import {
  BUCKET_STATUS,
  CONNECTION_STATUS,
  FULL_BUCKET,
  FULL_CONNECTION,
  identityOf,
  type Json,
  LEAST_BUCKET,
  LEAST_CONNECTION,
  NAMESPACE,
  patched,
} from './customResources/samples.ts';
import { place, WAIT, World } from './customResources/world.ts';

const KINDS = [
  {
    resource: encryptedBucketResource,
    least: LEAST_BUCKET,
    full: FULL_BUCKET,
    status: BUCKET_STATUS,
    ruleCases: BUCKET_RULES,
    read: parseEncryptedBucket,
    columns: ['Name', 'Ready', 'Reason', 'Bucket', 'KMS', 'Key version', 'Age'],
    wide: { Objects: 4_000_000_000, Size: '12Gi' },
    cells: { Ready: 'True', Reason: 'Available', Bucket: 'invoices', KMS: 'keysecure', 'Key version': 2 },
    selected:
      'spec.bucketName=invoices,spec.kmsConnectionRef.name=keysecure,spec.kmsConnectionRef.namespace=kms',
    unselected: 'spec.kmsConnectionRef.name=other',
  },
  {
    resource: kmsConnectionResource,
    least: LEAST_CONNECTION,
    full: FULL_CONNECTION,
    status: CONNECTION_STATUS,
    ruleCases: CONNECTION_RULES,
    read: parseKMSConnection,
    columns: ['Name', 'Ready', 'Reason', 'Protocol', 'Endpoints', 'Buckets', 'Age'],
    wide: {},
    cells: { Ready: 'True', Reason: 'Available', Protocol: '1.3', Endpoints: '1/2', Buckets: 3 },
    selected: 'spec.provider=KMIP',
    unselected: 'spec.provider=Other',
  },
] as const;

const KEEP = {};
const STRICT = { dryRun: 'All', fieldValidation: 'Strict' };
const named = (object: Json, name: string): Json => patched(object, { metadata: { name } });

const hyphenBesideDot = (name: string): Json =>
  patched(LEAST_BUCKET, { metadata: { name }, spec: { bucketName: `${name}-.b` } });

describe.each(RELEASES)('on Kubernetes %s', (release) => {
  let world: World;
  beforeAll(async () => {
    world = await World.create(release);
  });
  afterAll(() => world?.close());

  describe.each(KINDS)('$resource.kind', ({ resource, least, full, status, ruleCases, read, ...shown }) => {
    const schema = resourceSchema(resource);
    const { plural } = resource;

    /** Sends the full object with a change; for a rule on changes, the change of an object that is there. */
    const judge = async (rule: RuleCase, patch: Json): Promise<Answer> => {
      if (rule.before === undefined) return await world.create(plural, patched(full, patch));
      const before = patched(full, rule.before);
      expect([201, 409]).toContain((await world.create(plural, before, KEEP)).status);
      return await world.change(plural, identityOf(before).name, patch);
    };

    it('has a case for each rule of its schema', () => {
      const known = ruleCases.map(({ field, says }) => `${field.replaceAll('[0]', '[]')}: ${says}`);
      const rules = rulesOf(schema).map(({ field, says }) => `${field}: ${says}`);
      expect([...new Set(known)].sort()).toEqual([...new Set(rules)].sort());
    });

    it.each(ruleCases.flatMap((rule) => rule.passes.map((patch) => ({ ...rule, patch }))))(
      'lets through what the rule on $field permits: $patch',
      async (rule) => {
        expect((await judge(rule, rule.patch)).message).toBe('');
      },
    );

    it.each(ruleCases.flatMap((rule) => rule.refuses.map((patch) => ({ ...rule, patch }))))(
      'refuses by the rule on $field alone, and in its words: $patch',
      async (rule) => {
        const { status: code, causes } = await judge(rule, rule.patch);
        expect(code).toBe(422);
        expect(causes.map(({ field }) => field)).toEqual([...(rule.beside ?? []), rule.field]);
        expect(causes.at(-1)?.message.endsWith(`: ${rule.says}`), causes.at(-1)?.message).toBe(true);
      },
    );

    it.each(overstepped(schema, full).filter(({ field }) => field.startsWith('spec')))(
      'refuses $field beyond its bound: $bound',
      async ({ field, object, says }) => {
        const { status: code, causes } = await world.create(plural, object);
        expect(code).toBe(422);
        expect(causes.filter((cause) => cause.field === field && says.test(cause.message))).not.toEqual([]);
      },
    );

    it('takes an object with every field, and keeps all of it', async () => {
      const made = await world.create(plural, full, STRICT);
      expect(made.message).toBe('');
      expect(made.body).toMatchObject({ spec: full['spec'] });
    });

    it.each(['quota', 'lifecycle', 'objectLock', 'versioning', 'compromisedKeys'])(
      'refuses the field %s, which is not built',
      async (field) => {
        const refused = await world.create(plural, patched(least, { spec: { [field]: {} } }), STRICT);
        expect(refused.status).toBe(400);
        expect(refused.message).toContain(`unknown field "spec.${field}"`);
      },
    );

    it('gets the same defaults from the API server as from the operator', async () => {
      const { body } = await world.create(plural, least);
      expect(body).toMatchObject({ spec: read(least).spec });
      expect(read(body).spec).toEqual(read(least).spec);
    });

    it('is Pending until an operator has looked at it', async () => {
      await world.create(plural, named(least, 'pending'), KEEP);
      const waiting = {
        type: 'Ready',
        status: 'Unknown',
        reason: 'Pending',
        message: 'Waiting for the operator',
        lastTransitionTime: '1970-01-01T00:00:00Z',
      };
      expect(await world.read(plural, 'pending')).toMatchObject({
        status: { observedGeneration: -1, conditions: [waiting] },
      });
    });

    it('has a status that only its own endpoint changes, and that is checked', async () => {
      const name = 'with-status';
      await world.create(plural, named(least, name), KEEP);
      expect((await world.change(plural, name, { status }, KEEP)).status).toBe(200);
      expect(read(await world.read(plural, name)).status.observedGeneration).toBe(-1);

      const written = await world.change(plural, `${name}/status`, { status, spec: null }, KEEP);
      expect(written.message).toBe('');
      expect(written.body).toMatchObject({ status, spec: read(least).spec, metadata: { generation: 1 } });
      expect(read(written.body).status).toEqual(status);

      const [{ reason: _, ...unreasoned }] = status.conditions;
      const bad = await world.change(plural, `${name}/status`, { status: { conditions: [unreasoned] } });
      expect(bad.causes[0]).toEqual({ field: 'status.conditions[0].reason', message: 'Required value' });
    });

    it('is shown by kubectl get with its columns, and selected by its fields', async () => {
      await world.create(plural, named(full, 'shown'), KEEP);
      await world.change(plural, 'shown/status', { status }, KEEP);
      const list = async (selector: string) =>
        tableOf(
          (
            await world.api.send('GET', `${place(plural, NAMESPACE)}?fieldSelector=${selector}`, {
              accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
            })
          ).body,
        );
      const own = await list(`metadata.name=shown,${shown.selected}`);
      expect(own.columns).toEqual(shown.columns);
      expect(own.wide).toEqual(Object.keys(shown.wide));
      expect(own.rows).toEqual([expect.objectContaining({ Name: 'shown', ...shown.cells, ...shown.wide })]);
      expect((await list(`metadata.name=shown,${shown.unselected}`)).rows).toEqual([]);
    });

    it('has a description for every field in the document that kubectl explain reads', async () => {
      const fields = fieldsOf(schema);
      expect(fields.length).toBeGreaterThan(20);
      await vi.waitFor(async () => {
        const { body } = await world.api.send('GET', '/openapi/v3/apis/sealgate.io/v1alpha1');
        expect(publishedFields(body, resource.kind)).toEqual(expect.arrayContaining(fields));
      }, WAIT);
    });
  });

  it('takes the protocol versions from the profile as the data plane does', async () => {
    expect(Object.keys(KMIP_PROFILE_PROTOCOLS)).toEqual(KMIP_PROFILE_NAMES);
    const versions = [undefined, '1.0', '1.1', '1.2', '1.3', '1.4'] as const;
    const wishes = KMIP_PROFILE_NAMES.flatMap((profile) =>
      versions.flatMap((min) => versions.map((max) => ({ profile, protocol: { min, max } }))),
    );
    const answers = await Promise.all(
      wishes.map(async ({ profile, protocol }) => {
        const made = await world.create(
          'kmsconnections',
          patched(LEAST_CONNECTION, { spec: { kmip: { profile, protocol } } }),
        );
        return { profile, protocol, taken: made.status === 201 };
      }),
    );
    expect(answers).toEqual(
      wishes.map(({ profile, protocol: wish }) => {
        const { min, max } = profileWith(profile, wish).protocol;
        return { profile, protocol: wish, taken: min <= max };
      }),
    );
  });

  it('takes the bucket names that the data plane takes', async () => {
    const part = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('a', 'z', '0', '9', '-', '.', 'ab', '.1', '7.') },
      fc.constantFrom('xn--', 'sthree-', 'amzn-s3-demo-', '-s3alias', '--ol-s3', '.mrap', '--x-s3', 'A', '_'),
    );
    const text = fc.array(part, { minLength: 3, maxLength: 12 }).map((parts) => parts.join(''));
    const length = fc.nat(63).map((size) => 'n'.repeat(size));
    const names = fc.sample(fc.oneof({ weight: 9, arbitrary: text }, length), 300);
    const answers = await Promise.all(
      names.map(async (bucketName) => {
        const { status } = await world.create(
          'encryptedbuckets',
          patched(LEAST_BUCKET, { spec: { bucketName } }),
        );
        return { bucketName, taken: status === 201 };
      }),
    );
    expect(answers).toEqual(names.map((bucketName) => ({ bucketName, taken: isBucketName(bucketName) })));
  });

  it.each([
    {
      resource: kmsConnectionResource,
      part: '.credentials',
      old: named(LEAST_CONNECTION, 'old.credentials'),
      another: named(LEAST_CONNECTION, 'another.credentials'),
      status: CONNECTION_STATUS,
    },
    {
      resource: encryptedBucketResource,
      part: "'.-'",
      old: hyphenBesideDot('old'),
      another: hyphenBesideDot('another'),
      status: BUCKET_STATUS,
    },
  ])(
    'lets one of kind $resource.kind go whose name is not permitted any more',
    async ({ resource, part, old, another, status }) => {
      const { plural, rules } = resource;
      const { name } = identityOf(old);
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.sealgate.io`;
      const setRules = async (rules: unknown): Promise<void> => {
        const at = '/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-validations';
        const answer = await world.api.send('PATCH', path, {
          body: [{ op: 'replace', path: at, value: rules }],
          contentType: 'application/json-patch+json',
        });
        expect(answer.message).toBe('');
      };
      const finalizers = (list: readonly string[]) =>
        world.change(plural, name, { metadata: { finalizers: list } }, KEEP);
      await setRules(rules.filter(({ rule }) => !rule.includes(part)));
      await vi.waitFor(async () => expect((await world.create(plural, old, KEEP)).message).toBe(''), WAIT);
      await setRules(rules);
      await vi.waitFor(async () => expect((await world.create(plural, another)).status).toBe(422), WAIT);
      expect((await finalizers(['sealgate.io/finalizer'])).message).toBe('');
      expect((await finalizers([])).message).toBe('');
      expect((await world.change(plural, `${name}/status`, { status })).message).toBe('');
    },
  );

  it('takes the samples of the page', async () => {
    const page = readFileSync(new URL('../../docs/custom-resources.md', import.meta.url), 'utf8');
    const samples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) =>
      z.record(z.string(), z.unknown()).parse(parse(text)),
    );
    expect(samples.map((sample) => sample['kind'])).toEqual(['KMSConnection', 'EncryptedBucket']);
    for (const sample of samples) {
      const plural = sample['kind'] === 'KMSConnection' ? 'kmsconnections' : 'encryptedbuckets';
      expect((await world.create(plural, sample, STRICT)).message).toBe('');
    }
  });

  it('lists both kinds as sealgate and by their short names, and explains fields at the command line', async () => {
    // Not the folder that remembers how the server was without these kinds.
    const env = { KUBECACHEDIR: join(world.controlPlane.folder, 'fresh') };
    const kubectl = async (...args: string[]) => await world.controlPlane.kubectl(args, { env });
    for (const { resource, least } of KINDS) {
      await world.create(resource.plural, named(least, 'listed'), KEEP);
    }
    expect(await kubectl('get', 'sealgate', '-n', NAMESPACE, '-o', 'name')).toMatch(
      /^encryptedbucket\.sealgate\.io\/listed$[^]*^kmsconnection\.sealgate\.io\/listed$/m,
    );
    expect(await kubectl('get', 'ebkt/listed', 'kmsc/listed', '-n', NAMESPACE)).toMatch(
      /NAME +READY +REASON +BUCKET +KMS +KEY VERSION +AGE\n\S+listed +Unknown +Pending +keysecure[^]*NAME +READY +REASON +PROTOCOL +ENDPOINTS +BUCKETS +AGE\n\S+listed +Unknown +Pending/,
    );
    const unnamed = 'spec.bucketName=,metadata.name=listed';
    expect(await kubectl('get', 'ebkt', '-A', '--field-selector', unnamed, '-o', 'name')).toBe(
      'encryptedbucket.sealgate.io/listed\n',
    );
    expect(await kubectl('explain', 'ebkt.spec.deletionPolicy')).toMatch(
      /ENUM:\n +Retain\n +DeleteIfEmpty\n +Purge\n[^]*What deleting the resource does to the\s+bucket\./,
    );
  });
});
