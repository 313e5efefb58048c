/**
 * A scripted KMIP server as a process of its own, for a network that its tests are not in.
 * Usage: node served.ts HOST CERTIFICATES-FOLDER
 *
 * Writes its port as the first line. Each line that it reads is a rule, or `null`, which stands in place of the one
 * before; it answers a line with a line. It ends when its input does.
 */
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Rule } from './script.ts';
import { startScriptedKms } from './scriptedKms.ts';

const [host = '', folder = ''] = process.argv.slice(2);
const file = (name: string): string => path.join(folder, name);
const kms = await startScriptedKms({
  host,
  certificates: { ca: file('ca.crt'), server: { cert: file('server.crt'), key: file('server.key') } },
});
process.stdout.write(`${kms.port}\n`);
let end = (): void => undefined;
for await (const line of createInterface({ input: process.stdin })) {
  end();
  const rule = JSON.parse(line) as Rule | null;
  end = rule === null ? () => undefined : kms.script(rule);
  process.stdout.write('done\n');
}
await kms.stop();
