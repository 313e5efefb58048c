/** What travels between workers, the key-holder thread and the main thread. All of it can be cloned; keys are KeyObjects. */
import type { MessagePort } from 'node:worker_threads';
import type { KeyGrant } from './cache.ts';
import { KmsError, type KmsErrorCode } from './keys.ts';
import type { KmsConnectionSettings } from './settings.ts';

/** Worker → holder. Each is answered once, by id. */
export type WorkerRequest = { readonly id: number; readonly connection: string } & (
  | {
      readonly kind: 'key';
      readonly kmsId: string;
      readonly keyCheckValue: string;
    }
  | { readonly kind: 'create'; readonly kmsName: string }
  | { readonly kind: 'locate'; readonly kmsName: string; readonly reservedMs: number }
  | { readonly kind: 'activate'; readonly kmsId: string }
  | { readonly kind: 'revoke'; readonly kmsId: string }
  | { readonly kind: 'destroy'; readonly kmsId: string }
);

/** Worker → holder, after a 'tally': uses of keys of the connection that the worker served by itself since the last. */
export interface WorkerTally {
  readonly kind: 'served';
  readonly connection: string;
  readonly uses: number;
}

/** What the answer to each kind of request holds. */
export interface WorkerAnswers {
  readonly key: KeyGrant;
  readonly create: string;
  readonly locate: { readonly kmsId: string } | null;
  readonly activate: string;
  readonly revoke: null;
  readonly destroy: null;
}

/** Holder → worker. */
export type WorkerMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly value: WorkerAnswers[keyof WorkerAnswers] }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ClonedKmsError }
  /** Tell what was served; asked at every scrape, and counted by the next. */
  | { readonly kind: 'tally' }
  /** Forget this key, or with null all keys of the connection. */
  | { readonly kind: 'evict'; readonly connection: string; readonly kmsId: string | null };

/** Main thread → holder. All but 'connect' are answered once, by id. */
export type ControlRequest =
  | { readonly kind: 'connect'; readonly port: MessagePort }
  | { readonly kind: 'update'; readonly id: number; readonly connections: readonly KmsConnectionSettings[] }
  | { readonly kind: 'flush'; readonly id: number; readonly connection: string }
  /** null: of all connections. */
  | { readonly kind: 'status'; readonly id: number; readonly connection: string | null }
  | { readonly kind: 'metrics' | 'close'; readonly id: number };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** Holder → main thread. */
export type ControlMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ClonedKmsError }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly fields: LogFields; readonly message: string };

/** A KmsError without its cause: classes do not survive cloning. */
export interface ClonedKmsError {
  readonly code: KmsErrorCode;
  readonly message: string;
  readonly maybeDone: boolean;
}

/** Anything that is not a KmsError is a defect of ours, and an outage to callers. */
export function cloneError(error: unknown): ClonedKmsError {
  if (error instanceof KmsError)
    return { code: error.code, message: error.message, maybeDone: error.maybeDone };
  return { code: 'Unavailable', message: 'unexpected failure of the key holder', maybeDone: true };
}

export const reviveError = ({ code, message, maybeDone }: ClonedKmsError): KmsError =>
  new KmsError(code, message, { maybeDone });
