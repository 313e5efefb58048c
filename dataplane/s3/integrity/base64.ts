/** Strict base64 with padding, of exactly that many bytes; null for anything else. */
export function decodeBase64(text: string, sizeBytes: number): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  // Buffer forgives wrong characters, missing padding and stray bits; what does not encode back is malformed.
  return bytes.length === sizeBytes && bytes.toString('base64') === text ? bytes : null;
}
