/** A scripted KMIP server in a cluster's network, where pods reach it: what it does wrong is told it from here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Rule } from '../scriptedKms/script.ts';
import type { Cluster } from './cluster.ts';

const PROGRAM = fileURLToPath(new URL('../scriptedKms/served.ts', import.meta.url));
const LIMIT_MS = 30_000;

export interface ScriptedClusterKms {
  readonly host: string;
  readonly port: number;
  /** What it does wrong from now on, in place of what it did before; null: nothing. */
  behave(rule: Rule | null): Promise<void>;
  close(): Promise<void>;
}

/** `certificateFolder`: as makeCertificates() makes it, with a server certificate for the node's address. */
export async function startScriptedClusterKms(
  cluster: Cluster,
  certificateFolder: string,
): Promise<ScriptedClusterKms> {
  const host = cluster.nodeAddress;
  const [program, ...args] = [...cluster.enter, process.execPath, PROGRAM, host, certificateFolder];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const exited = once(child, 'exit');
  const line = async (): Promise<string> => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const ended = exited.then(() => Promise.reject(new Error('the scripted KMS has ended')));
    const [text] = (await Promise.race([once(lines, 'line', { signal }), ended])) as [string];
    return text;
  };
  const port = Number(await line());
  return {
    host,
    port,
    behave: async (rule) => {
      const done = line();
      child.stdin.write(`${JSON.stringify(rule)}\n`);
      await done;
    },
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
