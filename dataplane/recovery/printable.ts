/** Text that came from clients or from the disk, made fit for a terminal. */

/** Control characters, and what is invisible or turns the direction of the line. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with everything escaped that could move the cursor or hide: an object may be called anything. */
export function escaped(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The same in quotes, so that blanks show and nothing can look like the end of it. */
export function quoted(text: string): string {
  return `"${escaped(text.replace(/["\\]/g, '\\$&'))}"`;
}

/** The text as it is where that is harmless, else in quotes. */
export function printable(text: string): string {
  return escaped(text) === text && !/^\s|\s$|["\\]/.test(text) ? text : quoted(text);
}

/** An object key as text; keys are UTF-8 unless somebody edited the row. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8');
}
