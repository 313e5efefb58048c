/** Which cryptography this machine offers. */
import { readFile } from 'node:fs/promises';

/**
 * Whether the processor has AES instructions, from the text of /proc/cpuinfo: `flags` on x86, `Features` on ARM;
 * null when it tells neither.
 */
export function hasAesInstructions(cpuinfo: string): boolean | null {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1];
  return line === undefined ? null : /\baes\b/.test(line);
}

/** OpenSSL's version, and whether AES runs in hardware (null: this system does not tell). */
export async function cryptoSupport(
  cpuinfoFile = '/proc/cpuinfo',
): Promise<{ openssl: string; aesNi: boolean | null }> {
  const openssl = process.versions.openssl;
  try {
    return { openssl, aesNi: hasAesInstructions(await readFile(cpuinfoFile, 'utf8')) };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    return { openssl, aesNi: null };
  }
}
