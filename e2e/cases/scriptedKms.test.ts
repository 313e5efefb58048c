/**
 * The scripted KMIP server itself: other people's client (PyKMIP's) finds it a KMIP server like any other, and it does
 * what its scripts say, byte for byte, as a bare TLS client sees it.
 */
import { execFile } from 'node:child_process';
import { createDecipheriv } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Certificates,
  makeCertificates,
  makeClientCertificate,
  makeServerCertificate,
} from '../harness/certificates.ts';
import { createBucket } from '../harness/clients.ts';
import { startDemoKms } from '../harness/demoKms.ts';
import { newKeyStore } from '../harness/scriptedKms/keyStore.ts';
import { OPERATIONS, type Operation, REASON, STATES, T } from '../harness/scriptedKms/numbers.ts';
import type { RequestBehaviour } from '../harness/scriptedKms/script.ts';
import {
  type ScriptedKms,
  type ScriptedKmsOptions,
  startScriptedKms,
} from '../harness/scriptedKms/scriptedKms.ts';
import * as wire from '../harness/scriptedKms/wire.ts';
import { startSealgate } from '../harness/sealgate.ts';
import { send } from '../harness/signedRequest.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealgate-scripted-'));
let certificates: Certificates;
const servers: ScriptedKms[] = [];
const clients: TLSSocket[] = [];

beforeAll(async () => {
  certificates = await makeCertificates(folder);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(servers.splice(0).map(async (server) => await server.stop()));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(options: Partial<ScriptedKmsOptions> = {}): Promise<ScriptedKms> {
  const server = await startScriptedKms({ certificates, ...options });
  servers.push(server);
  return server;
}

/** A TLS connection as `user`; rejects when the handshake fails. */
async function open(server: ScriptedKms, files = certificates.client): Promise<TLSSocket> {
  const client = connect({
    host: server.host,
    port: server.port,
    ca: readFileSync(certificates.ca),
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
  });
  clients.push(client);
  await once(client, 'secureConnect');
  return client;
}

const version = (minor: number): Buffer =>
  wire.structure(
    T.protocolVersion,
    wire.integer(T.protocolVersionMajor, 1),
    wire.integer(T.protocolVersionMinor, minor),
  );

function request(items: readonly (readonly [Operation, ...Buffer[]])[], minor = 4): Buffer {
  return wire.structure(
    T.requestMessage,
    wire.structure(T.requestHeader, version(minor), wire.integer(T.batchCount, items.length)),
    ...items.map(([operation, ...payload], index) =>
      wire.structure(
        T.batchItem,
        wire.enumeration(T.operation, OPERATIONS[operation]),
        wire.bytes(T.uniqueBatchItemId, Buffer.from([index])),
        wire.structure(T.requestPayload, ...payload),
      ),
    ),
  );
}

const id = (kmsId: string): Buffer => wire.text(T.uniqueIdentifier, kmsId);
const get = (kmsId: string): Buffer => request([['Get', id(kmsId)]]);
const state = (kmsId: string): readonly ['GetAttributes', ...Buffer[]] => [
  'GetAttributes',
  id(kmsId),
  wire.text(T.attributeName, 'State'),
];

/** Everything that comes until one message is whole or the connection ends; `pieces` are the reads. */
async function ask(
  client: TLSSocket,
  message: Buffer,
): Promise<{ bytes: Buffer; pieces: number; ended: boolean }> {
  const chunks: Buffer[] = [];
  const ended = new Promise<true>((resolve) => {
    client.once('close', () => resolve(true));
  });
  const whole = new Promise<false>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length >= 8 && bytes.length >= 8 + bytes.readUInt32BE(4)) resolve(false);
    });
  });
  client.on('error', () => client.destroy());
  client.write(message);
  const cut = await Promise.race([whole, ended]);
  client.removeAllListeners('data');
  return { bytes: Buffer.concat(chunks), pieces: chunks.length, ended: cut };
}

