/** A process whose calendar is ahead of this machine's, by Debian's libfaketime; its timers go on as they are. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The environment of such a process. Rejects where the library is not installed. */
export async function daysAhead(days: number): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await promisify(execFile)('dpkg', ['-L', 'libfaketime']);
  const library = stdout.split('\n').find((file) => file.endsWith('/libfaketimeMT.so.1'));
  if (library === undefined) throw new Error('the package libfaketime has no libfaketimeMT.so.1');
  return { LD_PRELOAD: library, FAKETIME: `+${days}d`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}
