/**
 * A TCP relay on the loopback that ends connections in the middle of what the server says, below TLS: what a firewall, a
 * load balancer or a dying server does.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface TcpCutter extends AsyncDisposable {
  readonly port: number;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Ends the first connection over which so many more bytes come from the server; resolves when that is done. */
  cutOnce(bytes: number): Promise<void>;
}

/** Relays to a port of the loopback. Rejects when it cannot listen. */
export async function startTcpCutter(target: number): Promise<TcpCutter> {
  const open = new Map<Socket, { left: number | null }>();
  let limit: number | null = null;
  let cuts = 0;
  let cut = (): void => {};
  const limitAll = (bytes: number | null): void => {
    limit = bytes;
    for (const state of open.values()) state.left = bytes;
  };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const state = { left: limit };
    open.set(client, state);
    const end = (): void => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('close', end);
      // A side that goes away takes the other with it; the tests look at what the gateway makes of that.
      socket.on('error', end);
    }
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes: Buffer) => {
      if (state.left === null || bytes.length < state.left) {
        if (state.left !== null) state.left -= bytes.length;
        client.write(bytes);
        return;
      }
      cuts += 1;
      client.end(bytes.subarray(0, state.left), end);
      limitAll(null);
      cut();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the relay has no port');
  return {
    port: address.port,
    get cuts() {
      return cuts;
    },
    cutOnce: async (bytes) =>
      await new Promise((resolve) => {
        cut = resolve;
        limitAll(bytes);
      }),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const client of open.keys()) client.destroy();
      await closed;
    },
  };
}
