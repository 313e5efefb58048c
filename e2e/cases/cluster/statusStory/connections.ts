/** What befalls a KMS connection: outages, certificates, rights. Each step leaves the connection as it found it. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import {
  type CertificateFiles,
  makeCertificates,
  makeClientCertificate,
} from '../../../harness/certificates.ts';
import {
  type ScriptedClusterKms,
  startScriptedClusterKms,
} from '../../../harness/cluster/scriptedClusterKms.ts';
import { freePort } from '../../../harness/freePort.ts';
import { type Pykmip, startPykmip } from '../../../harness/pykmip.ts';
import { underLoad } from './load.ts';
import { access, bucket, connection, errorOf, get, put, TEAM, UNCACHED, type World } from './world.ts';

const NAME = 'stage';
const LEDGER = 'ledger';
const DENIED = 'denied';
const it = connection(NAME);
const secretName = `${NAME}-client`;
/** KMIP 1.4, 9.1.3.2.29. */
const PERMISSION_DENIED = 0x0c;

const READY = {
  Ready: 'True Ready',
  Reachable: 'True AllEndpointsReached',
  Authenticated: 'True Accepted',
  CertificateValid: 'True Valid',
  FleetSynced: 'True Synced',
  DeletionBlocked: 'False NotDeleting',
};

interface Clients {
  /** The one that the story begins with. */
  readonly ours: CertificateFiles;
  /** The same KMS user's, after a renewal for longer. */
  readonly renewed: CertificateFiles;
  readonly expired: CertificateFiles;
  readonly otherAuthority: CertificateFiles;
}

/** A connection of its own, with a KMS of its own that keeps no key in the gateway's memory, and a bucket on it. */
export class ConnectionStory {
  readonly #world: World;
  readonly #kms: Pykmip;
  readonly #denying: ScriptedClusterKms;
  readonly #clients: Clients;
  #connect = 1_000;
  #s3: S3Client | null = null;

  static async create(world: World): Promise<ConnectionStory> {
    const { cluster, kms } = world.installation;
    const { ca, caKey, folder: certificateFolder, clientCert, clientKey } = kms.certificates;
    const folder = path.join(cluster.folder, `kms-${NAME}`);
    const made = async (name: string, days: number): Promise<CertificateFiles> => {
      const its = path.join(folder, name);
      await mkdir(its, { recursive: true });
      return await makeClientCertificate({ folder: its, ca, caKey }, 'sealgate', days);
    };
    const port = await freePort();
    const [second, denying, renewed, expired, other] = await Promise.all([
      startPykmip({ folder, certificateFolder, host: cluster.nodeAddress, enter: cluster.enter, port }),
      startScriptedClusterKms(cluster, certificateFolder),
      made('renewed', 60),
      made('expired', -1),
      makeCertificates(path.join(folder, 'other')),
    ]);
    const clients = {
      ours: { cert: clientCert, key: clientKey },
      renewed,
      expired,
      otherAuthority: other.client,
    };
    return new ConnectionStory(world, second, denying, clients);
  }

  private constructor(world: World, kms: Pykmip, denying: ScriptedClusterKms, clients: Clients) {
    this.#world = world;
    this.#kms = kms;
    this.#denying = denying;
    this.#clients = clients;
  }

