import type { Operation } from '../context.ts';
import { prepareRead } from '../readObject.ts';

/** HeadObject: what GetObject would say, from the verified record alone. */
export const headObject: Operation = async (context) => {
  const read = await prepareRead(context);
  read.release();
  return { status: read.status, headers: read.headers };
};
