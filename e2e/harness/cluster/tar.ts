/** tar archives whose bytes depend on nothing but what is put in (POSIX.1-1988 ustar). Pure. */

export interface TarFile {
  /** From the archive's root, without a slash at its start; at most 100 bytes. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

export interface TarLink {
  readonly path: string;
  /** A symbolic link to this path; at most 100 bytes. */
  readonly target: string;
}

export interface TarFolder {
  readonly path: string;
  readonly mode: number;
}

export type TarEntry = TarFile | TarLink | TarFolder;

const BLOCK = 512;

/**
 * The archive with the entries in this order; all belong to user 0 and are as old as 1970.
 *
 * @throws RangeError for a path that does not fit
 */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(blocksOf), Buffer.alloc(2 * BLOCK)]);
}

function blocksOf(entry: TarEntry): Buffer[] {
  if ('content' in entry) {
    const { content } = entry;
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(entry.path, '0', entry.mode, content.length, ''), content, padding];
  }
  if ('target' in entry) return [header(entry.path, '2', 0o777, 0, entry.target)];
  return [header(`${entry.path}/`, '5', entry.mode, 0, '')];
}

function header(path: string, type: string, mode: number, size: number, link: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const text = (value: string, offset: number, length: number) => {
    if (Buffer.byteLength(value) > length) throw new RangeError(`${path}: too long for a tar archive`);
    block.write(value, offset);
  };
  const octal = (value: number, offset: number, length: number) =>
    text(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length);
  text(path, 0, 100);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  // The checksum is taken with blanks in its own place.
  text('        ', 148, 8);
  text(type, 156, 1);
  text(link, 157, 100);
  text('ustar\x0000', 257, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return block;
}
