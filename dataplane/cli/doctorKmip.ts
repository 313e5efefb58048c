import { systemClock } from '../keys/clock.ts';
import { examine } from '../keys/doctor/doctor.ts';
import { kmipReport } from '../keys/doctor/report.ts';
import { kmipReportText } from '../keys/doctor/reportText.ts';
import type { KmsConnectionSettings } from '../keys/settings.ts';
import { productVersion } from '../process/version.ts';
import { NotFoundError } from '../recovery/stores.ts';
import { parseArguments } from './arguments.ts';
import { type Command, UsageError } from './command.ts';
import { withSettings } from './withSettings.ts';

/**
 * `sealgate doctor kmip`: a report to send to the KMS team. 0 healthy, 1 not healthy (or interrupted), 3 could not look.
 * An interrupt ends it early; the throw-away key is removed first. A second one ends it at once.
 */
export const doctorKmipCommand: Command = {
  name: 'doctor kmip',
  synopsis: '--config FILE [--connection NAME] [--json]',
  summary: 'try the KMS with a throw-away key, and report causes and what to ask the KMS team for',
  run: async (args, output) => {
    const { options, flags } = parseArguments(args, ['config', 'connection'], 0, ['json']);
    const { config, connection } = options;
    if (config === undefined) throw new UsageError('--config FILE is missing');
    return await withSettings(config, output, async ({ kmsConnections }) => {
      const chosen = choose(kmsConnections, connection);
      const interrupted = new AbortController();
      const interrupt = () => {
        output.stderr('sealgate: interrupted; removing the throw-away key (once more ends at once)\n');
        interrupted.abort();
      };
      process.once('SIGINT', interrupt);
      process.once('SIGTERM', interrupt);
      try {
        const examinations = [];
        for (const settings of chosen) {
          examinations.push(
            await examine(settings, { clock: systemClock, wallNow: Date.now, signal: interrupted.signal }),
          );
        }
        const report = kmipReport(examinations, { madeAtMs: Date.now(), version: productVersion() });
        output.stdout(flags.has('json') ? `${JSON.stringify(report, null, 2)}\n` : kmipReportText(report));
        return report.healthy ? 0 : 1;
      } finally {
        process.off('SIGINT', interrupt);
        process.off('SIGTERM', interrupt);
      }
    });
  },
};

function choose(
  connections: readonly KmsConnectionSettings[],
  name: string | undefined,
): readonly KmsConnectionSettings[] {
  if (connections.length === 0) throw new NotFoundError('the configuration names no KMS connection');
  const chosen = name === undefined ? connections : connections.filter((one) => one.name === name);
  if (chosen.length > 0) return chosen;
  const names = connections.map((one) => one.name).join(', ');
  throw new NotFoundError(`the configuration has no KMS connection ${name}; it has ${names}`);
}
