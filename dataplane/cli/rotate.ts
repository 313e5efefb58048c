import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { escaped } from '../recovery/printable.ts';
import { type AskAdmin, adminPort } from './adminPort.ts';
import { parseArguments } from './arguments.ts';
import { type Command, type CommandOutput, UsageError } from './command.ts';
import { ProgressBar } from './progressBar.ts';
import { withSettings } from './withSettings.ts';

const POLL_MS = 500;
const OPTIONS = ['config', 'to-connection', 'every', 'request-id'];

const madeSchema = z.object({ n: z.number(), kmsConnection: z.string(), kmsId: z.string().nullable() });
const scheduleSchema = z.object({ rotateEvery: z.string().nullable() });
const bucketSchema = z.object({
  rewrap: z.object({
    state: z.enum(['Idle', 'Running', 'Waiting']),
    done: z.number(),
    remaining: z.number(),
    message: z.string().nullable(),
  }),
});

export interface RotateTime {
  /** Milliseconds on a scale that never goes back. */
  nowMs(): number;
  wait(waitMs: number): Promise<void>;
}

export const systemTime: RotateTime = {
  nowMs: () => performance.now(),
  wait: (waitMs) => new Promise((resolve) => setTimeout(resolve, waitMs)),
};

/** `sealgate rotate`: a new key for a bucket of the running server, or its schedule. 0 done, 3 could not. */
export function rotateCommandAt(time: RotateTime): Command {
  return {
    name: 'rotate',
    synopsis:
      '--config FILE BUCKET [--to-connection NAME] [--request-id ID] [--wait] | --config FILE BUCKET --every 90d|never',
    summary: 'give a bucket of the running server a new key, or set how old its keys may become',
    run: async (args, output) => {
      const { options, flags, positionals } = parseArguments(args, OPTIONS, 1, ['wait']);
      const { config, every, 'to-connection': toConnection, 'request-id': requestId } = options;
      const [bucket = ''] = positionals;
      if (config === undefined) throw new UsageError('--config FILE is missing');
      const others = toConnection !== undefined || requestId !== undefined || flags.has('wait');
      if (every !== undefined && others)
        throw new UsageError('--every sets the schedule and rotates nothing: it stands alone');
      return await withSettings(config, output, async (settings) => {
        const ask = adminPort(settings);
        if (every !== undefined) await setSchedule(ask, output, bucket, every);
        else {
          const id = requestId ?? `cli-${randomBytes(8).toString('hex')}`;
          await rotate(ask, output, bucket, { requestId: id, toConnection: toConnection ?? null });
          if (flags.has('wait')) await waitForRewrap(ask, output, bucket, time);
        }
        return 0;
      });
    },
  };
}

export const rotateCommand: Command = rotateCommandAt(systemTime);

async function setSchedule(
  ask: AskAdmin,
  output: CommandOutput,
  bucket: string,
  every: string,
): Promise<void> {
  const path = `buckets/${encodeURIComponent(bucket)}/rotation`;
  const { rotateEvery } = await ask(scheduleSchema, 'PUT', path, { every: every === 'never' ? null : every });
  output.stdout(
    rotateEvery === null
      ? `${bucket}: rotated only when asked\n`
      : `${bucket}: rotated whenever its key is ${rotateEvery} old\n`,
  );
}

async function rotate(
  ask: AskAdmin,
  output: CommandOutput,
  bucket: string,
  request: { readonly requestId: string; readonly toConnection: string | null },
): Promise<void> {
  const path = `buckets/${encodeURIComponent(bucket)}/rotate`;
  // Told first: whoever repeats a call whose answer was lost repeats its id.
  output.stderr(`request id ${request.requestId}\n`);
  const { n, kmsConnection, kmsId } = await ask(madeSchema, 'POST', path, request);
  output.stdout(
    `${bucket}: key version ${n} is in force (${kmsConnection}, ${escaped(kmsId ?? '')}); what is stored is being sealed anew\n`,
  );
}

async function waitForRewrap(
  ask: AskAdmin,
  output: CommandOutput,
  bucket: string,
  time: RotateTime,
): Promise<void> {
  const bar = new ProgressBar({
    write: (text) => output.stderr(text),
    isTerminal: output.isTerminal === true,
    nowMs: () => time.nowMs(),
  });
  let told: string | null = null;
  for (;;) {
    const { rewrap } = await ask(bucketSchema, 'GET', `buckets/${encodeURIComponent(bucket)}`);
    const { state, message } = rewrap;
    if (state === 'Idle') break;
    if (message !== null && message !== told) bar.tell(`waiting: ${escaped(message)}`);
    told = message;
    bar.show(rewrap);
    await time.wait(POLL_MS);
  }
  bar.clear();
  output.stdout(`${bucket}: nothing is sealed under an older version any more\n`);
}
