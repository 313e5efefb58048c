/** kubeconfig files for the users of a cluster. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';

/** How a user proves who it is: PEM texts of a client certificate, or a token. */
export type Credentials = { readonly cert: string; readonly key: string } | { readonly token: string };

/** Where a cluster's API answers; `ca` is a PEM text. */
export interface ApiEndpoint {
  readonly server: string;
  readonly ca: string;
}

/** A kubeconfig as text: JSON, which YAML readers read too. Everything is in it; it refers to no other file. */
export function kubeconfigText({ server, ca }: ApiEndpoint, credentials: Credentials): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const user =
    'token' in credentials
      ? { token: credentials.token }
      : {
          'client-certificate-data': base64(credentials.cert),
          'client-key-data': base64(credentials.key),
        };
  const name = 'sealgate';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Writes a kubeconfig beside the certificate that it holds, and resolves with its path. */
export async function writeKubeconfig(endpoint: ApiEndpoint, files: CertificateFiles): Promise<string> {
  const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')]);
  const file = path.join(path.dirname(files.cert), `${path.basename(files.cert, '.crt')}.kubeconfig`);
  await writeFile(file, kubeconfigText(endpoint, { cert, key }), { mode: 0o600 });
  return file;
}
