/**
 * A process of its own that runs a KMIP server in a cluster's network until it is killed, and says when it is ready: the
 * server ends with it.
 * Usage: node heldKms.ts CLUSTER-FOLDER KMS-FOLDER
 */
import path from 'node:path';
import { makeCertificates } from '../certificates.ts';
import { startPykmip } from '../pykmip.ts';
import { openCluster } from './cluster.ts';
import { KMS_HOST } from './clusterObjects.ts';

/** KMIP's own. */
const PORT = 5696;

const [clusterFolder = '', folder = ''] = process.argv.slice(2);
const { nodeAddress: host, enter } = openCluster(clusterFolder);
await makeCertificates(path.join(folder, 'certificates'), `DNS:${KMS_HOST},IP:${host}`);
await startPykmip({ folder, host, port: PORT, enter });
process.stdout.write('ready\n');
setInterval(() => undefined, 0x7fff_ffff);
