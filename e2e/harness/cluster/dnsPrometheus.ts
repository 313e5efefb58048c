/** Prometheus in the cluster's network, which finds pods and operator by the cluster's own names. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { stringify } from 'yaml';
import { z } from 'zod';
import { freePort } from '../freePort.ts';
import type { Cluster } from './cluster.ts';
import { prometheusPath } from './programs.ts';

export interface PrometheusOptions {
  readonly cluster: Cluster;
  /** Of the installation, and its name. */
  readonly namespace: string;
  readonly ruleFiles: readonly string[];
}

export interface Prometheus {
  /** `data` of an answer of /api/v1/, after `parse`. */
  ask<Answer>(pathAndQuery: string, parse: z.ZodType<Answer>): Promise<Answer>;
  close(): Promise<void>;
}

/** Starts it and resolves when it is ready. It looks every second. */
export async function startDnsPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { cluster, namespace, ruleFiles } = options;
  const folder = path.join(cluster.folder, `prometheus-${namespace}`);
  await mkdir(folder, { recursive: true });
  const configuration = path.join(folder, 'prometheus.yml');
  await writeFile(
    configuration,
    stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ruleFiles,
      scrape_configs: [scrape(namespace)],
    }),
  );
  const port = await freePort();
  const command = [
    prometheusPath(),
    `--config.file=${configuration}`,
    `--storage.tsdb.path=${path.join(folder, 'data')}`,
    `--web.listen-address=${cluster.nodeAddress}:${port}`,
  ];
  const [program = '', ...enter] = cluster.enter;
  const server = spawn(program, [...enter, ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(server, 'exit');
  await listens(server.stderr);
  const url = `http://127.0.0.1:${await cluster.forward(cluster.nodeAddress, port)}`;
  return {
    ask: async (pathAndQuery, parse) => {
      const answer = await fetch(`${url}/api/v1/${pathAndQuery}`);
      return z.object({ data: parse }).parse(await answer.json()).data;
    },
    close: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}

/** Resolves when it says that it serves; rejects with what it said when it ends before. What it says later is dropped. */
async function listens(log: Readable): Promise<void> {
  let said = '';
  const ready = Promise.withResolvers<void>();
  log.on('data', (piece: Buffer) => {
    if (said.includes('Server is ready')) return;
    said += piece.toString();
    if (said.includes('Server is ready')) ready.resolve();
  });
  log.once('end', () => ready.reject(new Error(`Prometheus ended: ${said.slice(-2_000)}`)));
  await ready.promise;
}

/**
 * By the names that the cluster's DNS gives to the ports of our metrics Services, because Debian's build of Prometheus
 * cannot ask the API server. With the labels that the Prometheus operator sets, of which some are named as ours.
 */
function scrape(namespace: string): object {
  const names = [`${namespace}-metrics`, `${namespace}-operator-metrics`].map(
    (service) => `_metrics._tcp.${service}.${namespace}.svc.cluster.local`,
  );
  const ofName = (regex: string, component: string): object => ({
    source_labels: ['__meta_dns_name'],
    regex,
    target_label: 'component',
    replacement: component,
  });
  return {
    job_name: 'sealgate',
    honor_labels: true,
    dns_sd_configs: [{ names, type: 'SRV', refresh_interval: '1s' }],
    relabel_configs: [
      ofName('.*', 'dataplane'),
      ofName('.*-operator-metrics[.].*', 'operator'),
      { target_label: 'namespace', replacement: namespace },
      { target_label: 'endpoint', replacement: 'metrics' },
    ],
  };
}
