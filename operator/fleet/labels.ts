/** Labels of the fleet's objects (kubernetes.io, "Recommended Labels"). */

export type Labels = Readonly<Record<string, string>>;

/** What selects the pods of one component; immutable in a StatefulSet, so nothing else may enter it. */
export function selectorLabels(fleet: string, component: 'dataplane' | 'operator'): Labels {
  return {
    'app.kubernetes.io/name': 'sealgate',
    'app.kubernetes.io/instance': fleet,
    'app.kubernetes.io/component': component,
  };
}

/** Labels of every object that the operator makes for the fleet. */
export function objectLabels(fleet: string): Labels {
  return {
    ...selectorLabels(fleet, 'dataplane'),
    'app.kubernetes.io/part-of': 'sealgate',
    'app.kubernetes.io/managed-by': 'sealgate-operator',
  };
}
