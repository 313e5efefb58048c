/** What the rest of the operator needs to know of the fleet as it is: how pods are asked, and where S3 is. Pure. */
import { isIPv6 } from 'node:net';
import type { EndpointFacts } from '../bucket/access/accessSecret.ts';
import { type AdminAccess } from './adminAccess.ts';
import { tokenInUse } from './adminTokens.ts';
import { trustBundle } from './authority.ts';
import type { FleetContext } from './fleetContext.ts';
import type { Material } from './material.ts';
import { ADMIN_SERVER_NAME } from './names.ts';
import { s3ServicePort } from './services.ts';

export interface FleetFacts {
  readonly admin: AdminAccess;
  /** null: the Service has no address yet. */
  readonly endpoint: EndpointFacts | null;
}

/** From what the fleet was rendered with. */
export function fleetFacts(
  context: FleetContext,
  material: Pick<Material, 'authority' | 'adminTokens'>,
  clusterIPs: readonly string[],
): FleetFacts {
  const ca = trustBundle(material.authority);
  const token = tokenInUse(material.adminTokens.tokens.join('\n')) ?? '';
  const [host] = clusterIPs.filter((address) => address !== 'None');
  return {
    admin: { token, ca, serverName: ADMIN_SERVER_NAME },
    endpoint: host === undefined ? null : endpointOf(context, host, ca),
  };
}

/** SDKs put the bucket in front of a DNS name; with an address they use path style. */
function endpointOf(context: FleetContext, host: string, ca: string): EndpointFacts {
  const { s3, region } = context.spec;
  const port = s3ServicePort(context);
  const shown = isIPv6(host) ? `[${host}]` : host;
  const usual = s3.tls ? 443 : 80;
  return {
    internalUrl: `${s3.tls ? 'https' : 'http'}://${shown}${port === usual ? '' : `:${port}`}`,
    host,
    port,
    region,
    caPem: s3.tls ? ca : null,
    externalUrl: s3.externalUrl,
  };
}
