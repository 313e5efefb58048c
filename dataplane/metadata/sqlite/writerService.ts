/** What runs in the writer thread: the only writer of the metadata. Ports come in, groups are committed. */
import type { KeyObject } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { FreeSpace } from '../../blobs/filesystem/freeSpace.ts';
import type { Id } from '../metadata.ts';
import { Checkpointer } from './checkpointer.ts';
import { openWriterConnection } from './connection.ts';
import { ControlRows } from './controlRows.ts';
import { GroupCommit, type WriteOutcome } from './groupCommit.ts';
import { type Answer, type AnswersMessage, type CommandMessage, QueueLoad } from './messages.ts';
import { createWriteOperations } from './writeOperations.ts';

/** What startWriter passes to the thread. */
export interface WriterThreadData {
  readonly path: string;
  readonly controlKey: KeyObject;
  readonly incarnation: Id;
  readonly freeSpaceReserveBytes: number;
  readonly load: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
}

export type ToWriter = { readonly kind: 'client'; readonly port: MessagePort } | { readonly kind: 'close' };
export type FromWriter = { readonly kind: 'ready' } | { readonly kind: 'fatal'; readonly error: Error };

/** Cells of the shared counters. */
export const writerCounters = { groups: 0, committed: 1, refused: 2, checkpoints: 3, walBytes: 4 } as const;

/** Opens the file and serves until 'close' comes from the parent. Throws MetadataError when it cannot be opened. */
export function serveWriter(parent: MessagePort, options: WriterThreadData): void {
  const db = openWriterConnection(options.path);
  // Before the first blob of this life: the orphan sweep trusts only incarnations that stand here.
  db.prepare('INSERT OR IGNORE INTO incarnation (incarnation, started_ms) VALUES (?, ?)').run(
    options.incarnation,
    Date.now(),
  );
  const counters = new BigInt64Array(options.counters);
  const load = new QueueLoad({ load: options.load, maxCommands: 0, maxBytes: 0 });
  const space = new FreeSpace({
    reserveBytes: options.freeSpaceReserveBytes,
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(dirname(options.path));
      return bavail * bsize;
    },
    now: () => performance.now(),
  });
  const checkpointer = new Checkpointer(db);
  const send = (message: FromWriter): void => parent.postMessage(message);
  const answers = new Map<MessagePort, Answer[]>();
  const sendAnswers = (): void => {
    for (const [port, ofPort] of answers) {
      const message: AnswersMessage = { kind: 'answers', answers: ofPort };
      port.postMessage(message);
    }
    answers.clear();
  };
  const group = new GroupCommit({
    db,
    apply: createWriteOperations(db, new ControlRows(options.controlKey)),
    mayGrow: () => space.mayGrow(),
    afterGroup: () => {
      // Before the checkpoint, which may take a while.
      sendAnswers();
      Atomics.add(counters, writerCounters.groups, 1n);
      const { walBytes, checkpointed } = checkpointer.run();
      Atomics.store(counters, writerCounters.walBytes, BigInt(walBytes));
      if (checkpointed) Atomics.add(counters, writerCounters.checkpoints, 1n);
    },
    onFatal: (error) => send({ kind: 'fatal', error }),
  });

  let scheduled = false;
  const runGroups = (): void => {
    scheduled = group.run();
    if (scheduled) setImmediate(runGroups);
  };
  const ports: MessagePort[] = [];
  const connect = (port: MessagePort): void => {
    ports.push(port);
    port.on('message', ({ id, command, bytes }: CommandMessage) => {
      group.add(command, (outcome) => {
        load.leave(bytes);
        Atomics.add(counters, outcome.ok ? writerCounters.committed : writerCounters.refused, 1n);
        const ofPort = answers.get(port) ?? [];
        ofPort.push(answerOf(id, outcome));
        answers.set(port, ofPort);
      });
      if (scheduled) return;
      scheduled = true;
      // After this turn's messages: they all join the group.
      setImmediate(runGroups);
    });
  };
  parent.on('message', (message: ToWriter) => {
    if (message.kind === 'client') {
      connect(message.port);
      return;
    }
    while (group.run());
    db.close();
    for (const port of ports) port.close();
    parent.close();
  });
  send({ kind: 'ready' });
}

function answerOf(id: number, outcome: WriteOutcome): Answer {
  if (outcome.ok) return { id, result: outcome.result };
  const { code, message } = outcome.error;
  return { id, error: { code, message } };
}