async function batch(client: TLSSocket, message: Buffer): Promise<wire.Item[]> {
  const [root] = wire.itemsIn((await ask(client, message)).bytes);
  return root?.all(T.batchItem) ?? [];
}

const reasonOf = (item: wire.Item | undefined): number | undefined => item?.find(T.resultReason)?.enumeration;
const materialOf = (item: wire.Item | undefined): Buffer | undefined =>
  item?.find(T.responsePayload)?.find(T.symmetricKey)?.must(T.keyBlock).must(T.keyValue).must(T.keyMaterial)
    .bytes;
const stateIn = (item: wire.Item | undefined): number | undefined =>
  item?.find(T.responsePayload)?.find(T.attribute)?.must(T.attributeValue).enumeration;

const PYTHON_CLIENT = `
import sys
from kmip.pie.client import ProxyKmipClient
from kmip.core import enums
host, port, cert, key, ca = sys.argv[1:]
with ProxyKmipClient(hostname=host, port=int(port), cert=cert, key=key, ca=ca) as client:
    uid = client.create(enums.CryptographicAlgorithm.AES, 256, name='from-python',
                        cryptographic_usage_mask=[enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT])
    client.activate(uid)
    f = enums.AttributeType
    attributes = client.get_attributes(uid, ['State', 'Name', 'Initial Date'])
    print(uid, client.get(uid).value.hex(), len(attributes[1]))
    client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, uid)
    client.destroy(uid)
    try:
        client.get(uid)
    except Exception as error:
        print(type(error).__name__, error)
`;

