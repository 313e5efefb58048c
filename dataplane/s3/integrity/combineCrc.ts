import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';

/** The algorithms whose FULL_OBJECT value follows from those of the parts. */
export type CrcAlgorithm = Extract<ChecksumAlgorithm, 'CRC32' | 'CRC32C' | 'CRC64NVME'>;

/** Bits of a length in bytes that are looked at: more than any object has. */
const MAX_LENGTH_BITS = 53;

/**
 * The CRC of two byte strings, one after the other, from the CRC of each (big-endian) and the length of the second
 * in bytes: the first is moved up by the length of the second, modulo the polynomial.
 * Source: M. Adler, zlib's crc32_combine.
 */
export function combineCrc(algorithm: CrcAlgorithm, a: Uint8Array, b: Uint8Array, lengthOfB: number): Buffer {
  const field = FIELDS[algorithm];
  const moved = field.timesPowerOf256(read(a), lengthOfB);
  const other = read(b);
  const value = Buffer.alloc(8);
  value.writeInt32BE(moved.high ^ other.high, 0);
  value.writeInt32BE(moved.low ^ other.low, 4);
  return value.subarray(0, field.widthBits / 8);
}

/** A polynomial over GF(2), reflected: bit 31 of `high` is x⁰. Those of 32 bits leave `low` zero. */
interface Polynomial {
  readonly high: number;
  readonly low: number;
}

/** Polynomials modulo a CRC's own. Halves of 32 bits: BigInt would make a Complete of 10,000 parts take seconds. */
class CrcField {
  readonly widthBits: 32 | 64;
  readonly #modulus: Polynomial;
  /** `#powers[k]` = x^(8·2^k): what 2^k zero bytes do to a register. */
  readonly #powers: readonly Polynomial[];

  constructor(widthBits: 32 | 64, modulus: Polynomial) {
    this.widthBits = widthBits;
    this.#modulus = modulus;
    // x⁸, then squares.
    let power: Polynomial = { high: 1 << 23, low: 0 };
    const powers: Polynomial[] = [];
    for (let k = 0; k < MAX_LENGTH_BITS; k++) {
      powers.push(power);
      power = this.#multiply(power, power);
    }
    this.#powers = powers;
  }

  /** value · x^(8·lengthBytes) */
  timesPowerOf256(value: Polynomial, lengthBytes: number): Polynomial {
    let product = value;
    let rest = lengthBytes;
    for (const power of this.#powers) {
      if (rest === 0) break;
      if (rest % 2 === 1) product = this.#multiply(power, product);
      rest = Math.floor(rest / 2);
    }
    return product;
  }

  #multiply(a: Polynomial, b: Polynomial): Polynomial {
    const wide = this.widthBits === 64;
    let high = 0;
    let low = 0;
    let termHigh = b.high;
    let termLow = b.low;
    for (let i = 0; i < this.widthBits; i++) {
      const half = i < 32 ? a.high : a.low;
      if (((half >>> (31 - (i & 31))) & 1) === 1) {
        high ^= termHigh;
        low ^= termLow;
      }
      const odd = ((wide ? termLow : termHigh) & 1) === 1;
      termLow = wide ? (termLow >>> 1) | (termHigh << 31) : 0;
      termHigh >>>= 1;
      if (odd) {
        termHigh ^= this.#modulus.high;
        termLow ^= this.#modulus.low;
      }
    }
    return { high, low };
  }
}

/** Constants, worked out when the module is loaded: about 160 multiplications. */
const FIELDS: Readonly<Record<CrcAlgorithm, CrcField>> = {
  CRC32: new CrcField(32, { high: 0xedb88320 | 0, low: 0 }),
  CRC32C: new CrcField(32, { high: 0x82f63b78 | 0, low: 0 }),
  CRC64NVME: new CrcField(64, { high: 0x9a6c9329 | 0, low: 0xac4bc9b5 | 0 }),
};

function read(crc: Uint8Array): Polynomial {
  const view = new DataView(crc.buffer, crc.byteOffset, crc.byteLength);
  return { high: view.getInt32(0), low: crc.byteLength === 8 ? view.getInt32(4) : 0 };
}
