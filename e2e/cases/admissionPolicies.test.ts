/** The admission policies on a real API server: who may set what, and that nobody is held up who changes nothing of it. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answer } from './customResources/apiRequests.ts';
import { RELEASES } from './customResources/releases.ts';
import { BUCKET_STATUS, type Json, LEAST_BUCKET, NAMESPACE, patched } from './customResources/samples.ts';
import { type Query, WAIT, World } from './customResources/world.ts';

const BUCKETS = 'encryptedbuckets';
const KEEP = {};
const ADOPT = { spec: { adopt: true } };
const PURGE = { spec: { deletionPolicy: 'Purge' } };
const FINALIZED = { metadata: { finalizers: ['sealgate.io/finalizer'] } };

const bucket = (name: string, ...patches: readonly Json[]): Json =>
  [{ metadata: { name } }, ...patches].reduce<Json>(patched, LEAST_BUCKET);

/** A role in the namespaces of the tests, and the user who has it. */
function allowed(user: string, resources: readonly string[], verbs: readonly string[]): Json[] {
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };
  const metadata = { name: `${user}-${resources.join('-').replaceAll('/', '-')}` };
  return [
    { ...rbac, kind: 'ClusterRole', metadata, rules: [{ apiGroups: ['sealgate.io'], resources, verbs }] },
    {
      ...rbac,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  ];
}

const EDIT = ['get', 'list', 'create', 'update', 'patch', 'delete'];
/** Alice edits; Bob may adopt and Carol destroy as well; Dora names buckets as she likes. The operator only updates. */
const ROLES = [
  ...allowed('alice', [BUCKETS], EDIT),
  ...allowed('bob', [BUCKETS], [...EDIT, 'adopt']),
  ...allowed('carol', [BUCKETS], [...EDIT, 'destroy']),
  ...allowed('dora', [BUCKETS], [...EDIT, 'claimanyname']),
  ...allowed('operator', [BUCKETS, `${BUCKETS}/status`], ['get', 'patch', 'update']),
];

const NEEDS_ADOPT = 'spec.adopt needs the verb adopt on encryptedbuckets.sealgate.io in namespace team-a';
const NEEDS_DESTROY =
  'deletionPolicy Purge needs the verb destroy on encryptedbuckets.sealgate.io in namespace team-a';

