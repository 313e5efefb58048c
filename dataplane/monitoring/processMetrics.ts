/** Metrics of the process as a whole, kept by the main thread. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export interface ProcessMetrics {
  readonly registry: Registry;
  /** A configuration was put in force, or refused while the old one stays in force. */
  configLoaded(result: 'applied' | 'refused'): void;
  /** Files of connectionsDir that are not in force as they are now. */
  connectionsRefused(files: number): void;
}

/** A registry with Node's own metrics and the process's; call it once per process. */
export function createProcessMetrics(options: { version: string; workers: number }): ProcessMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'sealgate_build_info',
    help: 'Always 1; the version is in the label.',
    labelNames: ['version'] as const,
    registers,
  }).set({ version: options.version }, 1);
  new Gauge({ name: 'sealgate_workers', help: 'S3 worker threads.', registers }).set(options.workers);
  const loads = new Counter({
    name: 'sealgate_config_loads_total',
    help: 'Configurations put in force or refused since the start.',
    labelNames: ['result'] as const,
    registers,
  });
  const valid = new Gauge({
    name: 'sealgate_config_valid',
    help: '1 when the configuration file is the one in force, 0 while a newer one is refused.',
    registers,
  });
  const refused = new Gauge({
    name: 'sealgate_config_connections_refused',
    help: 'Files of connectionsDir that are refused as they are now; the last good one of each stays in force.',
    registers,
  });
  for (const result of ['applied', 'refused'] as const) loads.inc({ result }, 0);
  return {
    registry,
    configLoaded: (result) => {
      loads.inc({ result });
      valid.set(result === 'applied' ? 1 : 0);
    },
    connectionsRefused: (files) => refused.set(files),
  };
}
