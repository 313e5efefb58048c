/** encoding-type=url: how keys travel in listings when XML has no place for their characters. */

/** UTF-8 bytes of a key, prefix or marker, or the same as text. */
export type KeyText = Uint8Array | string;

/**
 * As S3 encodes keys in listings: `/`, `*`, `-`, `.`, `_`, letters and digits stay, a space becomes `+`, every
 * other byte of the UTF-8 becomes `%XX`.
 */
export function urlEncodeKey(key: KeyText): string {
  let text = '';
  for (const byte of typeof key === 'string' ? Buffer.from(key) : key) {
    const character = String.fromCharCode(byte);
    if (STAYS.test(character)) text += character;
    else if (character === ' ') text += '+';
    else text += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** The text of a key in a listing, by the request's encoding-type. */
export function keyText(key: KeyText, encodingType: 'url' | null): string {
  if (encodingType === 'url') return urlEncodeKey(key);
  return typeof key === 'string' ? key : Buffer.from(key).toString('utf8');
}

const STAYS = /^[A-Za-z0-9/*._-]$/;
