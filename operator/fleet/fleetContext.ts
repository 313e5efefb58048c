/** What the rendering of every object starts from. */
import type { KubeObject } from '../kube/resource.ts';
import type { FleetSpec } from './fleetSpec.ts';
import { objectLabels } from './labels.ts';

export interface FleetContext {
  /** Name of the fleet, and with it of its objects. */
  readonly name: string;
  readonly namespace: string;
  readonly spec: FleetSpec;
}

/** Head of an object of the fleet. */
export function head(
  { name: fleet, namespace }: FleetContext,
  apiVersion: string,
  kind: string,
  name: string,
  extra: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  } = {},
): KubeObject {
  const { labels = {}, annotations = {} } = extra;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      labels: { ...labels, ...objectLabels(fleet) },
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  };
}

/** Base64 of each value, as `data` of a Secret. */
export function secretData(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, content]) => [name, Buffer.from(content).toString('base64')]),
  );
}
