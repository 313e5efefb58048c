import type { Command } from './command.ts';
import { configCheck } from './configCheck.ts';
import { configExample } from './configExample.ts';
import { doctorCryptoCommand } from './doctorCrypto.ts';
import { doctorKmipCommand } from './doctorKmip.ts';
import { inspectCommand } from './inspect.ts';
import { keysCommand, keysDestroyCommand } from './keys.ts';
import { reencryptCommand } from './reencrypt.ts';
import { rotateCommand } from './rotate.ts';
import { serveCommand } from './serve.ts';
import { verifyCommand } from './verify.ts';
import { version } from './version.ts';

/** Every command, in the order in which the usage shows them. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  inspectCommand,
  verifyCommand,
  rotateCommand,
  reencryptCommand,
  // Before the command that its name begins with.
  keysDestroyCommand,
  keysCommand,
  doctorKmipCommand,
  doctorCryptoCommand,
  configExample,
  configCheck,
  version,
];
