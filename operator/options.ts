/** What the operator is told at its start: flags, and what a pod's environment says. */
import { hostname } from 'node:os';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { z } from 'zod';
import { duration, listenAddress } from '../dataplane/config/scalars.ts';
import type { ListenAddress, LogLevel } from '../dataplane/config/settings.ts';
import type { LeaseTimes } from './kube/lease.ts';

export interface OperatorOptions {
  /** Where the operator, its Lease and the fleet are. */
  readonly namespace: string;
  /** The fleet's. */
  readonly name: string;
  /** Whose resources are served; undefined: those of all namespaces. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly lease: LeaseTimes;
  /** An empty host: every address of IPv6 and IPv4, or of IPv4 alone where there is no other. */
  readonly healthListen: ListenAddress;
  /** As in KUBECONFIG; undefined: the pod's service account. */
  readonly kubeconfig: string | undefined;
  /** Of this process, in the Lease and in Events. */
  readonly identity: string;
  readonly logLevel: LogLevel;
}

/** Flags or environment that are not right; the message is for who started the operator. */
export class OptionsError extends Error {
  readonly code = 'InvalidOptions';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OptionsError';
  }
}

export const OPTIONS_HELP = `Usage: node operator/main.ts [options]
  --namespace NAME         namespace of the operator and its fleet (default: POD_NAMESPACE)
  --name NAME              name of the fleet (default: sealgate)
  --watch-namespaces A,B   serve resources of these namespaces only (default: all)
  --lease-duration TIME    others wait so long for a leader that says nothing (default: 15s)
  --renew-deadline TIME    a leader that cannot renew its lease stops after this (default: 10s)
  --retry-period TIME      between tries to take or renew the lease (default: 2s)
  --health-listen ADDRESS  probes and metrics (default: :9003, on every address)
  --kubeconfig FILE        access to the API server (default: KUBECONFIG, else the pod's service account)
  --identity NAME          of this process, unlike any other's (default: POD_NAME, else host name and process id)
  --log-level LEVEL        trace, debug, info, warn, error or fatal (default: info)
`;

/** host:port, or :port for every address. */
const healthListen = z.string().transform((text, context): ListenAddress => {
  const everywhere = text.startsWith(':');
  const parsed = listenAddress.safeParse(everywhere ? `localhost${text}` : text);
  if (parsed.success) return everywhere ? { ...parsed.data, host: '' } : parsed.data;
  context.addIssue({
    code: 'custom',
    message: 'must be host:port or :port, such as 127.0.0.1:9003 or :9003',
  });
  return z.NEVER;
});

const label = z.string().regex(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a DNS label');

const schema = z.strictObject({
  namespace: label,
  // Room for the names that are made of it.
  name: label.max(40),
  'watch-namespaces': z.array(label).min(1).max(1_000).optional(),
  'lease-duration': duration('1s', '10m'),
  'renew-deadline': duration('500ms', '9m'),
  'retry-period': duration('100ms', '1m'),
  'health-listen': healthListen,
  kubeconfig: z.string().min(1).optional(),
  identity: z.string().min(1).max(253),
  'log-level': z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
});

const FLAGS: ParseArgsOptionsConfig = Object.fromEntries(
  Object.keys(schema.shape).map((name) => [name, { type: 'string' }]),
);

/** Throws OptionsError that names the flag. */
export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OperatorOptions {
  const given = flagsOf(args);
  const { 'watch-namespaces': watched, ...flags } = given;
  const parsed = schema.safeParse({
    namespace: env['POD_NAMESPACE'],
    name: 'sealgate',
    'lease-duration': '15s',
    'renew-deadline': '10s',
    'retry-period': '2s',
    'health-listen': ':9003',
    kubeconfig: nonEmpty(env['KUBECONFIG']),
    identity: nonEmpty(env['POD_NAME']) ?? `${hostname()}-${process.pid}`,
    'log-level': 'info',
    ...(nonEmpty(watched) === undefined ? {} : { 'watch-namespaces': [...new Set(watched?.split(','))] }),
    ...flags,
  });
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`);
    throw new OptionsError(problems.join('; '), { cause: parsed.error });
  }
  const options = parsed.data;
  const lease = {
    durationMs: options['lease-duration'],
    renewDeadlineMs: options['renew-deadline'],
    retryMs: options['retry-period'],
  };
  if (lease.durationMs <= lease.renewDeadlineMs || lease.renewDeadlineMs <= 1.2 * lease.retryMs) {
    throw new OptionsError(
      '--lease-duration must be longer than --renew-deadline, and that longer than 1.2 times --retry-period',
    );
  }
  return {
    namespace: options.namespace,
    name: options.name,
    watchNamespaces: options['watch-namespaces'],
    lease,
    healthListen: options['health-listen'],
    kubeconfig: options.kubeconfig,
    identity: options.identity,
    logLevel: options['log-level'],
  };
}

function flagsOf(args: readonly string[]): Record<string, string> {
  try {
    const { values } = parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false });
    return Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    );
  } catch (error) {
    throw new OptionsError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The chart renders flags and variables that say nothing as empty ones. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
