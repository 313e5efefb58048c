/** Entry of the writer thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveWriter, type WriterThreadData } from './writerService.ts';

if (parentPort !== null) serveWriter(parentPort, workerData as WriterThreadData);
