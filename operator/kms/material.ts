/**
 * What a KMSConnection refers to: client certificate and key, authorities, credentials. Read from the API server at
 * each look, judged here, and kept nowhere else. A problem never removes what is in force: the caller leaves it there.
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { z } from 'zod';
import type { KMSConnectionSpec } from '../../crds/kmsconnection.ts';
import { pemCertificates } from '../../dataplane/keys/doctor/certificates.ts';
import { CONFIG_MAP, SECRET } from '../kube/kinds.ts';
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey, ResourceType } from '../kube/resource.ts';
import type { CertificateReason } from './reasons.ts';

/** Caps of what is rendered, so that sixteen Secrets hold the connections of a large cluster. */
const PAIR_LIMIT_BYTES = 16 * 1024;
const CA_LIMIT_BYTES = 64 * 1024;

export interface Material {
  /** PEM texts; `key` is a secret. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** The password is a secret. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  /** Unix ms at which the client certificate ends. */
  readonly notAfterMs: number;
}

/** Why there is no material. The message names objects and keys of theirs, never a content. */
export class MaterialError extends Error {
  readonly reason: CertificateReason;
  constructor(reason: CertificateReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MaterialError';
    this.reason = reason;
  }
}

const secretData = z.object({ data: z.record(z.string(), z.string()).optional() });
const configMapData = z.object({
  data: z.record(z.string(), z.string()).optional(),
  binaryData: z.record(z.string(), z.string()).optional(),
});

/** Reads and judges it. Rejects with MaterialError, or with KubeError when the API server does not answer. */
export async function readMaterial(
  kube: KubeApi,
  namespace: string,
  { kmip }: Pick<KMSConnectionSpec, 'kmip'>,
  nowMs: number,
  signal: AbortSignal,
): Promise<Material> {
  const { secretRef, caBundleRef } = kmip.tls;
  const pair = await secretContent(kube, namespace, secretRef.name, signal);
  if (pair === null)
    throw new MaterialError('SecretNotFound', `there is no Secret ${secretRef.name} that may be read`);
  const where = `Secret ${secretRef.name}`;
  const cert = field(pair, 'tls.crt', PAIR_LIMIT_BYTES, where, 'SecretInvalid');
  const key = field(pair, 'tls.key', PAIR_LIMIT_BYTES, where, 'SecretInvalid');
  const leaf = certificatesIn(cert, `tls.crt of ${where}`, 'SecretInvalid')[0];
  if (leaf === undefined || !leaf.checkPrivateKey(privateKey(key, where))) {
    throw new MaterialError('SecretInvalid', `tls.key of ${where} is not the key of its tls.crt`);
  }
  const ca =
    caBundleRef === undefined
      ? field(pair, 'ca.crt', CA_LIMIT_BYTES, where, 'CaNotFound')
      : await caBundle(kube, namespace, caBundleRef, signal);
  const caPlace = caBundleRef === undefined ? `ca.crt of ${where}` : `the CA bundle ${caBundleRef.name}`;
  certificatesIn(ca, caPlace, 'CaInvalid');
  usableForTls({ cert, key, ca }, where);
  const credentials =
    kmip.credentialsSecretRef === undefined
      ? null
      : await readCredentials(kube, namespace, kmip.credentialsSecretRef.name, signal);
  judgeDates(leaf, where, nowMs);
  return { cert, key, ca, credentials, notAfterMs: leaf.validToDate.getTime() };
}

function judgeDates(leaf: X509Certificate, where: string, nowMs: number): void {
  const until = leaf.validToDate.toISOString();
  if (leaf.validToDate.getTime() <= nowMs) {
    throw new MaterialError('CertificateExpired', `the certificate in ${where} was valid until ${until}`);
  }
  if (leaf.validFromDate.getTime() > nowMs) {
    throw new MaterialError(
      'CertificateNotYetValid',
      `the certificate in ${where} becomes valid at ${leaf.validFromDate.toISOString()}`,
    );
  }
}

