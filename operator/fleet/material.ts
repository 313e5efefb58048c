/** What the fleet keeps secret and renews by itself: authority, serving certificates and admin tokens. */
import type { KubeObject } from '../kube/resource.ts';
import { type AdminTokens, advanceTokens } from './adminTokens.ts';
import { type Authority, advanceAuthority, authorityFiles, readAuthority } from './authority.ts';
import {
  issueServingCertificate,
  needsRenewal,
  type PemPair,
  type ServedNames,
  serves,
} from './certificates.ts';
import { TOKEN_MADE_ANNOTATION } from './configSecret.ts';
import { ensureObject, type ObjectsOf } from './ensureObject.ts';
import { type FleetContext, head, secretData } from './fleetContext.ts';
import type { RandomBytes } from './identity.ts';
import { SECRET } from './kinds.ts';
import { fleetNames } from './names.ts';
import { secretFiles } from './secretContent.ts';
import { adminServedNames, s3ServedNames } from './servedNames.ts';

export interface Material {
  readonly authority: Authority;
  readonly adminTokens: AdminTokens;
  /** null: S3 without TLS. */
  readonly s3Certificate: PemPair | null;
  readonly adminCertificate: PemPair;
}

/** Keeps a certificate until it is due, or until it no longer fits. */
async function keepOrIssue(
  present: { readonly cert: string | undefined; readonly key: string | undefined },
  ca: PemPair,
  names: ServedNames,
  nowMs: number,
): Promise<PemPair> {
  const { cert, key } = present;
  if (cert !== undefined && key !== undefined) {
    const pair = { cert, key };
    if (serves(pair, ca, names) && !needsRenewal(cert, nowMs)) return pair;
  }
  return issueServingCertificate(ca, { ...names, nowMs });
}

function tokensOf(secret: KubeObject | null): AdminTokens | null {
  const tokens = (secretFiles(secret)['admin.token'] ?? '').split('\n').filter((line) => line.length >= 32);
  const madeMs = Date.parse(secret?.metadata.annotations?.[TOKEN_MADE_ANNOTATION] ?? '');
  return tokens.length === 0 || Number.isNaN(madeMs) ? null : { tokens, madeMs };
}

/** The authority as it should be, written before anything is signed by it. */
async function ensureAuthority(
  objects: ObjectsOf,
  context: FleetContext,
  nowMs: number,
  signal: AbortSignal,
) {
  const name = fleetNames(context.name).caSecret;
  const present = await objects.api.get(SECRET, { namespace: context.namespace, name }, signal);
  const authority = await advanceAuthority(readAuthority(secretFiles(present)), context.name, nowMs);
  const secret = {
    ...head(context, 'v1', 'Secret', name),
    type: 'Opaque',
    data: secretData(authorityFiles(authority)),
  };
  await ensureObject(objects, secret, signal);
  return authority;
}

/** Reads what there is, renews what is due. Only the authority is written here; the rest comes with the config Secret. */
export async function ensureMaterial(
  objects: ObjectsOf,
  context: FleetContext,
  inputs: { readonly clusterIPs: readonly string[]; readonly nowMs: number; readonly random: RandomBytes },
  signal: AbortSignal,
): Promise<Material> {
  const { clusterIPs, nowMs, random } = inputs;
  const authority = await ensureAuthority(objects, context, nowMs, signal);
  const name = fleetNames(context.name).configSecret;
  const present = await objects.api.get(SECRET, { namespace: context.namespace, name }, signal);
  const files = secretFiles(present);
  const ca = authority.current;
  const s3 = { cert: files['s3.crt'], key: files['s3.key'] };
  const admin = { cert: files['admin.crt'], key: files['admin.key'] };
  return {
    authority,
    adminTokens: advanceTokens(tokensOf(present), nowMs, random),
    s3Certificate: context.spec.s3.tls
      ? await keepOrIssue(s3, ca, s3ServedNames(context, clusterIPs), nowMs)
      : null,
    adminCertificate: await keepOrIssue(admin, ca, adminServedNames, nowMs),
  };
}
