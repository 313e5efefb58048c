import { sendBody } from '../../objects/bodyReader.ts';
import type { Operation } from '../context.ts';
import { prepareRead } from '../readObject.ts';

/** GetObject: the whole object, a range or one part; every byte verified before it leaves the process. */
export const getObject: Operation = async (context) => {
  const read = await prepareRead(context);
  return {
    status: read.status,
    headers: read.headers,
    stream: async (sink) => {
      try {
        return await sendBody(context.services, read.opened, read.first, read.last, sink);
      } finally {
        read.release();
      }
    },
  };
};
