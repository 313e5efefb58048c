/**
 * A KMIP server for unit tests, without sockets: it reads the bytes of requests and answers with bytes, and does what
 * real ones cannot be made to do (refuse, hang, answer nonsense). Its own encoder would prove nothing about ours, so
 * the real server in e2e/ has the last word on the wire format.
 */
import type { Clock } from './clock.ts';
import type { Connect, KmipConnection } from './kmip/connection.ts';
import { KmipError } from './kmip/errors.ts';
import {
  byteString,
  enumeration,
  integer,
  optional,
  required,
  structure,
  textString,
  valueOf,
  values,
} from './kmip/fields.ts';
import { OPERATION, type OperationName, STATE, TAG } from './kmip/tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv } from './kmip/ttlv.ts';

export interface FakeKey {
  name: string;
  state: number;
  material: Buffer;
  algorithm: number;
  bits: number;
  mask: number;
  createdMs: number;
}

export class FakeKms {
  /** May be shared with another server, as in a cluster. */
  readonly keys: Map<string, FakeKey>;
  /** Every operation carried out or refused, in order. */
  readonly log: string[] = [];
  /** Versions in whose header a request is understood. */
  versions = ['1.4', '1.3', '1.2', '1.1', '1.0'];
  /** Answer to Query; empty = the server does not say. */
  operations: number[] = [];
  /** 'hang' takes requests and never answers; 'lose' carries them out first; 'refuse' does not let anyone connect. */
  mode: 'up' | 'refuse' | 'hang' | 'lose' | 'nonsense' = 'up';
  /** The next answer to this operation is lost: it is carried out and the connection ends. */
  loseNext: OperationName | null = null;
  /** So many more connections are refused. */
  refusals = 0;
  /** Requests that hold this operation are taken and never answered. */
  hangOn: OperationName | null = null;
  /** Result reason to fail an operation with; consulted before it is carried out. */
  refuse: (operation: OperationName) => number | null = () => null;
  /** Connections asked for so far. */
  attempts = 0;
  /** Connections opened so far. */
  connections = 0;
  /** Versions of the headers seen, in order. */
  readonly headers: string[] = [];
  /** Batch items of each request, in order. */
  readonly itemCounts: number[] = [];
  /** Frames handed out and taken in; the client must have zeroed all of them. */
  readonly frames: Buffer[] = [];
  #clock: Clock;

  constructor(clock: Clock, keys = new Map<string, FakeKey>()) {
    this.#clock = clock;
    this.keys = keys;
  }

  readonly connect: Connect = async () => {
    await Promise.resolve();
    this.attempts += 1;
    if (this.mode === 'refuse' || this.refusals-- > 0)
      throw new KmipError('Connection', 'refused', { sent: false });
    this.connections += 1;
    return this.#connection();
  };

  /** Adds an Active key and returns its identifier. */
  addKey(changes: Partial<FakeKey> = {}): string {
    const kmsId = `key-${this.keys.size + 1}`;
    this.keys.set(kmsId, {
      name: kmsId,
      state: STATE.active,
      material: Buffer.alloc(32, this.keys.size + 1),
      algorithm: 3,
      bits: 256,
      mask: 12,
      createdMs: 0,
      ...changes,
    });
    return kmsId;
  }

  /** The key to look at or change. */
  key(kmsId: string): FakeKey {
    const key = this.keys.get(kmsId);
    if (key === undefined) throw new Error(`no key ${kmsId}`);
    return key;
  }

  count(operation: OperationName): number {
    return this.log.filter((entry) => entry === operation).length;
  }

