import { z } from 'zod';
import { escaped } from '../recovery/printable.ts';
import { type AskAdmin, adminPort } from './adminPort.ts';
import { parseArguments } from './arguments.ts';
import { type Command, type CommandOutput, UsageError } from './command.ts';
import { ProgressBar } from './progressBar.ts';
import { type RotateTime, systemTime } from './rotate.ts';
import { withSettings } from './withSettings.ts';

/** The server counts what remains in a whole bucket for each answer. */
const POLL_MS = 2_000;

const reportSchema = z.object({
  state: z.enum(['Running', 'Waiting', 'Finished']),
  olderThan: z.number(),
  done: z.object({ versions: z.number(), bytes: z.number() }),
  remaining: z.object({ versions: z.number(), uploads: z.number() }),
  damaged: z.number(),
  message: z.string().nullable(),
});
type Report = z.infer<typeof reportSchema>;

/** `sealgate reencrypt`: new data keys and blobs for what is older than a bucket's key. 0 done, 3 could not. */
export function reencryptCommandAt(time: RotateTime): Command {
  return {
    name: 'reencrypt',
    synopsis: '--config FILE BUCKET [--wait]',
    summary:
      "after a bucket key was stolen and rotated: write everything anew that is older than the bucket's key",
    run: async (args, output) => {
      const { options, flags, positionals } = parseArguments(args, ['config'], 1, ['wait']);
      const [bucket = ''] = positionals;
      const { config } = options;
      if (config === undefined) throw new UsageError('--config FILE is missing');
      return await withSettings(config, output, async (settings) => {
        const ask = adminPort(settings);
        const path = `buckets/${encodeURIComponent(bucket)}/reencrypt`;
        const { olderThan, remaining } = await ask(reportSchema, 'POST', path);
        const { versions, uploads } = remaining;
        output.stdout(
          `${bucket}: ${versions} object versions and ${uploads} open uploads are older than key version ${olderThan}\n`,
        );
        if (flags.has('wait')) await waitForEnd(ask, output, bucket, time);
        return 0;
      });
    },
  };
}

export const reencryptCommand: Command = reencryptCommandAt(systemTime);

async function waitForEnd(
  ask: AskAdmin,
  output: CommandOutput,
  bucket: string,
  time: RotateTime,
): Promise<void> {
  const bar = new ProgressBar({
    write: (text) => output.stderr(text),
    isTerminal: output.isTerminal === true,
    nowMs: () => time.nowMs(),
    what: 'written anew',
  });
  let told: string | null = null;
  for (;;) {
    const path = `buckets/${encodeURIComponent(bucket)}/reencrypt`;
    const report: Report = await ask(reportSchema, 'GET', path);
    const { state, message, done, remaining } = report;
    if (state === 'Finished') break;
    if (message !== null && message !== told) bar.tell(`waiting: ${escaped(message)}`);
    told = message;
    bar.show({ done: done.versions, remaining: remaining.versions });
    await time.wait(POLL_MS);
  }
  bar.clear();
  output.stdout(`${bucket}: no data key is older than the bucket's key any more\n`);
}
