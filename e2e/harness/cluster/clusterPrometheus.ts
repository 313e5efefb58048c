/**
 * Prometheus in a pod, as docs/samples/prometheus sets it up: with the service account and the rights of access.yaml, the
 * configuration of prometheus.yaml, and the alerts of the chart's ConfigMap.
 *
 * Owns the pod and what the samples make. Of the samples it changes how often Prometheus looks, and nothing else.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Cluster } from './cluster.ts';
import { ClusterError } from './clusterError.ts';
import { importPrometheusImage, PROMETHEUS_IMAGE } from './prometheusImage.ts';
import type { ServiceAccount } from './rights.ts';

const SAMPLES = fileURLToPath(new URL('../../../docs/samples/prometheus', import.meta.url));

/** The samples' service account, which is also what the pod is called. Its namespace is that of the release. */
export const PROMETHEUS: ServiceAccount = { namespace: 'sealgate', name: 'prometheus' };

const PORT = 9090;
const USER = 65532;

export interface Prometheus {
  /** `data` of an answer of /api/v1/, after `parse`. */
  ask<Answer>(pathAndQuery: string, parse: z.ZodType<Answer>): Promise<Answer>;
  close(): Promise<void>;
}

/** Starts it with the rule files of these ConfigMaps, and resolves when it is ready. It looks every second. */
export async function startClusterPrometheus(
  cluster: Cluster,
  ruleConfigMaps: readonly string[],
): Promise<Prometheus> {
  const { namespace, name } = PROMETHEUS;
  await importPrometheusImage(cluster);
  await cluster.kubectl(['apply', '-f', path.join(SAMPLES, 'access.yaml')]);
  await cluster.apply(
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace },
      data: { 'prometheus.yaml': await impatientConfiguration() },
    },
    pod(ruleConfigMaps),
  );
  const kubectl = (...args: readonly string[]): Promise<string> =>
    cluster.kubectl(['--namespace', namespace, ...args]);
  try {
    await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
  } catch (cause) {
    const said = await kubectl('describe', 'pod', name);
    throw new ClusterError('not_ready', `Prometheus is not ready\n${said}`, { cause });
  }
  const address = await kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
  const url = `http://127.0.0.1:${await cluster.forward(address, PORT)}`;
  return {
    ask: async (pathAndQuery, parse) => {
      const answer = await fetch(`${url}/api/v1/${pathAndQuery}`);
      return z.object({ data: parse }).parse(await answer.json()).data;
    },
    close: async () => {
      await kubectl('delete', 'pod', name, '--now');
    },
  };
}

/** The sample, looking every second. */
async function impatientConfiguration(): Promise<string> {
  const sample = parseDocument(await readFile(path.join(SAMPLES, 'prometheus.yaml'), 'utf8'));
  for (const interval of ['scrape_interval', 'evaluation_interval']) {
    if (!sample.hasIn(['global', interval])) throw new Error(`the sample has no ${interval}`);
    sample.setIn(['global', interval], '1s');
  }
  return sample.toString();
}

/** Rules lie beside the configuration, where the sample looks for them. */
function pod(ruleConfigMaps: readonly string[]): object {
  const folder = '/etc/prometheus';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: PROMETHEUS,
    spec: {
      serviceAccountName: PROMETHEUS.name,
      restartPolicy: 'Never',
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      volumes: [
        { name: 'configuration', configMap: { name: PROMETHEUS.name } },
        {
          name: 'rules',
          projected: { sources: ruleConfigMaps.map((name) => ({ configMap: { name } })) },
        },
        { name: 'data', emptyDir: {} },
      ],
      containers: [
        {
          name: 'prometheus',
          image: PROMETHEUS_IMAGE,
          args: [`--config.file=${folder}/prometheus.yaml`, '--storage.tsdb.path=/prometheus'],
          terminationMessagePolicy: 'FallbackToLogsOnError',
          readinessProbe: { httpGet: { path: '/-/ready', port: PORT }, periodSeconds: 1 },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [
            {
              name: 'configuration',
              mountPath: `${folder}/prometheus.yaml`,
              subPath: 'prometheus.yaml',
            },
            { name: 'rules', mountPath: `${folder}/rules` },
            { name: 'data', mountPath: '/prometheus' },
          ],
        },
      ],
    },
  };
}
