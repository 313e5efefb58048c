/**
 * One installation for the whole story: a team with a KMS, another team, and a namespace that will be deleted; people
 * with roles of the chart; and S3 clients with the values of Secrets.
 */
import { readFile } from 'node:fs/promises';
import {
  GetObjectCommand,
  HeadBucketCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { z } from 'zod';
import type { CertificateFiles } from '../../../harness/certificates.ts';
import { type Installation, installSealgate } from '../../../harness/cluster/installation.ts';
import { importDatedImage, LIBRARY_IN_IMAGE } from '../../../harness/cluster/productImage.ts';
import { sharedCluster } from '../../../harness/cluster/sharedCluster.ts';
import { hoursAhead } from '../../../harness/fakeTime.ts';
import { Observer, type Which } from './observer.ts';

const NAMESPACE = 'story';
export const TEAM = 'story-team';
export const OTHER = 'story-other';
export const DOOMED = 'story-doomed';
/** Of the team, with the installation's own KMS. */
export const CONNECTION = 'keysecure';
const CHART = 'charts/sealgate';

const rootFile = z.object({ accessKeyId: z.string(), secretAccessKey: z.string() });

export const connection = (name: string, namespace?: string): Which => ({
  kind: 'KMSConnection',
  name,
  ...(namespace === undefined ? {} : { namespace }),
});
export const bucket = (name: string, namespace?: string): Which => ({
  kind: 'EncryptedBucket',
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

/** Short, so that nothing waits long for a KMS that is away, and no key is kept in memory. */
export const UNCACHED = { cache: { ttl: '0s', staleLimit: '0s' } };

export class World {
  readonly installation: Installation;
  readonly observer: Observer;

  static async create(): Promise<World> {
    const cluster = sharedCluster();
    await cluster.apply(
      ...[OTHER, DOOMED].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    );
    const installation = await installSealgate({
      cluster,
      namespace: NAMESPACE,
      image: await importDatedImage(cluster),
      watchNamespaces: [NAMESPACE, TEAM, OTHER, DOOMED],
      values: { 'fleet.defaultKmsConnection': `${TEAM}/${CONNECTION}` },
    });
    const world = new World(installation);
    const allowedNamespaces = { from: 'Selector', selector: { matchLabels: { kms: 'yes' } } };
    await Promise.all([installation.connectKms(CONNECTION, { allowedNamespaces }), world.#givePeopleRoles()]);
    return world;
  }

  constructor(installation: Installation) {
    this.installation = installation;
    this.observer = new Observer(installation);
  }

  async kubectl(args: readonly string[], stdin?: string): Promise<string> {
    return await this.installation.cluster.kubectl(args, stdin === undefined ? {} : { stdin });
  }

  /**
   * What the chart brings for the whole cluster: policies, and roles for people. `story-editor` has the role edit in the
   * team's namespace, `story-adopter` that one and adopt.
   */
  async #givePeopleRoles(): Promise<void> {
    const shown = ['templates/crds.yaml', 'templates/roles.yaml'].flatMap((file) => ['--show-only', file]);
    const { cluster } = this.installation;
    const text = await cluster.helm(['template', NAMESPACE, CHART, '-n', NAMESPACE, ...shown]);
    const documents = text.split(/^---$/m).filter((one) => /^kind: (?:ClusterRole|Validating)/m.test(one));
    await this.kubectl(['apply', '-f', '-'], documents.join('\n---\n'));
    const adopt = /name: (\S+-adopt)$/m.exec(text)?.[1] ?? '';
    const roles = [
      ['story-editor', 'edit'],
      ['story-adopter', 'edit'],
      ['story-adopter', adopt],
    ] as const;
    const group = 'rbac.authorization.k8s.io';
    await cluster.apply(
      ...roles.map(([name, role]) => ({
        apiVersion: `${group}/v1`,
        kind: 'RoleBinding',
        metadata: { name: `${name}-${role}`, namespace: TEAM },
        roleRef: { apiGroup: group, kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: group, kind: 'User', name }],
      })),
    );
  }

  /** Applies as the administrator, or as somebody else. */
  async declare(
    name: string,
    spec: object,
    { namespace = TEAM, as }: { readonly namespace?: string; readonly as?: string } = {},
  ): Promise<void> {
    const object = {
      apiVersion: 'sealgate.io/v1alpha1',
      kind: 'EncryptedBucket',
      metadata: { name, namespace },
      spec: { kmsConnectionRef: { name: CONNECTION, namespace: TEAM }, ...spec },
    };
    const user = as === undefined ? [] : [`--as=${as}`];
    await this.kubectl(['apply', '-f', '-', ...user], JSON.stringify(object));
  }

  async annotate({ kind, name, namespace = TEAM }: Which, annotation: string): Promise<void> {
    await this.kubectl(['annotate', kind, name, '-n', namespace, '--overwrite', annotation]);
  }

  /** Does not wait for its end. */
  async delete({ kind, name, namespace = TEAM }: Which): Promise<void> {
    await this.kubectl(['delete', kind, name, '-n', namespace, '--wait=false']);
  }

  /** What kubectl writes. */
  async patch({ kind, name, namespace = TEAM }: Which, patch: object, ...more: string[]): Promise<string> {
    const body = JSON.stringify(patch);
    return await this.kubectl(['patch', kind, name, '-n', namespace, '--type=merge', '-p', body, ...more]);
  }

  /** Replaces the client certificate in a Secret; `ca`: whom to trust. */
  async putCertificate(secret: string, files: CertificateFiles, ca: string, namespace = TEAM): Promise<void> {
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: secret, namespace },
      type: 'kubernetes.io/tls',
      stringData: {
        'tls.crt': await readFile(files.cert, 'utf8'),
        'tls.key': await readFile(files.key, 'utf8'),
        'ca.crt': await readFile(ca, 'utf8'),
      },
    };
    await this.kubectl(['apply', '-f', '-'], JSON.stringify(object));
  }

  /** The data-plane pod is made anew with a calendar that is so far ahead. S3 requests are out of its time then. */
  async setCalendarAhead(hours: number): Promise<void> {
    const set = Object.entries(hoursAhead(hours, LIBRARY_IN_IMAGE)).map(
      ([name, value]) => `${name}=${value}`,
    );
    const at = [`statefulset/${NAMESPACE}`, '-n', NAMESPACE];
    await this.kubectl(['set', 'env', ...at, ...set]);
    await this.kubectl(['rollout', 'status', ...at, '--timeout=60s']);
  }

  /** With the values of an access Secret. */
  async client(secret: string, namespace = TEAM): Promise<S3Client> {
    return await this.installation.s3(await this.installation.secret(secret, namespace));
  }

  /** The installation's own account, which owns every bucket; `accessSecret`: any one, for the endpoint. */
  async root(accessSecret: string, namespace = TEAM): Promise<S3Client> {
    const values = await this.installation.secret(accessSecret, namespace);
    const secret = await this.installation.secret(`${NAMESPACE}-root`, NAMESPACE);
    const root = rootFile.parse(JSON.parse(secret['root.json'] ?? ''));
    return await this.installation.s3({
      ...values,
      AWS_ACCESS_KEY_ID: root.accessKeyId,
      AWS_SECRET_ACCESS_KEY: root.secretAccessKey,
    });
  }

  async close(): Promise<void> {
    this.observer.close();
    await this.installation.close();
  }
}

export const access = (secretName: string, more: object = {}): object => ({
  access: [{ name: 'app', permissions: 'ReadWrite', secretName, ...more }],
});

export const put = async (s3: S3Client, bucketName: string, key: string, body: string): Promise<void> => {
  await s3.send(new PutObjectCommand({ Bucket: bucketName, Key: key, Body: body }));
};

export const get = async (s3: S3Client, bucketName: string, key: string): Promise<string | undefined> => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucketName, Key: key }));
  return await Body?.transformToString();
};

/** The code of the error that it ends in; null: it succeeds. HeadBucket tells the HTTP status alone. */
export async function errorOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.name;
    throw error;
  }
}

export const exists = async (s3: S3Client, bucketName: string): Promise<boolean> =>
  (await errorOf(s3.send(new HeadBucketCommand({ Bucket: bucketName })))) === null;