async function secretContent(
  kube: KubeApi,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>> | null> {
  const secret = await readable(kube, SECRET, { namespace, name }, signal);
  if (secret === null) return null;
  const { data = {} } = secretData.parse(secret);
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, decoded(text)]));
}

/** Null also when it is forbidden: a namespace that ends loses what gives the right, and that must hold up nothing. */
async function readable(
  kube: KubeApi,
  type: ResourceType,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<KubeObject | null> {
  try {
    return await kube.get(type, key, signal);
  } catch (error) {
    if (error instanceof KubeError && error.code === 'Forbidden') return null;
    throw error;
  }
}

const decoded = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

async function caBundle(
  kube: KubeApi,
  namespace: string,
  { kind, name, key }: { readonly kind: 'ConfigMap' | 'Secret'; readonly name: string; readonly key: string },
  signal: AbortSignal,
): Promise<string> {
  const where = `${kind} ${name}`;
  if (kind === 'Secret') {
    const content = await secretContent(kube, namespace, name, signal);
    if (content === null) throw new MaterialError('CaNotFound', `there is no ${where} that may be read`);
    return field(content, key, CA_LIMIT_BYTES, where, 'CaNotFound');
  }
  const object = await readable(kube, CONFIG_MAP, { namespace, name }, signal);
  if (object === null) throw new MaterialError('CaNotFound', `there is no ${where} that may be read`);
  const { data = {}, binaryData = {} } = configMapData.parse(object);
  const binary = binaryData[key];
  const content = binary === undefined ? data : { ...data, [key]: decoded(binary) };
  return field(content, key, CA_LIMIT_BYTES, where, 'CaNotFound');
}

async function readCredentials(
  kube: KubeApi,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<{ username: string; password: string }> {
  const content = await secretContent(kube, namespace, name, signal);
  const where = `Secret ${name}`;
  if (content === null)
    throw new MaterialError('CredentialsNotFound', `there is no ${where} that may be read`);
  // Editors and shells like to add a line end, which is no part of either.
  const read = (key: string, limit: number): string =>
    field(content, key, limit, where, 'CredentialsInvalid').replace(/\r?\n$/, '');
  const username = read('username', 255);
  const password = read('password', 1024);
  if (username === '' || password === '') {
    throw new MaterialError('CredentialsInvalid', `username and password of ${where} must not be empty`);
  }
  return { username, password };
}

/** A value that is there and not too large. */
function field(
  content: Readonly<Record<string, string>>,
  key: string,
  limitBytes: number,
  where: string,
  reason: CertificateReason,
): string {
  const text = Object.hasOwn(content, key) ? content[key] : undefined;
  if (text === undefined || text === '') throw new MaterialError(reason, `${where} has no ${key}`);
  if (Buffer.byteLength(text) > limitBytes) {
    const found: CertificateReason = reason === 'CaNotFound' ? 'CaInvalid' : reason;
    throw new MaterialError(found, `${key} of ${where} is larger than ${limitBytes} bytes`);
  }
  return text;
}

function certificatesIn(pem: string, place: string, reason: CertificateReason): X509Certificate[] {
  try {
    return pemCertificates(pem);
  } catch (error) {
    throw new MaterialError(reason, `${place} is no certificate in PEM`, { cause: error });
  }
}

function privateKey(pem: string, where: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // Without OpenSSL's words as the cause: they could repeat what the field holds.
    throw new MaterialError(
      'SecretInvalid',
      `tls.key of ${where} is no private key in PEM without a password`,
    );
  }
}

/** As the data plane will use it, so that it refuses nothing that was accepted here. */
function usableForTls(tls: { cert: string; key: string; ca: string }, where: string): void {
  try {
    createSecureContext({ ...tls, minVersion: 'TLSv1.2' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given';
    throw new MaterialError('SecretInvalid', `the certificates of ${where} cannot be used for TLS (${code})`);
  }
}
