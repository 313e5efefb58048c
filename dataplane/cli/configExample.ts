import { EXAMPLE } from '../config/example.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

/** `sealgate config example`: a complete, commented configuration. */
export const configExample: Command = {
  name: 'config example',
  synopsis: '',
  summary: 'print a complete, commented configuration file',
  run: async (args, output) => {
    parseArguments(args, [], 0);
    output.stdout(EXAMPLE);
    return 0;
  },
};
