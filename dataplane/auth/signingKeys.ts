import { createHmac } from 'node:crypto';

const DEFAULT_LIMIT = 1024;

interface CachedKey {
  readonly secretAccessKey: string;
  readonly signingKey: Buffer;
}

/**
 * HMAC keys derived from secret access keys, kept because a client uses the same one for a whole day.
 *
 * Bounded, oldest first. A key that drops out is left to the garbage collector and not zeroed: a body whose
 * chunks are still being verified may hold it.
 */
export class SigningKeys {
  readonly #limit: number;
  readonly #keys = new Map<string, CachedKey>();

  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /** How many keys are held. */
  get size(): number {
    return this.#keys.size;
  }

  /** The 32-byte signing key of that access key; `date` is yyyyMMdd. Source: S3 API, "Signature calculation". */
  get(accessKeyId: string, secretAccessKey: string, date: string, region: string): Buffer {
    const name = `${date}/${region}/${accessKeyId}`;
    const cached = this.#keys.get(name);
    // The secret is compared too: an access key may have been declared anew with another one.
    if (cached?.secretAccessKey === secretAccessKey) return cached.signingKey;
    const signingKey = deriveSigningKey(secretAccessKey, date, region);
    this.#keys.delete(name);
    this.#keys.set(name, { secretAccessKey, signingKey });
    if (this.#keys.size > this.#limit) {
      for (const oldest of this.#keys.keys()) {
        this.#keys.delete(oldest);
        break;
      }
    }
    return signingKey;
  }
}

function deriveSigningKey(secretAccessKey: string, date: string, region: string): Buffer {
  let key = Buffer.from(`AWS4${secretAccessKey}`, 'utf8');
  for (const step of [date, region, 's3', 'aws4_request']) {
    const next = createHmac('sha256', key).update(step, 'utf8').digest();
    key.fill(0);
    key = next;
  }
  return key;
}
