/** The whole status story on a real cluster: what befalls connections and buckets, and what is told of it. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { BucketStory } from './statusStory/buckets.ts';
import { ConnectionStory } from './statusStory/connections.ts';
import { EndingStory } from './statusStory/endings.ts';
import { World } from './statusStory/world.ts';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(async () => {
  await world.close();
});

describe('a KMS connection', () => {
  describe('in order', () => {
    let story: ConnectionStory;

    beforeAll(async () => {
      story = await ConnectionStory.create(world);
    });

    afterAll(async () => {
      await story.close();
    });

    test('comes up, and a bucket on it', () => story.comesUp());
    test('whose KMS is away says so, no bucket that works does, and its return is told within seconds', () =>
      story.isAwayAndComesBack());
    test('whose certificate has expired says so, and the one before stays in force', () =>
      story.certificateHasExpired());
    test('whose certificate the KMS does not trust says so', () => story.certificateIsOfAnotherAuthority());
    test('whose user may do nothing says so until the user may', () => story.userIsDenied());
    test('takes over a new Secret under load without a restart and without a failed request', () =>
      story.secretIsReplaced());
    test('whose Secret is gone says so, and the last good one stays in force', () => story.secretIsDeleted());
    test('that is back brings the buckets that waited for it', () => story.newBucketFollows());
  });
});

describe('a declared bucket', () => {
  describe('in order', () => {
    let story: BucketStory;

    beforeAll(() => {
      story = new BucketStory(world);
    });

    test('is made, with a Secret', () => story.isMade());
    test('of a namespace without the right to its connection waits for it, and works on when it is withdrawn', () =>
      story.hasNoRightToItsConnection());
    test('whose name is taken, in its namespace or another, says so and gets no access', () =>
      story.nameIsTaken());
    test('that is declared again after its resource was lost has its objects again', () =>
      story.isClaimedAgain());
    test('made over S3 is adopted by who has the verb, if it is encrypted or empty', () => story.isAdopted());
    test('that another resource takes over is told the first, whose credentials end', () =>
      story.isTakenOver());
    test('whose status is lost, and its connection, get it back as it was', () => story.losesItsStatus());
    test('gets a new key by annotation, and tells when the schedule makes the next', () =>
      story.keyIsRotated());
    test('gets a new credential, and the old one works as long as the overlap', () =>
      story.credentialIsRotated());
    test('is sealed anew after the rotation', () => story.isSealedAnew());

    describe('that is deleted', () => {
      let endings: EndingStory;

      beforeAll(() => {
        endings = new EndingStory(world);
      });

      test('with Retain keeps the bucket and takes the access', () => endings.keepsWithRetain());
      test('with DeleteIfEmpty waits for the bucket to be empty', () => endings.waitsWithDeleteIfEmpty());
      test('with Purge waits for a confirmation', () => endings.purgesOnceConfirmed());
      test('by force ends what waits, and keeps the data', () => endings.goesByForce());
      test('a namespace ends with all that is in it, and keeps the data', () =>
        endings.goesWithItsNamespace());
    });

    test('gets a new key when the day of its schedule has come, and not before', () =>
      story.keyIsRotatedBySchedule());

    test('keeps its connection, which waits, in force, when that is deleted', async () => {
      await new EndingStory(world).connectionIsHeld();
    });
  });
});
