/** How a page of parts stands in one row: a JSON list of positional entries, byte strings in base64. */
import { z } from 'zod';
import { MetadataError, type PartEntry, type PartPage } from '../metadata.ts';
import { integer, optionalBytes, type Row, text } from './columns.ts';

const id = z.string().regex(/^[0-9a-f]{32}$/);
const count = z.int().nonnegative();

/** [part number, offset, size, incarnation, blob id, blob salt, digest salt, digests] */
const storedEntry = z.tuple([
  count,
  count,
  count,
  id,
  id,
  z.base64().nullable(),
  z.base64().nullable(),
  z.base64(),
]);
const storedEntries = z.array(storedEntry);

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

export function encodeParts(parts: readonly PartEntry[]): string {
  const entries: z.infer<typeof storedEntries> = parts.map((part) => [
    part.partNumber,
    part.offset,
    part.size,
    part.location.incarnation,
    part.location.blobId,
    part.salt === null ? null : base64(part.salt),
    part.digestSalt === null ? null : base64(part.digestSalt),
    base64(part.digests),
  ]);
  return JSON.stringify(entries);
}

/** MetadataError 'Integrity' when the column does not hold entries. */
export function decodeParts(column: string): PartEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(column);
  } catch (error) {
    throw new MetadataError('Integrity', 'a page of parts is not readable', { cause: error });
  }
  const parsed = storedEntries.safeParse(json);
  if (!parsed.success) {
    throw new MetadataError('Integrity', 'a page of parts has an unknown form', { cause: parsed.error });
  }
  return parsed.data.map(([partNumber, offset, size, incarnation, blobId, salt, digestSalt, digests]) => ({
    partNumber,
    offset,
    size,
    location: { incarnation, blobId },
    salt: salt === null ? null : Buffer.from(salt, 'base64'),
    digestSalt: digestSalt === null ? null : Buffer.from(digestSalt, 'base64'),
    digests: Buffer.from(digests, 'base64'),
  }));
}

/** The page that a row of body_parts (page, parts, page_mac) holds. */
export function partPageOf(row: Row): PartPage {
  return {
    page: integer(row, 'page'),
    parts: decodeParts(text(row, 'parts')),
    pageMac: optionalBytes(row, 'page_mac'),
  };
}
