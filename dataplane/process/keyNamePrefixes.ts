import { KmsError } from '../keys/keys.ts';

/** Start of the names of keys made over a connection. Throws KmsError 'UnknownConnection' when there is none. */
export function keyNamePrefixIn(prefixes: ReadonlyMap<string, string>, connection: string): string {
  const prefix = prefixes.get(connection);
  if (prefix !== undefined) return prefix;
  throw new KmsError('UnknownConnection', `there is no KMS connection ${connection}`);
}
