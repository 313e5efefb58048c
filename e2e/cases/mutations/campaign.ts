/** Runs tamperings over parallel lanes, judges what each of them did, and accounts for all of it. */
import type { Sealgate } from '../../harness/sealgate.ts';
import type { LiveDatabase } from './liveDatabase.ts';
import type { Kind, Scene, Tampering } from './mutation.ts';
import { Observer, type Outcome } from './observe.ts';
import { seeded } from './random.ts';
import type { Lane, Places } from './specimens.ts';

export interface Campaign {
  readonly server: Sealgate;
  readonly db: LiveDatabase;
  readonly places: Places;
  readonly lanes: readonly Lane[];
  readonly seed: string;
  /** How often the list of kinds is gone through. */
  readonly rounds: number;
}

/** What became of the tamperings of one kind: how the GETs of whole objects ended. */
export type Tally = Record<Outcome | 'times', number>;

export interface Report {
  readonly tallies: ReadonlyMap<string, Tally>;
  /** What went wrong: each names its kind. */
  readonly wrong: readonly string[];
  readonly observer: Observer;
}

/** Goes through all kinds on every lane, each tampering undone before the next. */
export async function tamperWithAll(campaign: Campaign, kinds: readonly Kind[]): Promise<Report> {
  const { server, db, places, lanes, rounds, seed } = campaign;
  const observer = new Observer(server);
  const tallies = new Map<string, Tally>();
  const wrong: string[] = [];
  const work = async (lane: Lane, index: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      for (const kind of kinds) {
        for (let time = 0; time < kind.times; time += 1) {
          const name = `${seed} ${index} ${round} ${kind.name} ${time}`;
          const scene = { db, places, lane, random: seeded(name) };
          try {
            await tamper(scene, kind, observer, tallyOf(tallies, kind.name));
          } catch (error) {
            wrong.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
      }
    }
  };
  await Promise.all(lanes.map(work));
  return { tallies, wrong, observer };
}

async function tamper(scene: Scene, kind: Kind, observer: Observer, tally: Tally): Promise<void> {
  const tampering = kind.tamper(scene);
  const problems: string[] = [];
  try {
    await inspect(scene, tampering, observer, tally, problems);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    tampering.undo();
  }
  tally.times += 1;
  for (const specimen of tampering.targets) {
    const outcome = await observer.range(specimen, scene.random);
    if (outcome !== 'bytes') problems.push(`${specimen.key} is ${outcome} after the undoing`);
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
}

async function inspect(
  scene: Scene,
  { targets, expectation }: Tampering,
  observer: Observer,
  tally: Tally,
  problems: string[],
): Promise<void> {
  const { random } = scene;
  for (const specimen of targets) {
    const whole = await observer.whole(specimen);
    tally[whole] += 1;
    if (!isRight(whole)) problems.push(`${specimen.key} was answered with ${whole}, expected ${expectation}`);
    const others = [await observer.range(specimen, random), await observer.head(specimen)];
    if (specimen.shape === 'parts')
      others.push(await observer.part(specimen, 1 + random.int(specimen.partSizes.length)));
    if (others.includes('gone') && expectation !== 'vanish') problems.push(`${specimen.key} is gone`);
  }

  function isRight(outcome: Outcome): boolean {
    switch (expectation) {
      case 'refuse':
        return outcome === 'refused' || outcome === 'cut';
      case 'serve':
        return outcome === 'bytes';
      case 'vanish':
        return outcome === 'gone' || outcome === 'refused' || outcome === 'bytes';
      case 'either':
        return outcome !== 'gone';
    }
  }
}

function tallyOf(tallies: Map<string, Tally>, kind: string): Tally {
  const tally = tallies.get(kind) ?? { times: 0, bytes: 0, refused: 0, cut: 0, gone: 0 };
  tallies.set(kind, tally);
  return tally;
}
