/** What node:http alone can do here: two threads that read a body or send one, without S3, hashes or disk. */
import { createServer } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const BATCH_BYTES = 1024 * 1024;

export interface BareServer {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** Starts it on a free port of loopback. `GET /bytes/N` answers N bytes; any PUT is read and answered 200. */
export async function startBareServer(threads: number): Promise<BareServer> {
  const workers: Worker[] = [];
  let port = 0;
  for (let i = 0; i < threads; i += 1) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { port } });
    port = await new Promise<number>((resolve, reject) => {
      worker.once('message', (bound: number) => resolve(bound));
      worker.once('error', reject);
    });
    workers.push(worker);
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function serve(port: number): void {
  const batch = Buffer.alloc(BATCH_BYTES, 0x5a);
  const server = createServer((req, res) => {
    if (req.method === 'PUT') {
      req.on('end', () => res.writeHead(200, { 'content-length': '0' }).end());
      req.resume();
      return;
    }
    let left = Number(/\/bytes\/(\d+)/.exec(req.url ?? '')?.[1] ?? 0);
    res.writeHead(200, { 'content-length': String(left) });
    const more = (): void => {
      while (left > 0) {
        const piece = left < BATCH_BYTES ? batch.subarray(0, left) : batch;
        left -= piece.length;
        if (!res.write(piece)) {
          res.once('drain', more);
          return;
        }
      }
      res.end();
    };
    more();
  });
  server.listen({ port, host: '127.0.0.1', reusePort: true }, () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') parentPort?.postMessage(address.port);
  });
}

if (!isMainThread) serve((workerData as { readonly port: number }).port);
