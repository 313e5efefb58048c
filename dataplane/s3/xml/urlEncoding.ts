/** encoding-type=url: how keys travel in listings when XML has no place for their characters. */

/** UTF-8 bytes of a key, prefix or marker, or the same as text. */
export type KeyText = Uint8Array | string;

/**
 * As S3 encodes keys in listings: `/`, `*`, `-`, `.`, `_`, letters and digits stay, a space becomes `+`, every
 * other byte of the UTF-8 becomes `%XX`.
 */
export function urlEncodeKey(key: KeyText): string {
  let text = '';
  for (const byte of typeof key === 'string' ? Buffer.from(key) : key) text += ENCODED[byte];
  return text;
}

/** The text of a key in a listing, by the request's encoding-type. */
export function keyText(key: KeyText, encodingType: 'url' | null): string {
  if (encodingType === 'url') return urlEncodeKey(key);
  return typeof key === 'string' ? key : Buffer.from(key).toString('utf8');
}

/** By byte. */
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (/[A-Za-z0-9/*._-]/.test(character)) return character;
  return character === ' ' ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});
