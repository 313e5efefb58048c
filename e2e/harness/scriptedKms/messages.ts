/** Request Messages in, Response Messages out (KMIP 1.4, section 7): which batch items ran, and what each one said. */
import { OPERATIONS, type Operation, operationOf, REASON, T } from './numbers.ts';
import { type Context, carryOut, Refused, versionItem } from './operations.ts';
import type { Chosen, Script } from './script.ts';
import * as wire from './wire.ts';

/** One batch item of a request, as the server saw it. */
export interface RecordedRequest {
  /** 'Unreadable': bytes that are no request; 'Unknown': an operation that the server does not know. */
  readonly operation: Operation | 'Unknown' | 'Unreadable';
  readonly kmsId: string | null;
  /** The Name of Create or Locate. */
  readonly kmsName: string | null;
  /** Protocol version of the header, such as '1.2'. */
  readonly version: string;
  /** Common name of the client certificate. */
  readonly user: string;
  /** User name of the Credential, if there was one. */
  readonly credentialUser: string | null;
  /** Counts the connections of the server from 1. */
  readonly connection: number;
  /** performance.now() when the request was read. */
  readonly atMs: number;
  /** 'ok', a Result Reason, or null when it was not carried out (cut, hanging, after a failed item). */
  readonly result: 'ok' | number | null;
}

/** A request that was read, before anything was done. */
export interface ReadRequest {
  readonly version: string;
  readonly credential: { readonly username: string; readonly password: string } | null;
  readonly items: readonly ReadItem[];
}

interface ReadItem {
  readonly operation: Operation | null;
  readonly code: number;
  readonly batchItemId: Buffer | null;
  readonly payload: wire.Item;
  readonly kmsId: string | null;
  readonly kmsName: string | null;
}

/** Reads a Request Message. Throws WireError for anything else. */
export function readRequest(message: Buffer): ReadRequest {
  const [root, ...more] = wire.itemsIn(message);
  if (root === undefined || more.length > 0 || root.tag !== T.requestMessage)
    throw new wire.WireError('no Request Message');
  const header = root.must(T.requestHeader);
  const version = header.must(T.protocolVersion);
  const items = root.all(T.batchItem).map(readItem);
  if (header.must(T.batchCount).integer !== items.length) throw new wire.WireError('another Batch Count');
  const value = header.find(T.authentication)?.must(T.credential).must(T.credentialValue);
  return {
    version: `${version.must(T.protocolVersionMajor).integer}.${version.must(T.protocolVersionMinor).integer}`,
    credential:
      value === undefined
        ? null
        : { username: value.must(T.username).text, password: value.find(T.password)?.text ?? '' },
    items,
  };
}

function readItem(item: wire.Item): ReadItem {
  const code = item.must(T.operation).enumeration;
  const payload = item.must(T.requestPayload);
  const named = payload.find(T.templateAttribute) ?? payload;
  const name = named
    .all(T.attribute)
    .find((attribute) => attribute.must(T.attributeName).text === 'Name')
    ?.must(T.attributeValue);
  return {
    operation: operationOf(code),
    code,
    batchItemId: item.find(T.uniqueBatchItemId)?.bytes ?? null,
    payload,
    kmsId: payload.find(T.uniqueIdentifier)?.text ?? null,
    kmsName: name?.must(T.nameValue).text ?? null,
  };
}

/** What one batch item came to. */
interface Outcome {
  readonly result: 'ok' | number;
  readonly bytes: Buffer;
}

/**
 * Carries out the items in order up to the first that fails (Batch Error Continuation Option: Stop) and gives the
 * Response Message, and the result of each item (null: not reached).
 */
export function answer(
  request: ReadRequest,
  context: Context,
  script: Script,
): { readonly message: Buffer; readonly results: RecordedRequest['result'][] } {
  const outcomes: Outcome[] = [];
  const refusal = wholeRefusal(request, context);
  if (refusal !== null) outcomes.push(failed(null, null, refusal));
  else {
    for (const item of request.items) {
      const outcome = runItem(item, context, script.forItem(item));
      outcomes.push(outcome);
      if (outcome.result !== 'ok') break;
    }
  }
  const version = context.versions.includes(request.version)
    ? request.version
    : (context.versions[0] ?? '1.0');
  return {
    message: response(version, context.nowMs, outcomes),
    results: request.items.map((_, index) => outcomes[index]?.result ?? null),
  };
}

/** The answer to a message that cannot be read or must not be looked at. */
export function refuseMessage(context: Context, reason: number, message: string): Buffer {
  return response(context.versions[0] ?? '1.0', context.nowMs, [
    failed(null, null, new Refused(reason, message)),
  ]);
}

function wholeRefusal(request: ReadRequest, context: Context): Refused | null {
  if (!context.versions.includes(request.version))
    return new Refused(REASON.invalidMessage, `KMIP ${request.version} is not supported`);
  const limit = context.quirks.batchLimit;
  if (limit !== undefined && request.items.length > limit)
    return new Refused(REASON.invalidMessage, `at most ${limit} batch items`);
  return null;
}

function runItem(item: ReadItem, context: Context, script: Chosen): Outcome {
  try {
    const told = script.get('reason');
    if (told !== undefined && told.executed !== true)
      throw new Refused(told.code, told.message ?? 'as scripted');
    if (item.operation === null)
      throw new Refused(REASON.operationNotSupported, `operation ${item.code} is not known`);
    const payload = carryOut(item.operation, item.payload, context, script);
    if (told !== undefined) throw new Refused(told.code, told.message ?? 'as scripted');
    return {
      result: 'ok',
      bytes: wire.structure(
        T.batchItem,
        ...identified(item.operation, item.batchItemId),
        wire.enumeration(T.resultStatus, 0),
        wire.structure(T.responsePayload, ...payload),
      ),
    };
  } catch (error) {
    if (error instanceof Refused) return failed(item.operation, item.batchItemId, error);
    if (error instanceof wire.WireError)
      return failed(item.operation, item.batchItemId, new Refused(REASON.missingData, error.message));
    throw error;
  }
}

const identified = (operation: Operation | null, batchItemId: Buffer | null): Buffer[] => [
  ...(operation === null ? [] : [wire.enumeration(T.operation, OPERATIONS[operation])]),
  ...(batchItemId === null ? [] : [wire.bytes(T.uniqueBatchItemId, batchItemId)]),
];

function failed(operation: Operation | null, batchItemId: Buffer | null, refused: Refused): Outcome {
  return {
    result: refused.reason ?? 0,
    bytes: wire.structure(
      T.batchItem,
      ...identified(operation, batchItemId),
      wire.enumeration(T.resultStatus, 1),
      ...(refused.reason === null ? [] : [wire.enumeration(T.resultReason, refused.reason)]),
      wire.text(T.resultMessage, refused.message),
    ),
  };
}

function response(version: string, nowMs: number, outcomes: readonly Outcome[]): Buffer {
  return wire.structure(
    T.responseMessage,
    wire.structure(
      T.responseHeader,
      versionItem(version),
      wire.date(T.timeStamp, nowMs / 1000),
      wire.integer(T.batchCount, outcomes.length),
    ),
    ...outcomes.map(({ bytes }) => bytes),
  );
}
