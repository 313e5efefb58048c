/** Cuts a byte stream into KMIP messages by their eight-byte header, however the reads were split. */
import { TAG } from './tags.ts';
import { ITEM_HEADER_BYTES, TtlvError, tagName } from './ttlv.ts';

/** The largest answer that is accepted, header included: 1 MiB. Ours are below 4 KiB. */
export const MESSAGE_LIMIT_BYTES = 1024 * 1024;
const STRUCTURE_TYPE = 0x01;

/** Collects one connection's bytes. */
export class FrameReader {
  #header = Buffer.allocUnsafeSlow(ITEM_HEADER_BYTES);
  #headerFilled = 0;
  #frame: Buffer | null = null;
  #filled = 0;

  /** Whether bytes of an unfinished message are held. */
  get partial(): boolean {
    return this.#headerFilled > 0;
  }

  /**
   * Takes the next bytes and returns the messages that they complete, each in a buffer of its own. The bytes of `chunk`
   * are zeroed: they may hold a key. Throws TtlvError for a header that starts no answer or announces too much; the
   * connection is then of no more use.
   */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    try {
      this.#take(chunk, frames);
    } catch (error) {
      for (const frame of frames) frame.fill(0);
      throw error;
    } finally {
      chunk.fill(0);
    }
    return frames;
  }

  /** Zeroes what is held. */
  clear(): void {
    this.#frame?.fill(0);
    this.#frame = null;
    this.#headerFilled = 0;
  }

  #take(chunk: Buffer, frames: Buffer[]): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame === null) {
        const taken = chunk.copy(this.#header, this.#headerFilled, at);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled === ITEM_HEADER_BYTES) this.#begin();
      } else {
        const taken = chunk.copy(this.#frame, this.#filled, at);
        this.#filled += taken;
        at += taken;
      }
      if (this.#frame !== null && this.#filled === this.#frame.length) {
        frames.push(this.#frame);
        this.#frame = null;
        this.#headerFilled = 0;
      }
    }
  }

  #begin(): void {
    const tag = this.#header.readUIntBE(0, 3);
    if (tag !== TAG.responseMessage || this.#header.readUInt8(3) !== STRUCTURE_TYPE) {
      throw new TtlvError(`the answer starts with ${tagName(tag)}, not with a Response Message`);
    }
    const messageBytes = ITEM_HEADER_BYTES + this.#header.readUInt32BE(4);
    if (messageBytes > MESSAGE_LIMIT_BYTES) {
      throw new TtlvError(`the answer announces ${messageBytes} bytes, more than ${MESSAGE_LIMIT_BYTES}`);
    }
    this.#frame = Buffer.allocUnsafeSlow(messageBytes);
    this.#filled = this.#header.copy(this.#frame);
  }
}
