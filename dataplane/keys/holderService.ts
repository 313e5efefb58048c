/**
 * What the key-holder thread does: joins the ports of the main thread and of the workers to KmsConnections.
 */
import type { MessagePort } from 'node:worker_threads';
import { KmsConnections, type KmsConnectionsDeps } from './connections.ts';
import {
  type ControlMessage,
  type ControlRequest,
  cloneError,
  type WorkerMessage,
  type WorkerRequest,
  type WorkerTally,
} from './messages.ts';

/** Serves until the main thread ends the thread. */
export function serveHolder(
  control: MessagePort,
  deps: Pick<KmsConnectionsDeps, 'clock' | 'connector'>,
): void {
  const workers = new Set<MessagePort>();
  const tellWorkers = (message: WorkerMessage) => {
    for (const port of workers) port.postMessage(message);
  };
  const tellMain = (message: ControlMessage) => control.postMessage(message);
  const connections = new KmsConnections({
    ...deps,
    log: (level, fields, message) => tellMain({ kind: 'log', level, fields, message }),
    evict: (connection, kmsId) => tellWorkers({ kind: 'evict', connection, kmsId }),
  });

  const carryOut = async (request: WorkerRequest) => {
    switch (request.kind) {
      case 'key':
        return await connections.key(request.connection, request.kmsId, request.keyCheckValue);
      case 'create':
        return await connections.createKey(request.connection, request.kmsName);
      case 'locate':
        return await connections.locateKey(request.connection, request.kmsName, request.reservedMs);
      case 'activate':
        return await connections.activateKey(request.connection, request.kmsId);
      case 'revoke':
        await connections.revokeKey(request.connection, request.kmsId);
        return null;
      default:
        await connections.destroyKey(request.connection, request.kmsId);
        return null;
    }
  };
  const serveWorker = (port: MessagePort) => {
    workers.add(port);
    port.on('close', () => workers.delete(port));
    port.on('message', (request: WorkerRequest | WorkerTally) => {
      if (request.kind === 'served') {
        connections.served(request.connection, request.uses);
        return;
      }
      const tellWorker = (message: WorkerMessage) => port.postMessage(message);
      carryOut(request).then(
        (value) => tellWorker({ kind: 'answer', id: request.id, value }),
        (error: unknown) => {
          reportDefect(error);
          tellWorker({ kind: 'failure', id: request.id, error: cloneError(error) });
        },
      );
    });
  };
  const reportDefect = (error: unknown) => {
    if (error instanceof Error && error.name === 'KmsError') return;
    const problem = error instanceof Error ? (error.stack ?? error.message) : 'not an Error';
    tellMain({ kind: 'log', level: 'error', fields: { problem }, message: 'defect in the key holder' });
  };

  const manage = async (request: Exclude<ControlRequest, { kind: 'connect' }>): Promise<unknown> => {
    switch (request.kind) {
      case 'update':
        await connections.update(request.connections);
        return null;
      case 'flush':
        connections.flush(request.connection);
        return null;
      case 'status':
        return connections.status(request.connection);
      case 'metrics':
        tellWorkers({ kind: 'tally' });
        return await connections.metrics();
      default:
        connections.close();
        for (const port of workers) port.close();
        return null;
    }
  };
  control.on('message', (request: ControlRequest) => {
    if (request.kind === 'connect') {
      serveWorker(request.port);
      return;
    }
    manage(request).then(
      (value) => tellMain({ kind: 'answer', id: request.id, value }),
      (error: unknown) => {
        reportDefect(error);
        tellMain({ kind: 'failure', id: request.id, error: cloneError(error) });
      },
    );
  });
}
