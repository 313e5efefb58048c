/** Secret NAME-config: everything in the pods' configuration folder that may change while they run. */
import type { KubeObject } from '../kube/resource.ts';
import type { AdminTokens } from './adminTokens.ts';
import type { PemPair } from './certificates.ts';
import { configRevision, dataPlaneConfig, type Installation } from './dataPlaneConfig.ts';
import { type FleetContext, head, secretData } from './fleetContext.ts';
import { fleetNames } from './names.ts';

/** When the newest token of admin.token was made (RFC 3339). */
export const TOKEN_MADE_ANNOTATION = 'sealgate.io/admin-token-made';

export interface ConfigInputs {
  readonly installation: Installation;
  /** Content of root.json, which lies in a Secret of its own. */
  readonly rootFile: string;
  readonly adminTokens: AdminTokens;
  /** null: S3 without TLS. */
  readonly s3Certificate: PemPair | null;
  readonly adminCertificate: PemPair;
  readonly clusterIPs: readonly string[];
}

export interface RenderedConfig {
  readonly secret: KubeObject;
  /** The data plane's status shows it when all of it is in force. */
  readonly revision: string;
}

export function configSecret(context: FleetContext, inputs: ConfigInputs): RenderedConfig {
  const files = {
    'admin.token': `${inputs.adminTokens.tokens.join('\n')}\n`,
    'admin.crt': inputs.adminCertificate.cert,
    'admin.key': inputs.adminCertificate.key,
    ...(inputs.s3Certificate === null
      ? {}
      : { 's3.crt': inputs.s3Certificate.cert, 's3.key': inputs.s3Certificate.key }),
  };
  const config = dataPlaneConfig(context, inputs.installation, inputs.clusterIPs);
  const revision = configRevision(inputs.installation, {
    ...files,
    'root.json': inputs.rootFile,
    'sealgate.json': JSON.stringify(config),
  });
  const { apiVersion, kind, ...rest } = config;
  const text = `${JSON.stringify({ apiVersion, kind, revision, ...rest }, null, 2)}\n`;
  return {
    secret: {
      ...head(context, 'v1', 'Secret', fleetNames(context.name).configSecret, {
        annotations: { [TOKEN_MADE_ANNOTATION]: new Date(inputs.adminTokens.madeMs).toISOString() },
      }),
      type: 'Opaque',
      data: secretData({ ...files, 'sealgate.json': text }),
    },
    revision,
  };
}