describe.each(RELEASES)('on Kubernetes %s', (release) => {
  let world: World;
  const create = async (as: string, object: Json, query?: Query): Promise<Answer> =>
    await world.create(BUCKETS, object, query, as);
  const change = async (as: string, name: string, patch: Json, query?: Query): Promise<Answer> =>
    await world.change(BUCKETS, name, patch, query, as);
  const refused = (answer: Answer, why: string): void => {
    expect(answer.message).toContain(why);
    expect(answer.status).toBe(403);
  };
  const taken = ({ message, status }: Answer): void => {
    expect(message).toBe('');
    expect(status).toBeLessThan(300);
  };
  /** Made by the administrator, who may everything, and kept. */
  const made = async (name: string, ...patches: readonly Json[]): Promise<void> =>
    taken(await world.create(BUCKETS, bucket(name, ...patches), KEEP));
  const deleted = async (as: string, name: string): Promise<Answer> =>
    await world.api.send('DELETE', `/apis/sealgate.io/v1alpha1/namespaces/${NAMESPACE}/${BUCKETS}/${name}`, {
      as,
    });

  beforeAll(async () => {
    world = await World.create(release);
    await world.controlPlane.kubectl(['create', '-f', 'crds/policies.yaml']);
    await world.controlPlane.apply(...ROLES);
    await world.namespace('prefixed', { 'sealgate.io/bucket-prefix': 'team-b' });
    await vi.waitFor(async () => {
      refused(await create('alice', bucket('early', ADOPT)), NEEDS_ADOPT);
      taken(await create('bob', bucket('early', ADOPT)));
      taken(await create('carol', bucket('early', PURGE)));
    }, WAIT);
  });
  afterAll(() => world?.close());

  it('whoever edits makes and changes a bucket that adopts and destroys nothing', async () => {
    taken(await create('alice', bucket('plain', { spec: { deletionPolicy: 'DeleteIfEmpty' } }), KEEP));
    taken(await change('alice', 'plain', { spec: { deletionPolicy: 'Retain', adopt: false } }));
    taken(await deleted('alice', 'plain'));
  });

  it.each([
    ['adopt', ADOPT, NEEDS_ADOPT, 'bob', 'carol'],
    ['destroy', PURGE, NEEDS_DESTROY, 'carol', 'bob'],
  ])(
    'what needs the verb %s is refused without it, at creation and later',
    async (verb, patch, why, who, other) => {
      await made(`asks-${verb}`);
      for (const user of ['alice', other]) {
        refused(await create(user, bucket(`new-${verb}`, patch)), why);
        refused(await change(user, `asks-${verb}`, patch), why);
      }
      taken(await create(who, bucket(`new-${verb}`, patch)));
      taken(await change(who, `asks-${verb}`, patch));
    },
  );

  it('both at once need both verbs', async () => {
    refused(await create('bob', bucket('both', ADOPT, PURGE)), NEEDS_DESTROY);
    refused(await create('carol', bucket('both', ADOPT, PURGE)), NEEDS_ADOPT);
  });

  it('a server-side apply that makes the resource is judged, too', async () => {
    const url = `/apis/sealgate.io/v1alpha1/namespaces/${NAMESPACE}/${BUCKETS}/applied?fieldManager=test&dryRun=All`;
    const contentType = 'application/apply-patch+yaml';
    const body = bucket('applied', ADOPT);
    refused(await world.api.send('PATCH', url, { body, contentType, as: 'alice' }), NEEDS_ADOPT);
    taken(await world.api.send('PATCH', url, { body, contentType, as: 'bob' }));
  });

  it('who set it once is not asked again: others change and delete the resource, and may take it back', async () => {
    await made('granted', ADOPT, PURGE);
    const more = { spec: { keyRotation: { interval: '48h' } }, metadata: { annotations: { note: 'x' } } };
    taken(await change('alice', 'granted', more, KEEP));
    taken(await change('alice', 'granted', { spec: { adopt: false, deletionPolicy: 'Retain' } }, KEEP));
    refused(await change('alice', 'granted', ADOPT), NEEDS_ADOPT);
    refused(await change('alice', 'granted', PURGE), NEEDS_DESTROY);
    taken(await deleted('alice', 'granted'));
  });

  it('the operator writes finalizers, annotations and status of every resource without these verbs', async () => {
    await made('operated', ADOPT, PURGE);
    taken(await change('operator', 'operated', FINALIZED, KEEP));
    taken(
      await change('operator', 'operated', { metadata: { annotations: { 'sealgate.io/x': 'y' } } }, KEEP),
    );
    taken(await change('operator', 'operated/status', { status: BUCKET_STATUS }, KEEP));
  });

  it('the finalizer of a resource that is being deleted can be removed', async () => {
    await made('leaving', PURGE, FINALIZED);
    taken(await deleted('alice', 'leaving'));
    expect(await world.read(BUCKETS, 'leaving')).toHaveProperty('metadata.deletionTimestamp');
    taken(await change('operator', 'leaving/status', { status: BUCKET_STATUS }, KEEP));
    taken(await change('operator', 'leaving', { metadata: { finalizers: null } }, KEEP));
    expect(await world.read(BUCKETS, 'leaving')).toMatchObject({ kind: 'Status', code: 404 });
  });

  it('a deletion that waits cannot be turned into one that destroys without the verb', async () => {
    await made('waiting', { spec: { deletionPolicy: 'DeleteIfEmpty' } }, FINALIZED);
    taken(await deleted('alice', 'waiting'));
    refused(await change('alice', 'waiting', PURGE), NEEDS_DESTROY);
    taken(await change('carol', 'waiting', PURGE));
    taken(await change('alice', 'waiting', { spec: { deletionPolicy: 'Retain' } }));
  });

  describe('in a namespace with the label sealgate.io/bucket-prefix', () => {
    const within = (name: string, spec: Json = {}): Json =>
      bucket(name, { metadata: { namespace: 'prefixed' }, spec });
    const WHY = 'bucket names in namespace prefixed must begin with team-b-';

    it('names that begin otherwise are refused, whether given or taken from the resource', async () => {
      refused(await create('alice', within('invoices')), WHY);
      refused(await create('alice', within('team-b')), WHY);
      refused(await create('alice', within('team-bx')), WHY);
      refused(await create('alice', within('team-b-invoices', { bucketName: 'invoices' })), WHY);
    });

    it('names that begin so are taken, and all names from whoever has the verb claimanyname', async () => {
      taken(await create('alice', within('team-b-invoices')));
      taken(await create('alice', within('invoices', { bucketName: 'team-b-invoices' })));
      taken(await create('dora', within('invoices')));
    });

    it('other namespaces have all names', async () => {
      taken(await create('alice', bucket('invoices')));
    });
  });
});
