import type { S3Error } from '../errors.ts';
import { type XmlNode, xml } from './writer.ts';

/** The body of every error. Message and details were written for the client; the cause stays out. */
export function errorXml(error: S3Error, resource: string, requestId: string): string {
  const details: XmlNode[] = Object.entries(error.details);
  const nodes: XmlNode[] = [
    ['Code', error.code],
    ['Message', error.message],
    ...details,
    ['Resource', resource],
    ['RequestId', requestId],
  ];
  return xml('Error', nodes, { namespace: false });
}
