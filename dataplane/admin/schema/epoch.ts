/**
 * Epochs of leaders. A mutation with the header Sealgate-Epoch below the newest epoch is 412 StaleEpoch, so that a
 * deposed leader changes nothing any more; without the header it is a person's, and is served.
 */
import { z } from 'zod';

export const EPOCH_HEADER = 'sealgate-epoch';

/** POST /admin/v1/epoch: takes the next epoch, durably; answers epochTaken. */
export const takeEpoch = z.strictObject({
  /** Who takes it, for the log: the holder identity of the lease. */
  holder: z.string().min(1).max(253),
});

export const epochTaken = z.object({ epoch: z.int().min(1) });
