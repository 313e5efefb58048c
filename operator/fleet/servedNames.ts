/** For which names and addresses the fleet's two serving certificates are. */

import { isIP } from 'node:net';
import type { ServedNames } from './certificates.ts';
import type { FleetContext } from './fleetContext.ts';
import { ADMIN_SERVER_NAME, fleetNames } from './names.ts';

/** Every name by which the S3 Service is reached: inside by DNS and address, outside by domains and externalUrl. */
export function s3ServedNames(
  { name, namespace, spec }: FleetContext,
  clusterIPs: readonly string[],
): ServedNames {
  const service = fleetNames(name).s3Service;
  const inside = `${service}.${namespace}.svc`;
  const external =
    spec.s3.externalUrl === null ? '' : new URL(spec.s3.externalUrl).hostname.replace(/^\[(.*)\]$/, '$1');
  const dnsNames = [
    inside,
    `${inside}.cluster.local`,
    `${service}.${namespace}`,
    service,
    ...spec.s3.domains.flatMap((domain) => [domain, `*.${domain}`]),
    ...(external !== '' && isIP(external) === 0 ? [external] : []),
  ];
  const ipAddresses = [...clusterIPs, ...(isIP(external) === 0 ? [] : [external])];
  return {
    commonName: inside.slice(0, 64),
    dnsNames: [...new Set(dnsNames)],
    ipAddresses: [...new Set(ipAddresses)],
  };
}

/** The admin port has one name, wherever the pod runs. */
export const adminServedNames: ServedNames = {
  commonName: ADMIN_SERVER_NAME,
  dnsNames: [ADMIN_SERVER_NAME],
  ipAddresses: [],
};
