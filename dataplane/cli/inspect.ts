import type { Settings } from '../config/settings.ts';
import { type Explanation, explanationText } from '../recovery/explanation.ts';
import { inspectBlob } from '../recovery/inspectBlob.ts';
import { type InspectOptions, inspectBucket, inspectInstallation } from '../recovery/inspectBucket.ts';
import { inspectObject } from '../recovery/inspectObject.ts';
import { openStores, type Stores } from '../recovery/stores.ts';
import { parseArguments } from './arguments.ts';
import { type Command, UsageError } from './command.ts';
import { COULD_NOT, withSettings } from './withSettings.ts';

const FLAGS = ['json', 'no-kms', 'show-private'];

/** `sealgate inspect`: explains what is stored. 0 all as it should be, 1 something is wrong, 3 could not look. */
export const inspectCommand: Command = {
  name: 'inspect',
  synopsis: '--config FILE [--bucket BUCKET [--key KEY] | --blob FILE] [--no-kms] [--show-private] [--json]',
  summary: 'explain buckets, an object or the file of a blob',
  run: async (args, output) => {
    const { options, flags } = parseArguments(args, ['config', 'bucket', 'key', 'blob'], 0, FLAGS);
    const { config, bucket, key, blob } = options;
    if (config === undefined) throw new UsageError('--config FILE is missing');
    if (key !== undefined && bucket === undefined) throw new UsageError('--key needs --bucket');
    if (blob !== undefined && bucket !== undefined)
      throw new UsageError('--blob and --bucket exclude each other');
    const how = { askKms: !flags.has('no-kms'), showPrivate: flags.has('show-private') };
    return await withSettings(config, output, async (settings: Settings) => {
      await using stores = await openStores(settings);
      const explanation = await explain(stores, { bucket, key, blob }, how);
      const { report, wrong, unknown } = explanation;
      output.stdout(
        flags.has('json')
          ? `${JSON.stringify({ ...report, wrong, unknown }, null, 2)}\n`
          : explanationText(explanation),
      );
      if (wrong.length > 0) return 1;
      return unknown.length > 0 ? COULD_NOT : 0;
    });
  },
};

async function explain(
  stores: Stores,
  { bucket, key, blob }: Readonly<Record<'bucket' | 'key' | 'blob', string | undefined>>,
  how: InspectOptions,
): Promise<Explanation> {
  if (blob !== undefined) return await inspectBlob(stores, blob);
  if (bucket === undefined) return await inspectInstallation(stores);
  return key === undefined
    ? await inspectBucket(stores, bucket, how)
    : await inspectObject(stores, bucket, key, how);
}
