import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

const DEFAULT_LIMIT = 1024;

interface CachedKey {
  readonly secretAccessKey: string;
  readonly signingKey: KeyObject;
}

/**
 * HMAC keys derived from secret access keys, kept because a client uses the same one for a whole day.
 *
 * Bounded, oldest first. A key that drops out lives on in the bodies whose chunks are still being verified.
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

  /** The signing key of that access key; `date` is yyyyMMdd. Source: S3 API, "Signature calculation". */
  get(accessKeyId: string, secretAccessKey: string, date: string, region: string): KeyObject {
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

function deriveSigningKey(secretAccessKey: string, date: string, region: string): KeyObject {
  let key = Buffer.from(`AWS4${secretAccessKey}`, 'utf8');
  for (const step of [date, region, 's3', 'aws4_request']) {
    const next = createHmac('sha256', key).update(step, 'utf8').digest();
    key.fill(0);
    key = next;
  }
  const signingKey = createSecretKey(key);
  key.fill(0);
  return signingKey;
}
