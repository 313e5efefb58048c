/** The kinds of objects that a fleet is made of, and where they live in the API. */
import type { KubeObject, ResourceType } from '../kube/resource.ts';

const namespaced = (group: string, plural: string, kind: string, version = 'v1'): ResourceType => ({
  group,
  version,
  plural,
  kind,
  namespaced: true,
});

export const CONFIG_MAP = namespaced('', 'configmaps', 'ConfigMap');
export const SECRET = namespaced('', 'secrets', 'Secret');
const SERVICE = namespaced('', 'services', 'Service');
const SERVICE_ACCOUNT = namespaced('', 'serviceaccounts', 'ServiceAccount');
export const POD = namespaced('', 'pods', 'Pod');
export const PERSISTENT_VOLUME_CLAIM = namespaced('', 'persistentvolumeclaims', 'PersistentVolumeClaim');
export const STATEFUL_SET = namespaced('apps', 'statefulsets', 'StatefulSet');
export const NETWORK_POLICY = namespaced('networking.k8s.io', 'networkpolicies', 'NetworkPolicy');
export const SERVICE_MONITOR = namespaced('monitoring.coreos.com', 'servicemonitors', 'ServiceMonitor');
export const PROMETHEUS_RULE = namespaced('monitoring.coreos.com', 'prometheusrules', 'PrometheusRule');

/** Kinds that a cluster has only when the Prometheus operator is installed. */
export const OPTIONAL_KINDS: readonly ResourceType[] = [SERVICE_MONITOR, PROMETHEUS_RULE];

const RENDERED = [SECRET, SERVICE, SERVICE_ACCOUNT, STATEFUL_SET, NETWORK_POLICY, ...OPTIONAL_KINDS];

/** @throws Error for an object of a kind that no fleet has */
export function typeOf(object: KubeObject): ResourceType {
  const type = RENDERED.find(({ kind }) => kind === object.kind);
  if (type === undefined) throw new Error(`no part of a fleet: ${object.kind}`);
  return type;
}
