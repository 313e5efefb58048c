/**
 * A process of its own that starts a cluster, says where, and waits to be killed: for tests of what is left then.
 * Usage: node heldCluster.ts 1 | 2    (nodes)
 */
import { startCluster } from './startCluster.ts';

const { folder } = await startCluster({ volumes: 0, nodes: process.argv[2] === '2' ? 2 : 1 });
process.stdout.write(`${folder}\n`);
process.stdin.resume();
