/** Ports for the servers that the tests start. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * A port of the loopback that is free, below those that the system hands out by itself: neither a connection nor
 * another server takes one of them in the moment before this server binds it.
 */
export async function freePort(): Promise<number> {
  const [lowest = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/);
  const end = Number(lowest);
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(Math.floor(end / 2), end);
    if (await isFree(port)) return port;
  }
  throw new Error(`the loopback has no free port below ${end}`);
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
