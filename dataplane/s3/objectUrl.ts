import type { IncomingMessage } from 'node:http';
import { urlEncodeKey } from './xml/urlEncoding.ts';

/** The URL of an object as its client addressed the server; `path` is percent-encoded and begins with a slash. */
export function objectUrl(req: IncomingMessage, path: string): string {
  const scheme = 'encrypted' in req.socket ? 'https' : 'http';
  return `${scheme}://${req.headers.host ?? ''}${path}`;
}

/** A key as a URL's path shows it. */
export function urlPathOfKey(key: Uint8Array): string {
  return urlEncodeKey(key).replaceAll('+', '%20');
}
