/** Text that came from clients or from the disk, made fit for a terminal. */

/** Control characters, and what looks like another character or turns the direction of the line. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"\\]/gu;

/** In quotes, with everything escaped that could move the cursor or hide: an object may be called anything. */
export function quoted(text: string): string {
  const safe = text.replace(UNSAFE, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `"${safe}"`;
}

/** The text as it is where that is harmless, else in quotes. */
export function printable(text: string): string {
  return text.search(UNSAFE) < 0 ? text : quoted(text);
}

/** An object key as text; keys are UTF-8 unless somebody edited the row. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8');
}
