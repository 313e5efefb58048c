/**
 * Runs a command in a pod, over the API server's WebSocket (subprotocol v5.channel.k8s.io: the first byte of a message
 * names its channel: 1 standard output, 2 standard error, 3 how the command ended).
 */
import { z } from 'zod';

export interface ExecAccess {
  /** Of the API server. */
  readonly server: URL;
  readonly token: string;
}

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const ended = z.object({ status: z.enum(['Success', 'Failure']), message: z.string().default('') });

/** What a command said, collected from messages. */
export class ExecOutput {
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];
  #end: z.output<typeof ended> | null = null;

  take(message: Buffer): void {
    const content = message.subarray(1);
    if (message[0] === 1) this.#out.push(content);
    else if (message[0] === 2) this.#err.push(content);
    else if (message[0] === 3) this.#end = ended.parse(JSON.parse(content.toString('utf8')));
  }

  /** Standard output. @throws Error when the command failed, or never ended */
  result(): Buffer {
    if (this.#end?.status === 'Success') return Buffer.concat(this.#out);
    const why = this.#end === null ? 'the connection ended before the command' : this.#end.message;
    throw new Error(`${why}\n${Buffer.concat(this.#err).toString('utf8')}`);
  }
}

/** Resolves to the standard output; rejects when the command fails or cannot be run. */
export async function podExec(
  { server, token }: ExecAccess,
  { namespace, pod, container }: ExecTarget,
  command: readonly string[],
): Promise<Buffer> {
  const url = new URL(`/api/v1/namespaces/${namespace}/pods/${pod}/exec`, server);
  url.protocol = 'wss:';
  url.search = new URLSearchParams([
    ...command.map((word): [string, string] => ['command', word]),
    ['container', container],
    ['stdout', 'true'],
    ['stderr', 'true'],
  ]).toString();
  const socket = new WebSocket(url, {
    protocols: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
    headers: { authorization: `Bearer ${token}` },
  });
  socket.binaryType = 'arraybuffer';
  const output = new ExecOutput();
  const closed = Promise.withResolvers<void>();
  socket.addEventListener('message', ({ data }) => {
    if (data instanceof ArrayBuffer) output.take(Buffer.from(data));
  });
  socket.addEventListener('error', () =>
    closed.reject(new Error(`the API server refused to run a command in pod ${pod}`)),
  );
  socket.addEventListener('close', () => closed.resolve());
  await closed.promise;
  return output.result();
}
