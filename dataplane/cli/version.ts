import { productVersion } from '../process/version.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

/** `sealgate version`: of Sealgate, Node and OpenSSL. */
export const version: Command = {
  name: 'version',
  synopsis: '',
  summary: 'print the versions of Sealgate, Node.js and OpenSSL',
  run: async (args, output) => {
    parseArguments(args, [], 0);
    output.stdout(
      `sealgate ${productVersion()} (node ${process.versions.node}, openssl ${process.versions.openssl})\n`,
    );
    return 0;
  },
};