  async comesUp(): Promise<void> {
    const { observer, installation } = this.#world;
    await this.#give(this.#clients.ours);
    await this.#declare();
    await observer.told(it, READY, 'Normal Ready');
    expect((await observer.read(it)).status).toMatchObject({
      endpointsUp: '1/1',
      protocolVersion: expect.stringMatching(/^1\.\d$/),
      fleet: { desired: 1, synced: 1 },
    });
    await this.#world.declare(LEDGER, { kmsConnectionRef: { name: NAME }, ...access('ledger-s3') });
    await observer.told(bucket(LEDGER), { Ready: 'True Ready' }, 'Normal Ready');
    this.#s3 = await this.#world.client('ledger-s3');
    await put(this.#ledger, LEDGER, 'kept', 'before it all');
    const labels = {
      connection: `${TEAM}/${NAME}`,
      endpoint: `${installation.cluster.nodeAddress}:${this.#kms.port}`,
    };
    await observer.dataPlaneMetric('sealgate_kms_endpoint_up', labels, (value) => value === 1);
    await this.#probed('Up');
  }

  /** The connection tells it, and no bucket that works does; one that is new waits. Who mends the KMS sees it soon. */
  async isAwayAndComesBack(): Promise<void> {
    const { observer } = this.#world;
    await this.#kms.kill();
    // A change is looked at once.
    await this.#declare();
    const down = {
      Ready: 'False Unreachable',
      Reachable: 'False Unreachable',
      CertificateValid: 'True Valid',
    };
    await observer.told(it, down, 'Warning Unreachable');
    expect((await observer.read(it)).status).toMatchObject({
      endpointsUp: '0/1',
      endpoints: [{ state: 'Down', message: expect.stringContaining('cannot be reached') }],
    });
    expect(await errorOf(get(this.#ledger, LEDGER, 'kept'))).toBe('ServiceUnavailable');
    const labels = { connection: `${TEAM}/${NAME}` };
    await observer.dataPlaneMetric('sealgate_kms_endpoint_up', labels, (value) => value === 0);
    await this.#probed('Unreachable');
    await this.#world.declare('early', { kmsConnectionRef: { name: NAME } });
    const waiting = { Ready: 'False KmsUnavailable', KeyReady: 'False KmsUnavailable' };
    await observer.told(bucket('early'), waiting, 'Warning KmsUnavailable');
    expect(await observer.conditions(bucket(LEDGER))).toMatchObject({ Ready: 'True Ready' });
    expect(await observer.events(bucket(LEDGER))).toEqual(['Normal Ready']);

    const mendedMs = performance.now();
    await this.#kms.restart();
    await observer.told(it, READY);
    // Two looks may pass while PyKMIP starts; a minute is what it takes without them.
    expect(performance.now() - mendedMs).toBeLessThan(30_000);
    await expect.poll(() => errorOf(get(this.#ledger, LEDGER, 'kept')), { timeout: 20_000 }).toBeNull();
  }

  /** After an outage. */
  async newBucketFollows(): Promise<void> {
    await this.#world.observer.told(bucket('early'), { Ready: 'True Ready' }, 'Normal Ready');
  }

  async certificateHasExpired(): Promise<void> {
    const { observer } = this.#world;
    await this.#give(this.#clients.expired);
    const conditions = {
      Ready: 'False CertificateExpired',
      CertificateValid: 'False CertificateExpired',
      FleetSynced: 'True Synced',
    };
    await observer.told(it, conditions, 'Warning CertificateExpired');
    expect(await observer.message(it, 'CertificateValid')).toContain(
      'what was in force before stays in force',
    );
    expect(await get(this.#ledger, LEDGER, 'kept')).toBe('before it all');
    await this.#mend();
  }

  async certificateIsOfAnotherAuthority(): Promise<void> {
    const { observer } = this.#world;
    await this.#give(this.#clients.otherAuthority);
    const conditions = {
      Ready: 'False AuthenticationFailed',
      Reachable: 'True AllEndpointsReached',
      Authenticated: 'False AuthenticationFailed',
      CertificateValid: 'True Valid',
    };
    await observer.told(it, conditions, 'Warning AuthenticationFailed');
    await this.#probed('AuthenticationFailed');
    expect(await errorOf(get(this.#ledger, LEDGER, 'kept'))).not.toBeNull();
    await this.#mend();
    await expect.poll(() => errorOf(get(this.#ledger, LEDGER, 'kept')), { timeout: 20_000 }).toBeNull();
  }

  /** A KMS that knows the user and lets the user do nothing; then what was asked for is given. */
  async userIsDenied(): Promise<void> {
    const { observer } = this.#world;
    const denying = this.#denying;
    const behaviour = { kind: 'reason', code: PERMISSION_DENIED } as const;
    await denying.behave({ on: ['Locate', 'Create', 'Get'], do: behaviour });
    await this.#declareAt(DENIED, denying.port, 'Generic');
    const conditions = {
      Ready: 'False PermissionDenied',
      Reachable: 'True AllEndpointsReached',
      Authenticated: 'False PermissionDenied',
    };
    await observer.told(connection(DENIED), conditions, 'Warning PermissionDenied');
    await this.#world.declare('refused', { kmsConnectionRef: { name: DENIED } });
    const refused = { Ready: 'False KmsRefused', BucketReady: 'False KeyNotReady' };
    await observer.told(bucket('refused'), refused, 'Warning KmsRefused');
    await denying.behave(null);
    await observer.told(connection(DENIED), READY, 'Normal Ready');
  }

  /** Under load, with a KMS that is asked at every request. */
  async secretIsReplaced(): Promise<void> {
    const { observer } = this.#world;
    const before = await this.#pod();
    const report = await underLoad(this.#ledger, LEDGER, async () => {
      await this.#give(this.#clients.renewed);
      await expect
        .poll(async () => (await observer.read(it)).status['certificateNotAfter'], { timeout: 30_000 })
        .toBe(await notAfter(this.#clients.renewed));
      await observer.told(it, READY);
    });
    expect(report.failures).toEqual([]);
    expect(report.rounds).toBeGreaterThan(5);
    const expiry = Date.parse(await notAfter(this.#clients.renewed)) / 1_000;
    const labels = { connection: `${TEAM}/${NAME}`, certificate: 'client' };
    await observer.dataPlaneMetric(
      'sealgate_kms_certificate_expiry_timestamp_seconds',
      labels,
      (value) => value === expiry,
    );
    expect(await this.#pod()).toBe(before);
    expect(await observer.events(it)).not.toContain('Warning NotSynced');
  }

  async secretIsDeleted(): Promise<void> {
    const { observer } = this.#world;
    await this.#world.kubectl(['delete', 'secret', secretName, '-n', TEAM]);
    const conditions = {
      Ready: 'False SecretNotFound',
      CertificateValid: 'False SecretNotFound',
      Authenticated: 'True Accepted',
      FleetSynced: 'True Synced',
    };
    await observer.told(it, conditions, 'Warning SecretNotFound');
    expect(await observer.message(it, 'CertificateValid')).toContain(
      'what was in force before stays in force',
    );
    await put(this.#ledger, LEDGER, 'later', 'without the Secret');
    expect(await get(this.#ledger, LEDGER, 'later')).toBe('without the Secret');
    await this.#mend();
  }

  async close(): Promise<void> {
    await Promise.all([this.#kms.kill(), this.#denying.close()]);
  }

  get #ledger(): S3Client {
    if (this.#s3 === null) throw new Error('the story begins with comesUp()');
    return this.#s3;
  }

  async #give(files: CertificateFiles): Promise<void> {
    await this.#world.putCertificate(secretName, files, this.#world.installation.kms.certificates.ca);
  }

  async #mend(): Promise<void> {
    await this.#give(this.#clients.ours);
    await this.#world.observer.told(it, READY);
  }

  /** Another time limit each time, so that it is a change. */
  async #declare(): Promise<void> {
    await this.#declareAt(NAME, this.#kms.port, 'PyKMIP');
  }

  async #declareAt(name: string, port: number, profile: string): Promise<void> {
    this.#connect += 1;
    const object = {
      apiVersion: 'sealgate.io/v1alpha1',
      kind: 'KMSConnection',
      metadata: { name, namespace: TEAM },
      spec: {
        provider: 'KMIP',
        kmip: {
          endpoints: [{ host: this.#world.installation.cluster.nodeAddress, port }],
          tls: { secretRef: { name: secretName } },
          profile,
          timeouts: { connect: `${this.#connect}ms`, request: '2s', total: '3s' },
        },
        ...UNCACHED,
      },
    };
    await this.#world.kubectl(['apply', '-f', '-'], JSON.stringify(object));
  }

  /** The operator's probes of the connection that came to that result. */
  async #probed(result: string): Promise<void> {
    const text = await this.#world.observer.operatorMetrics();
    const line = `sealgate_operator_kms_probes_total{connection="${TEAM}/${NAME}"`;
    expect(text.split('\n').some((one) => one.startsWith(line) && one.includes(`result="${result}"`))).toBe(
      true,
    );
  }

  /** Which pod, and how often its container was started. */
  async #pod(): Promise<string> {
    const { namespace } = this.#world.installation;
    const format = 'jsonpath={.metadata.uid} {.status.containerStatuses[0].restartCount}';
    return await this.#world.kubectl(['get', 'pod', `${namespace}-0`, '-n', namespace, '-o', format]);
  }
}

async function notAfter({ cert }: CertificateFiles): Promise<string> {
  return new X509Certificate(await readFile(cert)).validToDate.toISOString().replace('.000Z', 'Z');
}
