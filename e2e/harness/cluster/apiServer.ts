/** The kube-apiserver process of one cluster: started, ended as a crash or in order, and started again. */
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from './clusterError.ts';
import type { ControlPlaneDescription } from './controlPlane.ts';
import { endRecorded, Processes, stillRuns } from './processes.ts';

const NAME = 'kube-apiserver';
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;

/**
 * Starts it and resolves when /readyz says ok.
 * Rejects with ClusterError when the process ends before that, or takes too long.
 */
export async function startApiServer(description: ControlPlaneDescription): Promise<void> {
  const { folder, apiServerUrl, apiServerCommand } = description;
  const process = await new Processes(folder).start(NAME, apiServerCommand);
  const pem = (name: string) => readFileSync(path.join(folder, 'certificates', name));
  const agent = new Agent({ ca: pem('ca.crt'), cert: pem('admin.crt'), key: pem('admin.key') });
  const limitMs = Date.now() + READY_LIMIT_MS;
  while (!(await answersOk(`${apiServerUrl}/readyz`, agent))) {
    if (!stillRuns(process.identity)) {
      throw new ClusterError('ended_early', `${NAME} ended\n${process.logTail()}`);
    }
    if (Date.now() > limitMs) {
      throw new ClusterError('not_ready', `${NAME} is not ready\n${process.logTail()}`);
    }
    await delay(POLL_MS);
  }
}

/** Ends it if it runs, and resolves when it is gone. */
export async function stopApiServer(folder: string, signal: NodeJS.Signals): Promise<void> {
  await endRecorded(folder, { name: NAME, signal });
}

async function answersOk(url: string, agent: Agent): Promise<boolean> {
  return await new Promise((resolve) => {
    const request = get(url, { agent, timeout: 2000 }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode === 200));
    });
    request.once('timeout', () => request.destroy());
    // Not up yet: refused, or cut off while it starts.
    request.once('error', () => resolve(false));
  });
}
