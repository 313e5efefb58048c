/**
 * Who may reach the pods, and where they may go. Everything comes from the fleet's own values: an address in a
 * tenant's resource opens nothing.
 */
import type { KubeObject } from '../kube/resource.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { selectorLabels } from './labels.ts';
import { fleetNames, PORTS } from './names.ts';

interface NamedPort {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

const tcp = (port: number): NamedPort => ({ protocol: 'TCP', port });

/** An answer that is too long for UDP is asked for over TCP (RFC 7766). */
const udpAndTcp = (port: number): NamedPort[] => [{ protocol: 'UDP', port }, tcp(port)];

const addresses = (cidr: string): object => ({ ipBlock: { cidr } });

/** No `from` at all means: from everywhere. */
function ingress(port: number, from: readonly object[]): object {
  return { ports: [tcp(port)], ...(from.length === 0 ? {} : { from }) };
}

/** null: none is wanted. */
export function networkPolicy(context: FleetContext): KubeObject | null {
  const { enabled, s3From, metricsFrom, kmsCidrs, dnsNamespace, dnsPorts, dnsCidrs } =
    context.spec.networkPolicy;
  if (!enabled) return null;
  const operator = { podSelector: { matchLabels: selectorLabels(context.name, 'operator') } };
  const dns = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': dnsNamespace } } };
  return {
    ...head(context, 'networking.k8s.io/v1', 'NetworkPolicy', fleetNames(context.name).networkPolicy),
    spec: {
      podSelector: { matchLabels: selectorLabels(context.name, 'dataplane') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        ingress(PORTS.s3, s3From),
        ingress(PORTS.admin, [operator]),
        ingress(PORTS.metrics, metricsFrom),
      ],
      egress: [
        { to: [dns, ...dnsCidrs.map(addresses)], ports: dnsPorts.flatMap(udpAndTcp) },
        ...kmsCidrs.map(({ cidr, ports }) => ({ to: [addresses(cidr)], ports: ports.map(tcp) })),
      ],
    },
  };
}
