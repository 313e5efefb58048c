/** Processes whose calendar is ahead of this machine's, by Debian's libfaketime; their timers go on as they are. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The path of the library on this machine. Rejects where it is not installed. */
export async function fakeTimeLibrary(): Promise<string> {
  const { stdout } = await promisify(execFile)('dpkg', ['-L', 'libfaketime']);
  const library = stdout.split('\n').find((file) => file.endsWith('/libfaketimeMT.so.1'));
  if (library === undefined) throw new Error('the package libfaketime has no libfaketimeMT.so.1');
  return library;
}

/** The environment of such a process. @param library where it finds the library */
export function hoursAhead(hours: number, library: string): Readonly<Record<string, string>> {
  return { LD_PRELOAD: library, FAKETIME: `+${hours}h`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}
