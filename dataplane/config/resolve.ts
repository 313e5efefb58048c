/** From the parsed file to settings: reads the files that it names and checks what they hold. */
import { createPrivateKey, createSecretKey, type KeyObject, X509Certificate } from 'node:crypto';
import { relative, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { z } from 'zod';
import { profileWith } from '../keys/kmip/profiles.ts';
import type { KmsConnectionSettings } from '../keys/settings.ts';
import { problemsOf } from './problems.ts';
import type { ReferencedFiles } from './referencedFiles.ts';
import { type ConfigFile, type ConnectionEntry, kmipCredentialsFile, rootCredentialsFile } from './schema.ts';
import type { ServerTls, Settings } from './settings.ts';

const MIN_TOKEN_LENGTH = 32;
const MAX_TOKENS = 4;

/** The settings, or null after noting what is wrong in `files.problems`. `folder`: that of the configuration file. */
export function resolveSettings(file: ConfigFile, folder: string, files: ReferencedFiles): Settings | null {
  const key = installationKey(file.installation.keyFile, files);
  const tokens = adminTokens(file.admin.tokenFile, files);
  const root = jsonFile(rootCredentialsFile, 'rootCredentials.file', file.rootCredentials.file, files);
  const tls = serverTls('s3.tls', file.s3.tls, files);
  const adminTls = serverTls('admin.tls', file.admin.tls, files);
  const kmsConnections = file.kmsConnections.map((connection, i) =>
    connectionSettings(connection, `kmsConnections[${i}]`, files),
  );
  const metadataPath = resolve(folder, file.metadata.path);
  const blobsPath = resolve(folder, file.blobs.path);
  if (!relative(blobsPath, metadataPath).startsWith('..')) {
    files.problems.push({ path: 'metadata.path', message: 'must not be inside blobs.path' });
  }
  if (key === null || tokens === null || root === null) return null;
  if (tls === undefined || adminTls === undefined) return null;
  return {
    installation: { id: file.installation.id, region: file.installation.region, key },
    s3: { listen: file.s3.listen, domains: file.s3.domains, tls },
    admin: { listen: file.admin.listen, tokens, tls: adminTls },
    monitoring: file.monitoring,
    metadata: { engine: file.metadata.engine, path: metadataPath },
    blobs: { engine: file.blobs.engine, path: blobsPath },
    kmsConnections: kmsConnections.filter((connection) => connection !== null),
    defaultKmsConnection: file.defaultKmsConnection ?? null,
    rootCredentials: root,
    policy: file.policy,
    gc: { graceMs: file.gc.grace },
    shutdownLimitMs: file.shutdownLimit,
    workers: file.workers,
    log: file.log,
  };
}

function installationKey(path: string, files: ReferencedFiles): KeyObject | null {
  const field = 'installation.keyFile';
  const text = files.text(field, path, 'secret')?.trim();
  if (text === undefined) return null;
  if (!/^[0-9A-Fa-f]{64}$/.test(text)) {
    files.problems.push({
      path: field,
      message: 'the file must hold 64 hex characters (openssl rand -hex 32)',
    });
    return null;
  }
  const bytes = Buffer.allocUnsafeSlow(32);
  bytes.write(text, 'hex');
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** One token a line: the old one stays valid until whoever uses it has the new one. */
function adminTokens(path: string, files: ReferencedFiles): readonly string[] | null {
  const field = 'admin.tokenFile';
  const text = files.text(field, path, 'secret')?.trim();
  if (text === undefined) return null;
  const tokens = text.split(/\s*\n\s*/);
  const fit = tokens.every(
    (token) => token.length >= MIN_TOKEN_LENGTH && /^[A-Za-z0-9._~+/=-]+$/.test(token),
  );
  if (fit && tokens.length <= MAX_TOKENS) return tokens;
  files.problems.push({
    path: field,
    message: `the file must hold a bearer token of at least ${MIN_TOKEN_LENGTH} letters, digits or "._~+/=-" (openssl rand -hex 32), or up to ${MAX_TOKENS}, one a line`,
  });
  return null;
}

/** A JSON file of a known form. Problems name the field and the member, never a value. */
function jsonFile<Schema extends z.ZodType>(
  schema: Schema,
  field: string,
  path: string,
  files: ReferencedFiles,
): z.output<Schema> | null {
  const text = files.text(field, path, 'secret');
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message repeats a piece of the text, which is secret.
    files.problems.push({ path: field, message: 'the file must hold JSON' });
    return null;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  for (const problem of problemsOf(parsed.error)) {
    files.problems.push({
      path: field,
      message: `in the file, ${problem.path === '' ? 'the document' : problem.path}: ${problem.message}`,
    });
  }
  return null;
}

/** null: none is configured; undefined after noting a problem. */
function serverTls(
  field: string,
  tls: { certFile: string; keyFile: string } | undefined,
  files: ReferencedFiles,
): ServerTls | null | undefined {
  if (tls === undefined) return null;
  return certificateAndKey(field, tls, files) ?? undefined;
}

function certificateAndKey(
  field: string,
  tls: { certFile: string; keyFile: string },
  files: ReferencedFiles,
): ServerTls | null {
  const cert = files.text(`${field}.certFile`, tls.certFile, 'public');
  const key = files.text(`${field}.keyFile`, tls.keyFile, 'secret');
  const certificate = cert === null ? null : parseCertificate(`${field}.certFile`, cert, files);
  if (cert === null || key === null || certificate === null) return null;
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    // OpenSSL's message can repeat a piece of the text, which is secret.
    files.problems.push({
      path: `${field}.keyFile`,
      message: 'the file must hold an unencrypted private key in PEM',
    });
    return null;
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    files.problems.push({
      path: `${field}.keyFile`,
      message: 'the key does not belong to the certificate of certFile',
    });
    return null;
  }
  return usableForTls(field, { cert, key }, files) ? { cert, key } : null;
}

/** What OpenSSL refuses only when a connection is made, such as a broken chain, must not wait until then. */
function usableForTls(field: string, tls: ServerTls & { ca?: string }, files: ReferencedFiles): boolean {
  try {
    createSecureContext(tls);
    return true;
  } catch (error) {
    const reason = error instanceof Error && 'reason' in error ? ` (${String(error.reason)})` : '';
    files.problems.push({ path: field, message: `the certificates cannot be used for TLS${reason}` });
    return false;
  }
}

function parseCertificate(field: string, pem: string, files: ReferencedFiles): X509Certificate | null {
  try {
    const certificate = new X509Certificate(pem);
    if (certificate.validToDate.getTime() < files.nowMs) {
      files.warnings.push(`${field}: the certificate expired on ${certificate.validTo}`);
    }
    return certificate;
  } catch {
    // The reason is OpenSSL's, about its own parser; what the reader needs is what the file must hold.
    files.problems.push({ path: field, message: 'the file must hold a certificate in PEM' });
    return null;
  }
}

/** The settings of one connection, or null after noting what is wrong. `field`: where it stands; empty for a file of its own. */
export function connectionSettings(
  connection: ConnectionEntry,
  field: string,
  files: ReferencedFiles,
): KmsConnectionSettings | null {
  const { kmip } = connection;
  const place = field === '' ? 'kmip' : `${field}.kmip`;
  const pair = certificateAndKey(`${place}.tls`, kmip.tls, files);
  const ca = files.text(`${place}.tls.caFile`, kmip.tls.caFile, 'public');
  const authority = ca === null ? null : parseCertificate(`${place}.tls.caFile`, ca, files);
  const credentials =
    kmip.credentialsFile === undefined
      ? undefined
      : jsonFile(kmipCredentialsFile, `${place}.credentialsFile`, kmip.credentialsFile, files);
  if (pair === null || ca === null || authority === null || credentials === null) return null;
  if (!usableForTls(`${place}.tls`, { ...pair, ca }, files)) return null;
  return {
    name: connection.name,
    endpoints: kmip.endpoints.map(({ host, port, serverName, tier }) => ({
      host,
      port,
      tier,
      ...(serverName === undefined ? {} : { serverName }),
    })),
    tls: { ...pair, ca },
    ...(credentials === undefined ? {} : { credentials }),
    ...profileWith(kmip.profile, kmip.protocol),
    keyNamePrefix: kmip.keyNamePrefix,
    objectGroup: kmip.objectGroup,
    timeouts: {
      connectMs: kmip.timeouts.connect,
      requestMs: kmip.timeouts.request,
      totalMs: kmip.timeouts.total,
    },
    cache: { ttlMs: connection.cache.ttl, staleLimitMs: connection.cache.staleLimit },
  };
}
