/** Rights of a service account: those that RBAC gives it, and those that it used, by the API server's audit log. */
import { z } from 'zod';
import type { AuditEvent } from './auditLog.ts';
import type { ControlPlane } from './controlPlane.ts';

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

const binding = z.object({
  kind: z.enum(['ClusterRoleBinding', 'RoleBinding']),
  metadata: z.object({ namespace: z.string().optional() }),
  roleRef: z.object({ kind: z.string(), name: z.string() }),
  subjects: z
    .array(z.object({ kind: z.string(), name: z.string(), namespace: z.string().optional() }))
    .default([]),
});
const role = z.object({
  kind: z.enum(['ClusterRole', 'Role']),
  metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
  rules: z
    .array(
      z.object({
        apiGroups: z.array(z.string()).default([]),
        resources: z.array(z.string()).default([]),
        verbs: z.array(z.string()),
      }),
    )
    .nullish()
    .transform((rules) => rules ?? []),
});
const list = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item) });

/** As people say it: `cycle: patch statefulsets.apps`; of all namespaces: `*: ...`. */
function right(where: string | undefined, verb: string, resource: string, group: string): string {
  return `${where ?? '*'}: ${verb} ${resource}${group === '' ? '' : `.${group}`}`;
}

/** What its roles give it, sorted. */
export async function grantedRights(plane: ControlPlane, account: ServiceAccount): Promise<string[]> {
  const get = async (kinds: string): Promise<unknown> =>
    JSON.parse(await plane.kubectl(['get', kinds, '--all-namespaces', '-o', 'json']));
  const bindings = list(binding).parse(await get('rolebindings,clusterrolebindings')).items;
  const roles = list(role).parse(await get('roles,clusterroles')).items;
  const own = bindings.filter(({ subjects }) =>
    subjects.some(
      ({ kind, name, namespace }) =>
        kind === 'ServiceAccount' && name === account.name && namespace === account.namespace,
    ),
  );
  const rights = own.flatMap(({ metadata, roleRef }) =>
    roles
      .filter(({ kind, metadata: { name, namespace } }) =>
        kind === 'Role'
          ? roleRef.kind === kind && name === roleRef.name && namespace === metadata.namespace
          : roleRef.kind === kind && name === roleRef.name,
      )
      .flatMap(({ rules }) => rules)
      .flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            verbs.map((verb) => right(metadata.namespace, verb, resource, group)),
          ),
        ),
      ),
  );
  return [...new Set(rights)].toSorted();
}

/** Its requests among these events. */
export function requestsOf(events: readonly AuditEvent[], { namespace, name }: ServiceAccount): AuditEvent[] {
  const username = `system:serviceaccount:${namespace}:${name}`;
  return events.filter(({ user }) => user.username === username);
}

/** Reading the discovery, which Kubernetes gives to every account (ClusterRole system:discovery). */
const isDiscovery = ({ objectRef, verb, requestURI }: AuditEvent): boolean =>
  objectRef === undefined && verb === 'get' && /^\/apis?(?:\/|$)/.test(requestURI);

/** The rights that requests needed beside those of every account, sorted. */
export function usedRights(requests: readonly AuditEvent[]): string[] {
  const needing = requests.filter((request) => !isDiscovery(request));
  const rights = needing.map(({ objectRef, verb, requestURI }) => {
    if (objectRef === undefined) return `*: ${verb} ${requestURI}`;
    const { resource, subresource, apiGroup, namespace } = objectRef;
    // A Namespace is said to be in itself.
    const where = resource === 'namespaces' ? undefined : namespace;
    return right(where, verb, subresource === undefined ? resource : `${resource}/${subresource}`, apiGroup);
  });
  return [...new Set(rights)].toSorted();
}
