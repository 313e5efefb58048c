/** Castagnoli's polynomial, reflected. Source: RFC 3720, appendix B.4. */
const POLYNOMIAL = 0x82f63b78;

/**
 * `TABLE[256 * zeros + byte]`: the register after that byte and so many zero bytes ("slicing by 8"). A constant,
 * worked out when the module is loaded (well under a millisecond): 2,048 literals would tell a reader nothing.
 */
const TABLE = buildTable();

/** Continues a CRC-32C over more bytes; start with 0. Returns an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, crc: number): number {
  let register = ~crc;
  // Whole words at a time, which only an aligned view can give. Little-endian, as every platform of ours.
  const head = Math.min(-bytes.byteOffset & 3, bytes.length);
  const wordCount = ((bytes.length - head) >>> 3) * 2;
  const tail = head + wordCount * 4;
  register = oneByOne(bytes, 0, head, register);
  if (wordCount > 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + head, wordCount);
    for (let i = 0; i < wordCount; i += 2) {
      const first = (words[i] ?? 0) ^ register;
      const second = words[i + 1] ?? 0;
      register =
        (TABLE[1792 + (first & 255)] ?? 0) ^
        (TABLE[1536 + ((first >>> 8) & 255)] ?? 0) ^
        (TABLE[1280 + ((first >>> 16) & 255)] ?? 0) ^
        (TABLE[1024 + (first >>> 24)] ?? 0) ^
        (TABLE[768 + (second & 255)] ?? 0) ^
        (TABLE[512 + ((second >>> 8) & 255)] ?? 0) ^
        (TABLE[256 + ((second >>> 16) & 255)] ?? 0) ^
        (TABLE[second >>> 24] ?? 0);
    }
  }
  return ~oneByOne(bytes, tail, bytes.length, register) >>> 0;
}

function oneByOne(bytes: Uint8Array, start: number, end: number, register: number): number {
  let next = register;
  for (let i = start; i < end; i++) next = (next >>> 8) ^ (TABLE[(next ^ (bytes[i] ?? 0)) & 255] ?? 0);
  return next;
}

function buildTable(): Int32Array {
  const table = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let register = byte;
    for (let bit = 0; bit < 8; bit++) {
      register = (register & 1) === 1 ? (register >>> 1) ^ POLYNOMIAL : register >>> 1;
    }
    table[byte] = register;
  }
  for (let i = 256; i < table.length; i++) {
    const shorter = table[i - 256] ?? 0;
    table[i] = (shorter >>> 8) ^ (table[shorter & 255] ?? 0);
  }
  return table;
}
