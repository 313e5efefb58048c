/**
 * A control plane that runs, as tests use it: tools, users, and an API server that can be taken away.
 *
 * It is described by a few values, so any process of this machine can use it, not only the one that started it.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startApiServer, stopApiServer } from './apiServer.ts';
import { type AuditEvent, readAuditLog } from './auditLog.ts';
import { ClusterAuthority } from './authority.ts';
import { type CommandOptions, runCommand } from './commands.ts';
import { kubeconfigText, writeKubeconfig } from './kubeconfig.ts';
import { programPath } from './programs.ts';
import { removeCluster } from './removal.ts';

/** All that is to be known of a running control plane; paths are absolute. */
export interface ControlPlaneDescription {
  /** Logs, certificates and data. */
  readonly folder: string;
  /** Where this machine reaches the API server. */
  readonly apiServerUrl: string;
  readonly apiServerCommand: readonly string[];
}

export interface ToolOptions extends CommandOptions {
  /** Another user's kubeconfig; default: the administrator's. */
  readonly kubeconfig?: string;
}

/** A running control plane. All paths are absolute. */
export interface ControlPlane {
  /** Logs, certificates and data. */
  readonly folder: string;
  /** Where this machine reaches the API server. */
  readonly apiServerUrl: string;
  /** PEM file of the authority that signed the API server's certificate. */
  readonly caFile: string;
  /** The administrator's (group system:masters), usable from this machine. */
  readonly kubeconfig: string;
  /** One JSON document per request and stage: who did what, without bodies. */
  readonly auditLogPath: string;
  /** Its events so far, in order; of each request only the last stages are there. */
  auditEvents(): Promise<AuditEvent[]>;
  /** Runs kubectl; resolves with its output, rejects with ClusterError `command_failed`. */
  kubectl(args: readonly string[], options?: ToolOptions): Promise<string>;
  /** Runs helm, as kubectl(). */
  helm(args: readonly string[], options?: ToolOptions): Promise<string>;
  /** kubectl apply of objects. */
  apply(...objects: readonly object[]): Promise<void>;
  /** A kubeconfig of a user with a client certificate; a path. */
  userKubeconfig(user: string, groups?: readonly string[]): Promise<string>;
  /** A kubeconfig of a service account, with a token from the TokenRequest API; a path. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  /** Ends the API server, by default as a crash does: connections break, new ones are refused. */
  stopApiServer(signal?: NodeJS.Signals): Promise<void>;
  /** Starts the API server again, killing it before if it runs; resolves when it is ready. */
  restartApiServer(): Promise<void>;
  /** Ends all processes and removes the folder. */
  close(): Promise<void>;
}

/** The folder with certificates and kubeconfig files. */
export function certificatesFolder(folder: string): string {
  return path.join(folder, 'certificates');
}

/** Where the API server writes who did what. */
export function auditLogOf(folder: string): string {
  return path.join(folder, 'audit.log');
}

/** The control plane that is described; it need not have been started by this process. */
export function openControlPlane(description: ControlPlaneDescription): ControlPlane {
  const { folder, apiServerUrl } = description;
  const certificates = certificatesFolder(folder);
  const authority = new ClusterAuthority(certificates);
  const endpoint = { server: apiServerUrl, ca: readFileSync(authority.certificate, 'utf8') };
  const kubeconfig = path.join(certificates, 'admin.kubeconfig');
  // Tools keep what they fetched in the cluster's folder, not in that of the person who runs the tests.
  const toolFolders = Object.fromEntries(
    ['HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME', 'KUBECACHEDIR'].map((name) => [
      name,
      path.join(folder, 'tools', name),
    ]),
  );
  const tool = async (program: 'kubectl' | 'helm', args: readonly string[], options: ToolOptions = {}) => {
    const { kubeconfig: other, env, ...rest } = options;
    return await runCommand([programPath(program), ...args], {
      ...rest,
      env: { ...toolFolders, ...env, KUBECONFIG: other ?? kubeconfig },
    });
  };
  const kubectl = async (args: readonly string[], options?: ToolOptions) =>
    await tool('kubectl', args, options);
  return {
    folder,
    apiServerUrl,
    caFile: authority.certificate,
    kubeconfig,
    auditLogPath: auditLogOf(folder),
    auditEvents: async () => await readAuditLog(auditLogOf(folder)),
    kubectl,
    helm: async (args, options) => await tool('helm', args, options),
    apply: async (...objects) => {
      const list = { apiVersion: 'v1', kind: 'List', items: objects };
      await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    },
    userKubeconfig: async (user, organizations = []) =>
      await writeKubeconfig(
        endpoint,
        await authority.client(`user-${encodeURIComponent(user)}`, { commonName: user, organizations }),
      ),
    serviceAccountKubeconfig: async (namespace, name) => {
      const token = await kubectl(['create', 'token', name, '--namespace', namespace, '--duration=1h']);
      const file = path.join(certificates, `serviceaccount-${namespace}-${name}.kubeconfig`);
      await writeFile(file, kubeconfigText(endpoint, { token: token.trim() }), { mode: 0o600 });
      return file;
    },
    stopApiServer: async (signal = 'SIGKILL') => await stopApiServer(folder, signal),
    restartApiServer: async () => {
      await stopApiServer(folder, 'SIGKILL');
      await startApiServer(description);
    },
    close: async () => await removeCluster(folder),
  };
}
