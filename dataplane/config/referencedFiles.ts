/** The files that a configuration names: certificates, keys, tokens, credentials. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ConfigProblem } from './errors.ts';

const MAX_BYTES = 1 << 20;

/** Error codes of the system, in words; paths are named by the field that holds them. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'too many symbolic links',
};

/** Why a file could not be read, without its content. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (code === '' ? 'cannot be read' : `cannot be read (${code})`);
}

/**
 * Reads at most 1 MiB of a regular file. Synchronous on purpose: the configuration tells the size of libuv's thread
 * pool, which is fixed at its first use. Throws the system's error, or an Error when the file is not fit.
 */
export function readSmallFile(path: string): { readonly bytes: Buffer; readonly mode: number } {
  const descriptor = openSync(path, 'r');
  try {
    const { mode, size } = fstatSync(descriptor);
    if ((mode & 0o170_000) !== 0o100_000)
      throw Object.assign(new Error('not a regular file'), { code: 'not a regular file' });
    if (size > MAX_BYTES) throw Object.assign(new Error('too large'), { code: 'larger than 1 MiB' });
    const bytes = Buffer.allocUnsafeSlow(size);
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, bytes, length, size - length, length);
      length += read;
      if (read === 0 || length === size) return { bytes: bytes.subarray(0, length), mode };
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Reads named files, collecting contents for the configuration's hash, problems and warnings. */
export class ReferencedFiles {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  readonly contents: Buffer[] = [];
  /** Against which certificates are judged. */
  readonly nowMs: number;
  readonly #folder: string;

  constructor(folder: string, nowMs: number) {
    this.#folder = folder;
    this.nowMs = nowMs;
  }

  /** The text of a file, or null after noting the problem under `field`. Secret files should be private. */
  text(field: string, path: string, kind: 'secret' | 'public'): string | null {
    const file = resolve(this.#folder, path);
    try {
      const { bytes, mode } = readSmallFile(file);
      this.contents.push(bytes);
      if (kind === 'secret' && (mode & 0o027) !== 0) {
        this.warnings.push(`${field}: ${file} can be read by everyone or changed by its group: chmod 600 it`);
      }
      return bytes.toString('utf8');
    } catch (error) {
      this.problems.push({ path: field, message: `${file}: ${reasonOf(error)}` });
      return null;
    }
  }
}
