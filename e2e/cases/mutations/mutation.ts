/** What a tampering is: applied to the files or rows of a running data plane, and taken back afterwards. */
import type { LiveDatabase, Undo } from './liveDatabase.ts';
import type { Random } from './random.ts';
import type { Lane, Places, Specimen } from './specimens.ts';

/**
 * What a GET of the whole object must answer. refuse: an error or a cut connection; serve: what was changed is not
 * read or not authentic by design, so the bytes; vanish: a 404 is one of the right answers; either: depends on the value.
 */
export type Expectation = 'refuse' | 'serve' | 'vanish' | 'either';

export interface Tampering {
  readonly targets: readonly Specimen[];
  readonly expectation: Expectation;
  readonly undo: Undo;
}

export interface Scene {
  readonly db: LiveDatabase;
  readonly places: Places;
  readonly lane: Lane;
  readonly random: Random;
}

/** Tampers with something of the lane. */
export type Tamper = (scene: Scene) => Tampering;

export interface Kind {
  readonly name: string;
  /** How often, for each lane and round. */
  readonly times: number;
  readonly tamper: Tamper;
}

/** The object and all that share its body. */
export function family(specimen: Specimen): Specimen[] {
  return [specimen, ...specimen.sharedWith];
}
