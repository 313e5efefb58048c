/** How fast this machine seals and opens bodies, with the code that serves objects, on one thread. */
import { randomBytes } from 'node:crypto';
import { BlobSealer, openWholeBlob } from '../crypto/blob.ts';
import { SUITE } from '../crypto/blobHeader.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { DEFAULT_CHUNK_LOG2 } from '../crypto/sizes.ts';

const BODY_BYTES = 4 * 1024 * 1024;
/** Pieces as a socket gives them. */
const PIECE_BYTES = 64 * 1024;

/** 10⁶ bytes of plaintext in a second. */
export interface CryptoSpeed {
  readonly sealMBps: number;
  readonly openMBps: number;
}

/** Seals and opens again and again for `durationMs`, and tells the best of all rounds: others share the machine. */
export function measureCryptoSpeed(durationMs: number): CryptoSpeed {
  const dataKey = newDataKey();
  const body = randomBytes(BODY_BYTES);
  const best = { sealMs: Number.POSITIVE_INFINITY, openMs: Number.POSITIVE_INFINITY };
  const untilMs = performance.now() + durationMs;
  do {
    const startedMs = performance.now();
    const sealer = new BlobSealer(dataKey, { chunkLog2: DEFAULT_CHUNK_LOG2, plaintextSize: BODY_BYTES });
    const stored: Uint8Array[] = [sealer.header()];
    for (let at = 0; at < BODY_BYTES; at += PIECE_BYTES)
      stored.push(...sealer.update(body.subarray(at, at + PIECE_BYTES)));
    stored.push(...sealer.final());
    const sealedMs = performance.now();
    const blob = Buffer.concat(stored);
    const { salt } = sealer;
    const facts = { suite: SUITE, chunkLog2: DEFAULT_CHUNK_LOG2, salt, plaintextSize: BODY_BYTES };
    const openedMs = performance.now();
    const opened = openWholeBlob(dataKey, facts, blob);
    best.sealMs = Math.min(best.sealMs, sealedMs - startedMs);
    best.openMs = Math.min(best.openMs, performance.now() - openedMs);
    if (!opened.equals(body)) throw new Error('a body that was sealed and opened is not the same');
  } while (performance.now() < untilMs);
  return { sealMBps: megabytesPerSecond(best.sealMs), openMBps: megabytesPerSecond(best.openMs) };
}

const megabytesPerSecond = (ms: number): number => Math.round(BODY_BYTES / 1000 / ms);
