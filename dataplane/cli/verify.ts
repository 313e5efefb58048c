import { type Place, placeJson, placeText } from '../recovery/findings.ts';
import { Progress } from '../recovery/progress.ts';
import { openStores } from '../recovery/stores.ts';
import { type VerifySummary, verify } from '../recovery/verify.ts';
import { parseArguments } from './arguments.ts';
import { type Command, type CommandOutput, UsageError } from './command.ts';
import { withSettings } from './withSettings.ts';

/** `sealgate verify`: authenticates every chunk. 0 all good, 1 findings, 3 not everything could be checked. */
export const verifyCommand: Command = {
  name: 'verify',
  synopsis: '--config FILE [--bucket BUCKET] [--key-prefix PREFIX] [--json]',
  summary: 'authenticate every record and every chunk, beside a running server or without one',
  run: async (args, output) => {
    const { options, flags } = parseArguments(args, ['config', 'bucket', 'key-prefix'], 0, ['json']);
    const { config, bucket, 'key-prefix': keyPrefix } = options;
    if (config === undefined) throw new UsageError('--config FILE is missing');
    if (keyPrefix !== undefined && bucket === undefined) throw new UsageError('--key-prefix needs --bucket');
    const json = flags.has('json');
    return await withSettings(config, output, async (settings) => {
      await using stores = await openStores(settings);
      const progress = new Progress(
        () => performance.now(),
        (line) => output.stderr(line),
      );
      const summary = await verify({
        stores,
        scope: { bucket: bucket ?? null, keyPrefix: Buffer.from(keyPrefix ?? '') },
        progress,
        found: (finding) => {
          const line = placed(finding, finding.what);
          output.stdout(json ? jsonLine('finding', placeJson(finding)) : `WRONG: ${line}\n`);
        },
        unchecked: (unchecked) => {
          const line = placed(unchecked, unchecked.reason);
          output.stdout(json ? jsonLine('unchecked', placeJson(unchecked)) : `NOT CHECKED: ${line}\n`);
        },
      });
      if (json) output.stdout(jsonLine('summary', { ...summary }));
      else tellSummary(output, summary, progress.elapsedMs);
      if (summary.findings > 0) return 1;
      return summary.unchecked > 0 ? 3 : 0;
    });
  },
};

/** What is wrong with the installation as a whole has no place. */
function placed(place: Place, what: string): string {
  const where = placeText(place);
  return where === '' ? what : `${where}: ${what}`;
}

function jsonLine(type: string, fields: Record<string, unknown>): string {
  return `${JSON.stringify({ type, ...fields })}\n`;
}

function tellSummary(output: CommandOutput, summary: VerifySummary, elapsedMs: number): void {
  const { buckets, objects, bytes, findings, unchecked, unnamedFiles } = summary;
  const seconds = (elapsedMs / 1_000).toFixed(1);
  output.stdout(`verified ${buckets} buckets, ${objects} objects, ${bytes} bytes in ${seconds} s: `);
  output.stdout(findings === 0 ? 'nothing is wrong' : `${findings} findings`);
  output.stdout(unchecked === 0 ? '\n' : `, ${unchecked} not checked\n`);
  if (unnamedFiles === null) return;
  const { collectable, inFlight, foreign } = unnamedFiles;
  if (collectable > 0) output.stdout(`${collectable} files are left over and will be collected\n`);
  if (inFlight > 0) output.stdout(`${inFlight} files of the newest process have no row (yet)\n`);
  if (foreign > 0)
    output.stdout(`${foreign} files are of processes that this metadata does not know: left alone\n`);
}
