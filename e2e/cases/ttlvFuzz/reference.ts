/** Which bytes are one TTLV item, judged a second time by code that shares nothing with the decoder (KMIP 1.4, 9.1.1). */

const LENGTH_OF_TYPE: Readonly<Record<number, (length: number) => boolean>> = {
  0x01: (length) => length % 8 === 0,
  0x02: (length) => length === 4,
  0x03: (length) => length === 8,
  0x04: (length) => length > 0 && length % 8 === 0,
  0x05: (length) => length === 4,
  0x06: (length) => length === 8,
  0x07: () => true,
  0x08: () => true,
  0x09: (length) => length === 8,
  0x0a: (length) => length === 4,
};

/** Structures inside structures that the client accepts. */
const NESTING_LIMIT = 24;

/** Whether the bytes are exactly one item. Without recursion, unlike the decoder. */
export function isOneItem(bytes: Buffer): boolean {
  /** Where each open structure ends. */
  const open: number[] = [bytes.length];
  let items = 0;
  for (let at = 0; ; ) {
    while (open.length > 1 && at === open.at(-1)) open.pop();
    if (open.length === 1 && items > 0) return at === bytes.length;
    const end = open.at(-1) ?? 0;
    if (end - at < 8 || open.length - 1 > NESTING_LIMIT) return false;
    const type = bytes[at + 3] ?? 0;
    const length = bytes.readUInt32BE(at + 4);
    const next = at + 8 + Math.ceil(length / 8) * 8;
    if (next > end || LENGTH_OF_TYPE[type]?.(length) !== true) return false;
    items += 1;
    if (type === 0x07) {
      const text = bytes.subarray(at + 8, at + 8 + length);
      if (!Buffer.from(text.toString('utf8')).equals(text)) return false;
    }
    if (type === 0x01) {
      open.push(next);
      at += 8;
    } else at = next;
  }
}
