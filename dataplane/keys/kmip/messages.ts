/** Request and Response Messages (KMIP 1.4, section 7) in the 1.x encoding. */
import {
  boolean,
  byteString,
  enumeration,
  integer,
  optional,
  required,
  structure,
  textString,
  valueOf,
  values,
} from './fields.ts';
import { OPERATION, type OperationName, SUCCESS, TAG, USERNAME_AND_PASSWORD } from './tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv, TtlvError } from './ttlv.ts';

export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

export interface RequestItem {
  readonly operation: OperationName;
  readonly payload: readonly Ttlv[];
}

/** What one batch item of an answer says; `missing` when the server stopped before it. */
export type ItemResult =
  | { readonly status: 'success'; readonly payload: readonly Ttlv[] }
  | { readonly status: 'failure'; readonly reason: number | null; readonly message: string }
  | { readonly status: 'missing' };

const RESULT_MESSAGE_LIMIT = 200;

/**
 * A Request Message in a buffer of its own; zero it after sending, it may hold a password. Without Time Stamp,
 * Asynchronous Indicator and ID placeholder, which servers treat differently. The items are done in order.
 */
export function encodeRequest(
  version: ProtocolVersion,
  items: readonly RequestItem[],
  credentials?: { readonly username: string; readonly password: string },
): Buffer {
  const batched = items.length > 1;
  return encodeTtlv(
    structure(TAG.requestMessage, [
      structure(TAG.requestHeader, [
        versionItem(version),
        ...(credentials === undefined ? [] : [authentication(credentials)]),
        ...(batched ? [boolean(TAG.batchOrderOption, true)] : []),
        integer(TAG.batchCount, items.length),
      ]),
      ...items.map(({ operation, payload }, index) =>
        structure(TAG.batchItem, [
          enumeration(TAG.operation, OPERATION[operation]),
          ...(batched ? [byteString(TAG.uniqueBatchItemId, batchItemId(index))] : []),
          structure(TAG.requestPayload, payload),
        ]),
      ),
    ]),
  );
}

/**
 * The results of `operations`, in their order, from a Response Message. Items are matched by their batch item id; a
 * failure without id (the server refused the whole message) counts for the first. Payloads are views of `frame`.
 * Throws TtlvError when the answer is not one to these operations.
 */
export function decodeResponse(frame: Buffer, operations: readonly OperationName[]): ItemResult[] {
  const message = decodeTtlv(frame);
  if (message.tag !== TAG.responseMessage) throw new TtlvError('the answer is not a Response Message');
  const items = values(valueOf(message, 'Structure'), TAG.batchItem, 'Structure');
  if (items.length === 0) throw new TtlvError('the answer has no batch item');
  if (items.length > operations.length)
    throw new TtlvError('the answer has more batch items than the request');
  return operations.map((operation, index) => {
    const item = items.find((candidate) => isAnswerTo(candidate, index, operations.length));
    return item === undefined ? { status: 'missing' } : itemResult(item, operation);
  });
}

export const versionItem = ({ major, minor }: ProtocolVersion): Ttlv =>
  structure(TAG.protocolVersion, [
    integer(TAG.protocolVersionMajor, major),
    integer(TAG.protocolVersionMinor, minor),
  ]);

function authentication({
  username,
  password,
}: {
  readonly username: string;
  readonly password: string;
}): Ttlv {
  return structure(TAG.authentication, [
    structure(TAG.credential, [
      enumeration(TAG.credentialType, USERNAME_AND_PASSWORD),
      structure(TAG.credentialValue, [
        textString(TAG.username, username),
        textString(TAG.password, password),
      ]),
    ]),
  ]);
}

function batchItemId(index: number): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(index + 1);
  return id;
}

function isAnswerTo(item: readonly Ttlv[], index: number, count: number): boolean {
  if (count === 1) return true;
  const id = optional(item, TAG.uniqueBatchItemId, 'ByteString');
  return id === null ? index === 0 && !succeeded(item) : batchItemId(index).equals(id);
}

const succeeded = (item: readonly Ttlv[]): boolean =>
  required(item, TAG.resultStatus, 'Enumeration') === SUCCESS;

function itemResult(item: readonly Ttlv[], operation: OperationName): ItemResult {
  if (!succeeded(item)) {
    return {
      status: 'failure',
      reason: optional(item, TAG.resultReason, 'Enumeration'),
      message: printable(optional(item, TAG.resultMessage, 'TextString') ?? ''),
    };
  }
  const answered = optional(item, TAG.operation, 'Enumeration');
  if (answered !== null && answered !== OPERATION[operation]) {
    throw new TtlvError(`the answer to ${operation} is for operation ${answered}`);
  }
  return { status: 'success', payload: optional(item, TAG.responsePayload, 'Structure') ?? [] };
}

/** A server's own words, fit for one line of a log. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, RESULT_MESSAGE_LIMIT);
}