  #connection(): KmipConnection {
    let usable = true;
    return {
      get usable() {
        return usable;
      },
      serverCertificateExpiresMs: 2_000_000_000_000,
      destroy: () => {
        usable = false;
      },
      exchange: async (request, timeoutMs) =>
        await new Promise((resolve, reject) => {
          this.frames.push(request);
          const fail = (code: 'Connection' | 'Timeout') => {
            usable = false;
            reject(new KmipError(code, `fake ${code}`, { sent: true }));
          };
          const { mode } = this;
          const answer = mode === 'hang' || mode === 'refuse' ? null : this.#answer(request);
          request.fill(0);
          const lost = this.loseNext !== null && this.log.at(-1) === this.loseNext;
          if (lost) this.loseNext = null;
          if (mode === 'refuse' || lost) fail('Connection');
          else if (mode === 'hang' || mode === 'lose' || answer === null || this.log.at(-1) === this.hangOn) {
            this.#clock.schedule(timeoutMs, () => fail('Timeout'));
          } else {
            if (mode === 'nonsense') answer.writeUInt8(0x0b, 3);
            this.frames.push(answer);
            resolve(answer);
          }
        }),
    };
  }

  #answer(request: Buffer): Buffer {
    const message = valueOf(decodeTtlv(request), 'Structure');
    const header = required(message, TAG.requestHeader, 'Structure');
    const version = required(header, TAG.protocolVersion, 'Structure');
    const name = `${required(version, TAG.protocolVersionMajor, 'Integer')}.${required(version, TAG.protocolVersionMinor, 'Integer')}`;
    this.headers.push(name);
    const items = values(message, TAG.batchItem, 'Structure');
    this.itemCounts.push(items.length);
    const answers: Ttlv[] = [];
    for (const item of items) {
      const result = this.versions.includes(name) ? this.#item(item) : failed(0x04);
      const id = optional(item, TAG.uniqueBatchItemId, 'ByteString');
      answers.push(
        structure(TAG.batchItem, [
          enumeration(TAG.operation, required(item, TAG.operation, 'Enumeration')),
          ...(id === null ? [] : [byteString(TAG.uniqueBatchItemId, Buffer.from(id))]),
          ...result,
        ]),
      );
      if (result.some((part) => part.tag === TAG.resultReason)) break;
    }
    return encodeTtlv(structure(TAG.responseMessage, answers));
  }

  #item(item: readonly Ttlv[]): Ttlv[] {
    const code = required(item, TAG.operation, 'Enumeration');
    const operation = (Object.keys(OPERATION) as OperationName[]).find((name) => OPERATION[name] === code);
    if (operation === undefined) return failed(0x05);
    this.log.push(operation);
    const reason = this.refuse(operation);
    if (reason !== null) return failed(reason);
    const payload = this.#carryOut(operation, required(item, TAG.requestPayload, 'Structure'));
    if (typeof payload === 'number') return failed(payload);
    return [enumeration(TAG.resultStatus, 0), structure(TAG.responsePayload, payload)];
  }

  /** The response payload, or a result reason. */
  #carryOut(operation: OperationName, payload: readonly Ttlv[]): Ttlv[] | number {
    if (operation === 'DiscoverVersions') {
      return this.versions.map((version) =>
        structure(TAG.protocolVersion, [
          integer(TAG.protocolVersionMajor, Number(version.split('.')[0])),
          integer(TAG.protocolVersionMinor, Number(version.split('.')[1])),
        ]),
      );
    }
    if (operation === 'Query') {
      return [
        ...this.operations.map((code) => enumeration(TAG.operation, code)),
        textString(TAG.vendorIdentification, 'Fake KMS'),
      ];
    }
    if (operation === 'Locate') {
      const name = nameIn(payload);
      return [...this.keys]
        .filter(([, key]) => key.name === name)
        .map(([kmsId]) => textString(TAG.uniqueIdentifier, kmsId));
    }
    if (operation === 'Create') {
      const kmsId = this.addKey({
        name: nameIn(required(payload, TAG.templateAttribute, 'Structure')),
        state: STATE.preActive,
      });
      return [textString(TAG.uniqueIdentifier, kmsId)];
    }
    const kmsId = required(payload, TAG.uniqueIdentifier, 'TextString');
    const key = this.keys.get(kmsId);
    if (key === undefined) return 0x01;
    if (operation === 'Activate') {
      if (key.state !== STATE.preActive) return 0x0c;
      key.state = STATE.active;
      return [textString(TAG.uniqueIdentifier, kmsId)];
    }
    if (operation === 'Revoke') {
      const reason = required(payload, TAG.revocationReason, 'Structure');
      if (required(reason, TAG.revocationReasonCode, 'Enumeration') !== 6) return 0x07;
      if (key.state !== STATE.active) return 0x0b;
      key.state = STATE.deactivated;
      return [textString(TAG.uniqueIdentifier, kmsId)];
    }
    if (operation === 'Destroy') {
      if (key.state === STATE.active) return 0x0c;
      this.keys.delete(kmsId);
      return [textString(TAG.uniqueIdentifier, kmsId)];
    }
    return operation === 'Get' ? keyPayload(kmsId, key) : attributesPayload(kmsId, key, payload);
  }
}

const failed = (reason: number): Ttlv[] => [
  enumeration(TAG.resultStatus, 1),
  enumeration(TAG.resultReason, reason),
  textString(TAG.resultMessage, 'fake refusal'),
];

function nameIn(items: readonly Ttlv[]): string {
  for (const attribute of values(items, TAG.attribute, 'Structure')) {
    if (required(attribute, TAG.attributeName, 'TextString') !== 'Name') continue;
    return required(required(attribute, TAG.attributeValue, 'Structure'), TAG.nameValue, 'TextString');
  }
  throw new Error('the request has no Name');
}

function keyPayload(kmsId: string, key: FakeKey): Ttlv[] {
  return [
    enumeration(TAG.objectType, 2),
    textString(TAG.uniqueIdentifier, kmsId),
    structure(TAG.symmetricKey, [
      structure(TAG.keyBlock, [
        enumeration(TAG.keyFormatType, 1),
        structure(TAG.keyValue, [byteString(TAG.keyMaterial, key.material)]),
        enumeration(TAG.cryptographicAlgorithm, key.algorithm),
        integer(TAG.cryptographicLength, key.bits),
      ]),
    ]),
  ];
}

function attributesPayload(kmsId: string, key: FakeKey, payload: readonly Ttlv[]): Ttlv[] {
  const all: Record<string, Ttlv> = {
    State: enumeration(TAG.attributeValue, key.state),
    'Cryptographic Algorithm': enumeration(TAG.attributeValue, key.algorithm),
    'Cryptographic Length': integer(TAG.attributeValue, key.bits),
    'Cryptographic Usage Mask': integer(TAG.attributeValue, key.mask),
    'Initial Date': {
      tag: TAG.attributeValue,
      type: 'DateTime',
      value: BigInt(Math.floor(key.createdMs / 1000)),
    },
  };
  const asked = values(payload, TAG.attributeName, 'TextString');
  return [
    textString(TAG.uniqueIdentifier, kmsId),
    ...Object.entries(all)
      .filter(([name]) => asked.includes(name))
      .map(([name, value]) => structure(TAG.attribute, [textString(TAG.attributeName, name), value])),
  ];
}
