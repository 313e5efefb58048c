/** How the operator reaches the pods' admin port: what is needed beside the pod's address. */
import type { KubeObject } from '../kube/resource.ts';
import { tokenInUse } from './adminTokens.ts';
import { readAuthority, trustBundle } from './authority.ts';
import { ADMIN_SERVER_NAME } from './names.ts';
import { secretFiles } from './secretContent.ts';

export interface AdminAccess {
  readonly token: string;
  /** Authorities to trust, PEM. */
  readonly ca: string;
  /** Name that the pod's certificate carries. */
  readonly serverName: string;
}

/** From the Secrets NAME-config and NAME-ca; null: they are not made yet. */
export function adminAccess(
  configSecret: KubeObject | null,
  caSecret: KubeObject | null,
): AdminAccess | null {
  const token = tokenInUse(secretFiles(configSecret)['admin.token'] ?? '');
  const authority = readAuthority(secretFiles(caSecret));
  if (token === null || authority === null) return null;
  return { token, ca: trustBundle(authority), serverName: ADMIN_SERVER_NAME };
}
