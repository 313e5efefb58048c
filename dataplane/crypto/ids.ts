import type { Id } from '../metadata/metadata.ts';
import { type RandomSource, systemRandom } from './random.ts';

const ID_BYTES = 16;

/** A new identifier: 128 random bits as 32 lower-case hex characters. */
export function newId(random: RandomSource = systemRandom): Id {
  return random(ID_BYTES).toString('hex');
}
