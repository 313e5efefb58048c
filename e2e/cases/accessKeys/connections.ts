/** Many connections to one server, kept open between requests. */
import { Agent, request as httpRequest } from 'node:http';
import type { S3Access } from '../../harness/clients.ts';
import { sign } from '../../harness/signedRequest.ts';

/** So many connections that both of two workers certainly have some. */
export const CONNECTIONS = 32;

/** Connections that stay open, each with one request at a time: a GET of that path. */
export function openConnections(path: string) {
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const ask = (access: S3Access, agent: Agent): Promise<{ told: string; reused: boolean; id: string }> => {
    const { head } = sign(access, { method: 'GET', path });
    // Not the one that ends the connection.
    const lines = head
      .split('\r\n')
      .slice(1, -2)
      .filter((line) => !/^connection:/i.test(line));
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
    return new Promise((resolve, reject) => {
      const req = httpRequest(access.endpoint + path, { agent, headers }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const code = /<Code>([^<]*)/.exec(Buffer.concat(chunks).toString())?.[1];
          resolve({
            told: [res.statusCode, code].filter((part) => part !== undefined).join(' '),
            reused: req.reusedSocket,
            id: String(res.headers['x-amz-request-id']),
          });
        });
      });
      req.on('error', reject);
      req.end();
    });
  };
  return {
    /** One request on each connection, at once. */
    askAll: (access: S3Access) => Promise.all(agents.map((agent) => ask(access, agent))),
    [Symbol.dispose]: () => {
      for (const agent of agents) agent.destroy();
    },
  };
}
