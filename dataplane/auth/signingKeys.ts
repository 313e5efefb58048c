import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

const DEFAULT_LIMIT = 1024;
/** Days and regions in which one access key is used at the same time. */
const KEYS_PER_SECRET = 4;

interface SecretsKeys {
  readonly secretAccessKey: string;
  /** By date and region. */
  readonly keys: Map<string, KeyObject>;
}

/**
 * HMAC keys derived from secret access keys, kept because a client uses the same one for a whole day.
 *
 * A key is given only for the secret that it was derived from, so none outlives the rotation of its secret; of an access
 * key that is revoked none is asked for any more. Bounded, oldest first. A key that drops out lives on in the bodies whose
 * chunks are still being verified.
 */
export class SigningKeys {
  readonly #limit: number;
  readonly #secrets = new Map<string, SecretsKeys>();

  /** `limit`: of how many access keys. */
  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /** How many keys are held. */
  get size(): number {
    let size = 0;
    for (const { keys } of this.#secrets.values()) size += keys.size;
    return size;
  }

  /** The signing key of that access key; `date` is yyyyMMdd. Source: S3 API, "Signature calculation". */
  get(accessKeyId: string, secretAccessKey: string, date: string, region: string): KeyObject {
    const name = `${date}/${region}`;
    let held = this.#secrets.get(accessKeyId);
    // The secret is compared too: an access key may have been declared anew with another one.
    if (held?.secretAccessKey !== secretAccessKey) {
      held = { secretAccessKey, keys: new Map() };
      this.#secrets.delete(accessKeyId);
      this.#secrets.set(accessKeyId, held);
      dropOldest(this.#secrets, this.#limit);
    }
    const cached = held.keys.get(name);
    if (cached !== undefined) return cached;
    const signingKey = deriveSigningKey(secretAccessKey, date, region);
    held.keys.set(name, signingKey);
    dropOldest(held.keys, KEYS_PER_SECRET);
    return signingKey;
  }

  /** Lets go of everything derived for an access key that is not there any more. */
  forget(accessKeyId: string): void {
    this.#secrets.delete(accessKeyId);
  }
}

function dropOldest(map: Map<string, unknown>, limit: number): void {
  if (map.size <= limit) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
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
