/** Which namespaces may use a KMSConnection. Pure. */

/** A label selector as in metav1: all of it must hold; an empty one selects everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly {
        readonly key: string;
        readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        readonly values?: readonly string[] | undefined;
      }[]
    | undefined;
}

export interface AllowedNamespaces {
  readonly from: 'Same' | 'All' | 'Selector';
  readonly selector?: LabelSelector | undefined;
}

/**
 * Whether a resource in that namespace may refer to a connection in `connectionNamespace`. Its own namespace always
 * may. `labels` are those of the Namespace; undefined: it is not known, and then no selector matches.
 */
export function isNamespaceAllowed(
  { from, selector }: AllowedNamespaces,
  connectionNamespace: string,
  namespace: { readonly name: string; readonly labels: Readonly<Record<string, string>> | undefined },
): boolean {
  if (namespace.name === connectionNamespace || from === 'All') return true;
  if (from === 'Same' || selector === undefined || namespace.labels === undefined) return false;
  return selects(selector, namespace.labels);
}

function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const valueOf = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key);
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      const listed = value !== undefined && values.includes(value);
      return operator === 'In' ? listed : !listed;
    })
  );
}
