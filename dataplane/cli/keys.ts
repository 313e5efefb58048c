import { z } from 'zod';
import { escaped } from '../recovery/printable.ts';
import { type AskAdmin, adminPort } from './adminPort.ts';
import { parseArguments } from './arguments.ts';
import { type Command, UsageError } from './command.ts';
import { withSettings } from './withSettings.ts';

const PAGE = 1_000;

const keySchema = z.object({
  bucketId: z.string(),
  bucket: z.string().nullable(),
  n: z.number(),
  state: z.string(),
  kmsConnection: z.string(),
  kmsName: z.string(),
  kmsId: z.string().nullable(),
  reservedAt: z.string(),
  rotatedAt: z.string().nullable(),
  requestId: z.string().nullable(),
  uses: z.object({ versions: z.number(), uploads: z.number() }),
});
const pageSchema = z.object({ keys: z.array(keySchema), next: z.string().nullable() });
type Key = z.infer<typeof keySchema>;

const COLUMNS: readonly (readonly [head: string, cell: (key: Key) => string])[] = [
  ['KEY', (key) => `${key.bucketId}/${key.n}`],
  ['BUCKET', (key) => key.bucket ?? '(deleted)'],
  ['STATE', (key) => key.state],
  ['USES', (key) => String(key.uses.versions + key.uses.uploads)],
  ['CONNECTION', (key) => key.kmsConnection],
  ['KMS ID', (key) => escaped(key.kmsId ?? '-')],
  ['KMS NAME', (key) => key.kmsName],
];

/** `sealgate keys`: the key versions of all buckets, also of deleted ones. 0 told, 3 could not. */
export const keysCommand: Command = {
  name: 'keys',
  synopsis: '--config FILE [--unused] [--json]',
  summary: 'list the keys that the running server has in its KMSs, and what uses them',
  run: async (args, output) => {
    const { options, flags } = parseArguments(args, ['config'], 0, ['unused', 'json']);
    const { config } = options;
    if (config === undefined) throw new UsageError('--config FILE is missing');
    return await withSettings(config, output, async (settings) => {
      const keys = await everyKey(adminPort(settings), flags.has('unused'));
      if (flags.has('json')) for (const key of keys) output.stdout(`${JSON.stringify(key)}\n`);
      else output.stdout(table(keys));
      return 0;
    });
  },
};

/** `sealgate keys destroy`: destroys one revoked key that nothing is sealed under. 0 destroyed, 1 not without --yes, 3 could not. */
export const keysDestroyCommand: Command = {
  name: 'keys destroy',
  synopsis: '--config FILE KEY --yes',
  summary: 'destroy a revoked key, as `sealgate keys` names it, in its KMS for ever',
  run: async (args, output) => {
    const { options, flags, positionals } = parseArguments(args, ['config'], 1, ['yes']);
    const { config } = options;
    const [name = ''] = positionals;
    const [, bucketId, n] = /^([0-9a-f]{32})\/(\d{1,9})$/.exec(name) ?? [];
    if (config === undefined) throw new UsageError('--config FILE is missing');
    if (bucketId === undefined || n === undefined)
      throw new UsageError(`'${name}' is not a KEY as 'sealgate keys' shows it`);
    if (!flags.has('yes')) {
      output.stderr(`sealgate: ${name} would be destroyed in its KMS for ever: repeat with --yes\n`);
      return 1;
    }
    return await withSettings(config, output, async (settings) => {
      const key = await adminPort(settings)(keySchema, 'POST', `keys/${bucketId}/${n}/destroy`);
      output.stdout(
        `${name}: ${key.state} (${key.kmsConnection}, ${escaped(key.kmsId ?? 'no key was ever made')})\n`,
      );
      return 0;
    });
  },
};

async function everyKey(ask: AskAdmin, unused: boolean): Promise<Key[]> {
  const keys: Key[] = [];
  let after = '';
  for (;;) {
    const page = await ask(pageSchema, 'GET', `keys?limit=${PAGE}&unused=${unused}${after}`);
    keys.push(...page.keys);
    if (page.next === null) return keys;
    after = `&after=${encodeURIComponent(page.next)}`;
  }
}

function table(keys: readonly Key[]): string {
  const rows = [COLUMNS.map(([head]) => head), ...keys.map((key) => COLUMNS.map(([, cell]) => cell(key)))];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
