/**
 * Writes a tar whose bytes depend on nothing but its entries: owner and group 0, time 0, no names of users.
 *
 * POSIX.1-1988 (ustar): https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
import { bytesOf, type Entry } from './entries.ts';

const BLOCK = 512;
const TYPES = { file: '0', link: '2', folder: '5' } as const;

/** The tar of the entries, in their order. @throws Error when a path does not fit into a ustar header */
export function tarOf(entries: readonly Entry[]): Buffer {
  const pieces: Buffer[] = [];
  for (const entry of entries) {
    const content = entry.kind === 'file' ? bytesOf(entry) : Buffer.alloc(0);
    pieces.push(header(entry, content.length), content, Buffer.alloc(-content.length & (BLOCK - 1)));
  }
  pieces.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(pieces);
}

function header(entry: Entry, sizeBytes: number): Buffer {
  const [prefix, name] = split(entry.kind === 'folder' ? `${entry.path}/` : entry.path);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write(octal(entry.kind === 'link' ? 0o777 : entry.mode, 7), 100);
  block.write(octal(0, 7), 108); // owner
  block.write(octal(0, 7), 116); // group
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(0, 11), 136); // seconds since 1970
  block.fill(' ', 148, 156); // the checksum counts its own field as spaces
  block.write(TYPES[entry.kind], 156);
  if (entry.kind === 'link') block.write(fitting(entry.target, 100), 157);
  block.write('ustar', 257);
  block.write('00', 263);
  block.write(octal(0, 7), 329); // device
  block.write(octal(0, 7), 337);
  block.write(prefix, 345);
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return block;
}

function octal(value: number, digits: number): string {
  const text = value.toString(8).padStart(digits, '0');
  if (text.length > digits) throw new Error(`${value} is too large for a tar header`);
  return text;
}

function fitting(text: string, limitBytes: number): string {
  if (Buffer.byteLength(text) > limitBytes) throw new Error(`too long for a tar header: ${text}`);
  return text;
}

/** A path of more than 100 bytes is parted at a slash: up to 155 bytes before it, up to 100 after it. */
function split(path: string): [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ['', path];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const name = path.slice(slash + 1);
    if (name !== '' && Buffer.byteLength(name) <= 100) return [fitting(path.slice(0, slash), 155), name];
  }
  throw new Error(`too long for a tar header: ${path}`);
}