describe('as a KMIP server', () => {
  it("serves PyKMIP's own client through the life of a key", async () => {
    const server = await start();
    const store = server.store;
    const got = server.next('Get').then(({ kmsId }) => store.key(kmsId ?? '').material.toString('hex'));
    const { stdout } = await promisify(execFile)('/usr/bin/python3', [
      '-W',
      'ignore',
      '-c',
      PYTHON_CLIENT,
      server.host,
      String(server.port),
      certificates.client.cert,
      certificates.client.key,
      certificates.ca,
    ]);
    const [first, second] = stdout.trim().split('\n');
    expect(first).toBe(`scripted-1 ${await got} 3`);
    expect(second).toMatch(/destroyed/);
    expect(store.state('scripted-1')).toBe(STATES.destroyed);
    expect(store.named('from-python')).toEqual(['scripted-1']);
    expect(server.requests.map(({ operation, user }) => `${operation} ${user}`)).toEqual(
      ['Create', 'Activate', 'GetAttributes', 'Get', 'Revoke', 'Destroy', 'Get'].map(
        (one) => `${one} sealgate`,
      ),
    );
  });

  it('stops a batch at the first failure and keeps ids', async () => {
    const server = await start();
    const client = await open(server);
    const kmsId = server.store.add();
    const [first, second] = await batch(client, request([state(kmsId), ['Get', id(kmsId)]]));
    expect(stateIn(first)).toBe(STATES.active);
    expect(materialOf(second)).toEqual(server.store.key(kmsId).material);
    expect(second?.must(T.uniqueBatchItemId).bytes).toEqual(Buffer.from([1]));
    const failed = await batch(client, request([state('none'), ['Get', id(kmsId)]]));
    expect(failed.map(reasonOf)).toEqual([REASON.itemNotFound]);
    expect(server.requests.at(-1)).toMatchObject({ operation: 'Get', kmsId, result: null, connection: 1 });
  });

  it('speaks its versions only, and discovers those in common', async () => {
    const server = await start({ versions: ['1.2', '1.1'] });
    const client = await open(server);
    expect((await batch(client, request([['DiscoverVersions']], 4))).map(reasonOf)).toEqual([
      REASON.invalidMessage,
    ]);
    const [found] = await batch(client, request([['DiscoverVersions', version(4), version(1)]], 2));
    expect(found?.must(T.responsePayload).all(T.protocolVersion)).toHaveLength(1);
  });

  it('gives a key to its owner only', async () => {
    const server = await start();
    const kmsId = server.store.add({ owner: 'sealgate' });
    const stranger = await makeClientCertificate({ folder, ...certificates }, 'stranger');
    const theirs = await open(server, stranger);
    expect((await batch(theirs, get(kmsId))).map(reasonOf)).toEqual([REASON.permissionDenied]);
    server.quirks.hidesForeignKeys = true;
    expect((await batch(theirs, get(kmsId))).map(reasonOf)).toEqual([REASON.itemNotFound]);
    expect((await batch(await open(server), get(kmsId))).map(reasonOf)).toEqual([undefined]);
  });

  it('wants the credential that it was started with', async () => {
    const server = await start({ credential: { username: 'u', password: 'p' } });
    const client = await open(server);
    expect((await batch(client, get('none'))).map(reasonOf)).toEqual([REASON.authenticationNotSuccessful]);
  });

  it('seals with AES-GCM, and knows only the operations that it was given', async () => {
    const server = await start({ operations: ['Encrypt'] });
    const kmsId = server.store.add();
    const client = await open(server);
    const iv = Buffer.alloc(12, 1);
    const parameters = wire.structure(T.cryptographicParameters, wire.enumeration(T.blockCipherMode, 9));
    const [answer] = await batch(
      client,
      request([
        [
          'Encrypt',
          id(kmsId),
          parameters,
          wire.bytes(T.data, Buffer.from('plain')),
          wire.bytes(T.ivCounterNonce, iv),
        ],
      ]),
    );
    const payload = answer?.must(T.responsePayload);
    const decipher = createDecipheriv('aes-256-gcm', server.store.key(kmsId).material, iv);
    decipher.setAuthTag(payload?.must(T.authenticatedEncryptionTag).bytes ?? Buffer.alloc(0));
    expect(decipher.update(payload?.must(T.data).bytes ?? Buffer.alloc(0)).toString()).toBe('plain');
    decipher.final();
    expect((await batch(client, get(kmsId))).map(reasonOf)).toEqual([REASON.operationNotSupported]);
  });

  it('finds one key of thousands by its name', async () => {
    const server = await start();
    for (let i = 0; i < 5000; i += 1) server.store.add({ name: `key-${i}` });
    const name = wire.structure(
      T.attribute,
      wire.text(T.attributeName, 'Name'),
      wire.structure(T.attributeValue, wire.text(T.nameValue, 'key-4711'), wire.enumeration(T.nameType, 1)),
    );
    const [found] = await batch(await open(server), request([['Locate', name]]));
    expect(
      found
        ?.must(T.responsePayload)
        .all(T.uniqueIdentifier)
        .map((item) => item.text),
    ).toEqual(['scripted-4712']);
  });
});

