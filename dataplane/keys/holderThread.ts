/**
 * Entry point of the key-holder thread: the only one of the process that speaks KMIP, and that keeps bucket keys for
 * longer than a worker's lease.
 */
import { parentPort } from 'node:worker_threads';
import { systemClock } from './clock.ts';
import { serveHolder } from './holderService.ts';

if (parentPort !== null) serveHolder(parentPort, { clock: systemClock });
