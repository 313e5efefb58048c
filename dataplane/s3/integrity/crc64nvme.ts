/**
 * The polynomial, reflected, as two halves. Source: NVM Command Set Specification, "64b CRC definition"
 * (0xAD93D23594C93659 unreflected).
 */
const POLYNOMIAL_HIGH = 0x9a6c9329 | 0;
const POLYNOMIAL_LOW = 0xac4bc9b5 | 0;

/**
 * `HIGH` and `LOW` at `256 * zeros + byte`: the register after that byte and so many zero bytes. Two halves of 32 bits
 * because numbers of 64 would be BigInts, a hundred times slower. Constants, worked out when the module is loaded.
 */
const [HIGH, LOW] = buildTables();

/** A running CRC-64/NVME. */
export class Crc64Nvme {
  #high = ~0;
  #low = ~0;

  update(bytes: Uint8Array): void {
    // Whole words at a time, which only an aligned view can give. Little-endian, as every platform of ours.
    const head = Math.min(-bytes.byteOffset & 3, bytes.length);
    const wordCount = ((bytes.length - head) >>> 3) * 2;
    const tail = head + wordCount * 4;
    this.#oneByOne(bytes, 0, head);
    if (wordCount > 0) this.#eightByEight(new Int32Array(bytes.buffer, bytes.byteOffset + head, wordCount));
    this.#oneByOne(bytes, tail, bytes.length);
  }

  /** 8 bytes, big-endian. */
  digest(): Buffer {
    const value = Buffer.alloc(8);
    value.writeInt32BE(~this.#high, 0);
    value.writeInt32BE(~this.#low, 4);
    return value;
  }

  #eightByEight(words: Int32Array): void {
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < words.length; i += 2) {
      const first = (words[i] ?? 0) ^ low;
      const second = (words[i + 1] ?? 0) ^ high;
      const i0 = 1792 + (first & 255);
      const i1 = 1536 + ((first >>> 8) & 255);
      const i2 = 1280 + ((first >>> 16) & 255);
      const i3 = 1024 + (first >>> 24);
      const i4 = 768 + (second & 255);
      const i5 = 512 + ((second >>> 8) & 255);
      const i6 = 256 + ((second >>> 16) & 255);
      const i7 = second >>> 24;
      low =
        (LOW[i0] ?? 0) ^
        (LOW[i1] ?? 0) ^
        (LOW[i2] ?? 0) ^
        (LOW[i3] ?? 0) ^
        (LOW[i4] ?? 0) ^
        (LOW[i5] ?? 0) ^
        (LOW[i6] ?? 0) ^
        (LOW[i7] ?? 0);
      high =
        (HIGH[i0] ?? 0) ^
        (HIGH[i1] ?? 0) ^
        (HIGH[i2] ?? 0) ^
        (HIGH[i3] ?? 0) ^
        (HIGH[i4] ?? 0) ^
        (HIGH[i5] ?? 0) ^
        (HIGH[i6] ?? 0) ^
        (HIGH[i7] ?? 0);
    }
    this.#high = high;
    this.#low = low;
  }

  #oneByOne(bytes: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      const index = (this.#low ^ (bytes[i] ?? 0)) & 255;
      this.#low = ((this.#low >>> 8) | (this.#high << 24)) ^ (LOW[index] ?? 0);
      this.#high = (this.#high >>> 8) ^ (HIGH[index] ?? 0);
    }
  }
}

function buildTables(): readonly [Int32Array, Int32Array] {
  const highTable = new Int32Array(8 * 256);
  const lowTable = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const odd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        high ^= POLYNOMIAL_HIGH;
        low ^= POLYNOMIAL_LOW;
      }
    }
    highTable[byte] = high;
    lowTable[byte] = low;
  }
  for (let i = 256; i < lowTable.length; i++) {
    const high = highTable[i - 256] ?? 0;
    const low = lowTable[i - 256] ?? 0;
    highTable[i] = (high >>> 8) ^ (highTable[low & 255] ?? 0);
    lowTable[i] = ((low >>> 8) | (high << 24)) ^ (lowTable[low & 255] ?? 0);
  }
  return [highTable, lowTable];
}