describe('as its script says', () => {
  const told = async (behaviour: RequestBehaviour, times = 1) => {
    const server = await start();
    const kmsId = server.store.add();
    const client = await open(server);
    const { bytes: right } = await ask(client, get(kmsId));
    server.script({ on: 'Get', times, do: behaviour });
    return { server, kmsId, client, right };
  };

  it.each([0, 1, 7, 8, 9, 100])('an answer is cut after %i bytes', async (bytes) => {
    const { server, kmsId, client } = await told({ kind: 'cutAfter', bytes });
    const answer = await ask(client, get(kmsId));
    expect(answer).toMatchObject({ ended: true });
    expect(answer.bytes).toHaveLength(bytes);
    expect(server.requests.at(-1)?.result).toBe('ok');
  });

  it('a connection is cut, or reset, before the request is carried out', async () => {
    for (const reset of [false, true]) {
      const { server, kmsId, client } = await told({ kind: 'cutBeforeRequest', reset });
      expect(await ask(client, get(kmsId))).toMatchObject({ ended: true, pieces: 0 });
      expect(server.requests.at(-1)?.result).toBeNull();
    }
  });

  it('an answer comes in pieces, twice, late, when it is let go, or as other bytes', async () => {
    const split = await told({ kind: 'split', sizes: [1, 3] });
    const pieces = await ask(split.client, get(split.kmsId));
    expect(pieces.bytes.subarray(-100)).toEqual(split.right.subarray(-100));
    expect(pieces.pieces).toBeGreaterThan(10);
    const merge = await told({ kind: 'merge' });
    expect((await ask(merge.client, get(merge.kmsId))).bytes).toHaveLength(2 * merge.right.length);
    const delay = await told({ kind: 'delay', ms: 60 });
    const started = performance.now();
    await ask(delay.client, get(delay.kmsId));
    expect(performance.now() - started).toBeGreaterThan(55);
    let letGo = () => {};
    const hold = await told({
      kind: 'hold',
      until: new Promise<void>((resolve) => {
        letGo = resolve;
      }),
    });
    const asked = hold.server.next('Get');
    const held = ask(hold.client, get(hold.kmsId));
    await asked;
    letGo();
    expect((await held).bytes).toHaveLength(hold.right.length);
    const other = await told({ kind: 'bytes', answer: (right) => Buffer.alloc(right.length) });
    const answer = ask(other.client, get(other.kmsId));
    expect((await answer).bytes).toEqual(Buffer.alloc(other.right.length));
  });

  it.each<[string, RequestBehaviour, number | undefined, number]>([
    ['another key', { kind: 'wrongKey' }, undefined, 32],
    ['a short key', { kind: 'shortKey', bytes: 16 }, undefined, 16],
    ['any reason', { kind: 'reason', code: 0x3a }, 0x3a, 0],
    ['no reason', { kind: 'reason', code: null }, undefined, 0],
    ['no such key', { kind: 'missing' }, REASON.itemNotFound, 0],
  ])('Get gives %s, as often as was said', async (_what, behaviour, reason, length) => {
    const { server, kmsId, client } = await told(behaviour);
    const [first] = await batch(client, get(kmsId));
    const [second] = await batch(client, get(kmsId));
    expect(reasonOf(first)).toBe(reason);
    expect(materialOf(first)?.length ?? 0).toBe(length);
    expect(materialOf(first)).not.toEqual(server.store.key(kmsId).material);
    expect(materialOf(second)).toEqual(server.store.key(kmsId).material);
  });

  it('a refusal may come after the work was done', async () => {
    const server = await start();
    const kmsId = server.store.add({ state: STATES.preActive });
    server.script({ on: 'Activate', do: { kind: 'reason', code: REASON.generalFailure, executed: true } });
    const [answer] = await batch(await open(server), request([['Activate', id(kmsId)]]));
    expect(reasonOf(answer)).toBe(REASON.generalFailure);
    expect(server.store.state(kmsId)).toBe(STATES.active);
  });

  it('the State told is not the one that is; a removed rule does nothing', async () => {
    const server = await start();
    const kmsId = server.store.add();
    const client = await open(server);
    const remove = server.script({ on: 'any', kmsId, do: { kind: 'state', state: STATES.compromised } });
    expect((await batch(client, request([state(kmsId)]))).map(stateIn)).toEqual([STATES.compromised]);
    remove();
    expect((await batch(client, request([state(kmsId)]))).map(stateIn)).toEqual([STATES.active]);
  });

  it('a hanging request is not carried out, or is, and never answered', async () => {
    for (const executed of [false, true]) {
      const server = await start();
      const kmsId = server.store.add({ state: STATES.preActive });
      server.script({ on: 'Activate', do: { kind: 'hang', executed } });
      const client = await open(server);
      const seen = server.next('Activate');
      const answer = ask(client, request([['Activate', id(kmsId)]]));
      await seen;
      expect(server.store.state(kmsId)).toBe(executed ? STATES.active : STATES.preActive);
      server.cut();
      expect(await answer).toMatchObject({ ended: true, pieces: 0 });
    }
  });
});

