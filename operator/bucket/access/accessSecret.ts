/** What an access Secret holds, and the marks by which the operator knows its own. Pure. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { keyOf } from '../../kube/paths.ts';
import type { KubeObject } from '../../kube/resource.ts';
import type { Credential } from './credentials.ts';

const OWNED_BY = 'sealgate.io/owned-by';
/** Hash of the owner, to list by; an owner's name can be longer than a label. */
const OWNER_HASH = 'sealgate.io/owner-hash';
const IMPORT = 'sealgate.io/import';
const OWNER = 'sealgate.io/owner';
const ENTRY = 'sealgate.io/access-entry';
/** The Secret's own name: a copy of it that somebody made under another is not ours. */
const SECRET_NAME = 'sealgate.io/access-secret';
const KEY_ID = 'sealgate.io/access-key-id';
/** The last value of the rotation annotation that was carried out. */
const ROTATED = 'sealgate.io/rotated';
/** Keys that still work for a while: `ID=time`, comma-separated. */
const PREVIOUS = 'sealgate.io/previous-access-keys';
/** Names of the fields that were added to an imported Secret. */
const ADDED = 'sealgate.io/added-keys';

/** Where the data plane is, as applications reach it. */
export interface EndpointFacts {
  /** Such as https://10.96.3.7. */
  readonly internalUrl: string;
  readonly host: string;
  readonly port: number;
  readonly region: string;
  /** PEM of the authority of the S3 certificate; null: publicly trusted, or no TLS. */
  readonly caPem: string | null;
  readonly externalUrl: string | null;
}

/** Everything that an application needs beside the credential. */
export function endpointContent(bucketName: string, endpoint: EndpointFacts): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_S3: endpoint.internalUrl,
    AWS_REGION: endpoint.region,
    AWS_DEFAULT_REGION: endpoint.region,
    BUCKET_NAME: bucketName,
    BUCKET_HOST: endpoint.host,
    BUCKET_PORT: String(endpoint.port),
    BUCKET_REGION: endpoint.region,
    ...(endpoint.caPem === null ? {} : { 'ca.crt': endpoint.caPem }),
  };
}

export const credentialContent = ({ id, secret }: Credential): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: id,
  AWS_SECRET_ACCESS_KEY: secret,
});

/** A key that was replaced and still works until then. */
export interface PreviousKey {
  readonly id: string;
  readonly expiresAtMs: number;
}

/** What the marks of a Secret say. */
export interface SecretMarks {
  readonly owner: string | null;
  readonly keyId: string | null;
  readonly rotated: string;
  readonly previous: readonly PreviousKey[];
  readonly added: readonly string[];
}

export function marksOf({ metadata }: KubeObject): SecretMarks {
  const { annotations = {} } = metadata;
  return {
    owner: annotations[OWNER] ?? null,
    keyId: annotations[KEY_ID] ?? null,
    rotated: annotations[ROTATED] ?? '',
    previous: (annotations[PREVIOUS] ?? '').split(',').flatMap((text): PreviousKey[] => {
      const [id = '', time = ''] = text.split('=');
      const expiresAtMs = Date.parse(time);
      return id === '' || Number.isNaN(expiresAtMs) ? [] : [{ id, expiresAtMs }];
    }),
    added: (annotations[ADDED] ?? '').split(',').filter((name) => name !== ''),
  };
}

/** The annotations of a Secret that the operator made for that entry. */
export function ownAnnotations(
  owner: string,
  secretName: string,
  entry: string,
  marks: Pick<SecretMarks, 'rotated' | 'previous'> & { readonly keyId: string },
): Record<string, string> {
  return {
    [OWNER]: owner,
    [ENTRY]: entry,
    [SECRET_NAME]: secretName,
    [KEY_ID]: marks.keyId,
    [ROTATED]: marks.rotated,
    [PREVIOUS]: marks.previous
      .map(({ id, expiresAtMs }) => `${id}=${new Date(expiresAtMs).toISOString()}`)
      .join(','),
  };
}

export function importAnnotations(
  owner: string,
  secretName: string,
  entry: string,
  keyId: string,
  added: readonly string[],
): Record<string, string> {
  return {
    [OWNER]: owner,
    [ENTRY]: entry,
    [SECRET_NAME]: secretName,
    [KEY_ID]: keyId,
    [ADDED]: added.join(','),
  };
}

export const ownLabels = (fleetName: string, owner: string): Record<string, string> => ({
  [OWNED_BY]: fleetName,
  ...importLabels(owner),
});

export const importLabels = (owner: string): Record<string, string> => ({ [OWNER_HASH]: ownerHash(owner) });

/** Selects every Secret with marks of that owner. */
export const ownerSelector = (owner: string): string => `${OWNER_HASH}=${ownerHash(owner)}`;

const ownerHash = (owner: string): string => createHash('sha256').update(owner).digest('hex').slice(0, 32);

/** Whose a Secret is. Imported: somebody else's, given for use. */
export function standingOf(
  object: KubeObject,
  owner: string,
  fleetName: string,
): 'Ours' | 'Imported' | 'Foreign' {
  const { labels = {}, annotations = {} } = object.metadata;
  if (labels[OWNED_BY] !== undefined) {
    return labels[OWNED_BY] === fleetName && annotations[OWNER] === owner ? 'Ours' : 'Foreign';
  }
  return labels[IMPORT] === 'true' ? 'Imported' : 'Foreign';
}

/** Whether the marks were put on this very Secret for that owner: by them it is cleaned up when its entry goes. */
export function isMarkedFor({ metadata }: KubeObject, owner: string): boolean {
  const { annotations = {} } = metadata;
  return annotations[OWNER] === owner && annotations[SECRET_NAME] === metadata.name;
}

/** Index for the cache of Secret metadata: `namespace/name` of the EncryptedBucket that a Secret is for. */
export const SECRET_INDEXES = {
  owner: ({ metadata }: KubeObject): readonly string[] => {
    const owner = metadata.annotations?.[OWNER];
    return owner === undefined ? [] : [owner];
  },
} as const;

/** The EncryptedBucket that a change of that Secret concerns. */
export function bucketsOfSecret(secret: KubeObject): readonly { namespace: string; name: string }[] {
  const { namespace } = keyOf(secret);
  return SECRET_INDEXES.owner(secret).flatMap((owner) => {
    const [ownerNamespace, name] = owner.split('/');
    // An annotation that points into another namespace is not one of ours.
    return ownerNamespace === namespace && name !== undefined ? [{ namespace, name }] : [];
  });
}

const secretData = z.object({ data: z.record(z.string(), z.string()).optional() });

/** The content of a Secret in base64, as it stands there. */
export function encodedContentOf(secret: KubeObject): Readonly<Record<string, string>> {
  return secretData.parse(secret).data ?? {};
}

/** Whether nobody can change its content any more; its labels and annotations can be changed. */
export const isImmutable = (secret: KubeObject): boolean => secret['immutable'] === true;

/** The decoded content of a Secret. */
export function contentOf(secret: KubeObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(encodedContentOf(secret)).map(([name, text]) => [
      name,
      Buffer.from(text, 'base64').toString('utf8'),
    ]),
  );
}

export const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
