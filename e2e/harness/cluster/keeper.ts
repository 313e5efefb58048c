/** Run when the owner of a cluster has ended: removes what it left. Usage: node keeper.ts FOLDER */
import { existsSync } from 'node:fs';
import { removeCluster } from './removal.ts';

const [folder = ''] = process.argv.slice(2);
if (existsSync(folder)) await removeCluster(folder, process.pid);