describe('connections', () => {
  it('are refused, hang or come late', async () => {
    const server = await start();
    server.script({ on: 'connect', times: 1, do: { kind: 'refuse' } });
    await expect(open(server)).rejects.toThrow();
    server.script({ on: 'connect', times: 1, do: { kind: 'slowAccept', ms: 60 } });
    const started = performance.now();
    await open(server);
    expect(performance.now() - started).toBeGreaterThan(55);
    server.script({ on: 'connect', times: 1, do: { kind: 'hang' } });
    const hanging = open(server);
    hanging.catch(() => undefined);
    while (server.connections < 3) await new Promise((resolve) => setImmediate(resolve));
    server.cut();
    await expect(hanging).rejects.toThrow();
  });

  it('show an expired certificate, or one for another name', async () => {
    const server = await start();
    const authority = { folder, ...certificates };
    const expired = await makeServerCertificate(authority, 'expired', { days: -1 });
    const elsewhere = await makeServerCertificate(authority, 'elsewhere', {
      subjectAltName: 'DNS:elsewhere',
    });
    server.script({ on: 'connect', times: 1, do: { kind: 'certificate', files: expired } });
    await expect(open(server)).rejects.toThrow(/expired/);
    server.script({ on: 'connect', times: 1, do: { kind: 'certificate', files: elsewhere } });
    await expect(open(server)).rejects.toThrow(/altnames/i);
    await open(server);
  });

  it('of a client without a valid certificate fail, and the server says why', async () => {
    const server = await start();
    const expired = await makeClientCertificate({ folder, ...certificates }, 'too-late', -1);
    const client = await open(server, expired);
    await ask(client, get('none'));
    expect(server.handshakeFailures).toHaveLength(1);
    expect(server.requests).toHaveLength(0);
  });

  it('end at a pause, and are taken again on the same port after it', async () => {
    const server = await start();
    const client = await open(server);
    const closed = once(client, 'close');
    client.on('error', () => client.destroy());
    client.resume();
    await server.pause();
    await closed;
    await expect(open(server)).rejects.toThrow(/ECONNREFUSED/);
    await server.resume();
    await open(server);
  });
});

it('stands in for PyKMIP in the demo where that is not installed', async () => {
  const kms = await startDemoKms(join(folder, 'demo'), false);
  const server = await startSealgate({ folder: join(folder, 'sealgate'), kms });
  await createBucket(server, 'invoices', true);
  expect((await send(server, { method: 'PUT', path: '/invoices/1', body: Buffer.from('1') })).status).toBe(
    200,
  );
  expect(kms.creations()).toBe(1);
  await server.stop();
  await kms.stop();
});

describe('two servers on one store', () => {
  it('are a cluster, in which the second learns late', async () => {
    const store = newKeyStore();
    const first = await start({ store });
    const second = await start({ store, lagMs: Number.POSITIVE_INFINITY });
    const made = await batch(
      await open(first),
      request([
        [
          'Create',
          wire.enumeration(T.objectType, 2),
          wire.structure(
            T.templateAttribute,
            ...(
              [
                ['Cryptographic Algorithm', wire.enumeration(T.attributeValue, 3)],
                ['Cryptographic Usage Mask', wire.integer(T.attributeValue, 12)],
              ] as const
            ).map(([name, value]) => wire.structure(T.attribute, wire.text(T.attributeName, name), value)),
          ),
        ],
      ]),
    );
    const kmsId = made[0]?.must(T.responsePayload).must(T.uniqueIdentifier).text ?? '';
    const late = await open(second);
    expect((await batch(late, get(kmsId))).map(reasonOf)).toEqual([REASON.itemNotFound]);
    expect((await batch(await open(first), get(kmsId))).map(reasonOf)).toEqual([undefined]);
    second.lagMs = 0;
    expect((await batch(late, get(kmsId))).map(reasonOf)).toEqual([undefined]);
    // What a test does to a key is known at once.
    second.lagMs = Number.POSITIVE_INFINITY;
    store.setState(kmsId, 'gone');
    expect((await batch(late, get(kmsId))).map(reasonOf)).toEqual([REASON.itemNotFound]);
  });
});
