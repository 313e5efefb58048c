/** A secret as it could have been written: raw, hex, base64 at each of the three alignments. */
export function spellings(secret: string): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64');
    return text.slice(shift === 0 ? 0 : 4, Math.floor(((shift + secret.length) * 8) / 24) * 4);
  });
  const hex = Buffer.from(secret).toString('hex');
  return [secret, hex, hex.toUpperCase(), ...base64].map((text) => Buffer.from(text));
}
