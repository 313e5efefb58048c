import { blobOperations } from './blobOperations.ts';
import { keyOperations } from './keyOperations.ts';
import type { Operation } from './operation.ts';
import { partOperations } from './partOperations.ts';
import { recordOperations } from './recordOperations.ts';

/** Everything that the vectors, and a second implementation, can ask of this one. */
export const operations = {
  ...keyOperations,
  ...blobOperations,
  ...recordOperations,
  ...partOperations,
} satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

/** Whether a name read from JSON is an operation. */
export function isOperationName(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}
