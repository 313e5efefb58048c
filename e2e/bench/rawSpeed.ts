import { createCipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto';

const CHUNK_BYTES = 128 * 1024;
const MEASURE_MS = 500;

/** MB/s of one thread over chunks of 128 KiB: the cipher that seals bodies, and the digest that ETags need. */
export function rawSpeed(): { readonly gcmMBps: number; readonly md5MBps: number } {
  const key = createSecretKey(randomBytes(32));
  const chunk = randomBytes(CHUNK_BYTES);
  const nonce = Buffer.alloc(12);
  let counter = 0;
  const gcmMBps = speed(() => {
    counter += 1;
    nonce.writeUInt32BE(counter, 8);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    cipher.update(chunk);
    cipher.final();
    cipher.getAuthTag();
  });
  const md5 = createHash('md5');
  const md5MBps = speed(() => md5.update(chunk));
  return { gcmMBps, md5MBps };
}

function speed(work: () => void): number {
  for (let i = 0; i < 50; i += 1) work();
  const started = performance.now();
  let chunks = 0;
  while (performance.now() - started < MEASURE_MS) {
    work();
    chunks += 1;
  }
  return (chunks * CHUNK_BYTES) / 1e6 / ((performance.now() - started) / 1000);
}
