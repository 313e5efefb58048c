import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { cryptoReport, cryptoReportText } from './cryptoReport.ts';

/** `sealgate doctor crypto`: needs no configuration. 0 healthy, 1 not healthy. */
export const doctorCryptoCommand: Command = {
  name: 'doctor crypto',
  synopsis: '[--json]',
  summary: 'report OpenSSL, AES instructions and the measured speed with and without them',
  run: async (args, output) => {
    const { flags } = parseArguments(args, [], 0, ['json']);
    const report = await cryptoReport(Date.now());
    output.stdout(flags.has('json') ? `${JSON.stringify(report, null, 2)}\n` : cryptoReportText(report));
    return report.healthy ? 0 : 1;
  },
};
