/** Which fleet to make: the declared one, or the last good one while the declared one is refused. */
import { z } from 'zod';
import type { KubeObject } from '../kube/resource.ts';
import { FleetError, type FleetSpec, fleetSpec, parseFleet } from './fleetSpec.ts';
import { quantityValue } from './quantity.ts';

/** On the StatefulSet: the spec that it was made from. */
export const LAST_GOOD_ANNOTATION = 'sealgate.io/last-good-fleet';

export interface ChosenFleet {
  /** null: there is no good one. */
  readonly spec: FleetSpec | null;
  /** Why the declared one is refused; null: it is not. */
  readonly refused: string | null;
}

const configMapData = z.record(z.string(), z.string());

const claimTemplates = z.array(
  z.object({
    metadata: z.object({ name: z.string() }),
    spec: z.object({
      storageClassName: z.string().optional(),
      resources: z.object({ requests: z.object({ storage: z.string() }) }),
    }),
  }),
);

function lastGood(statefulSet: KubeObject | null): FleetSpec | null {
  const text = statefulSet?.metadata.annotations?.[LAST_GOOD_ANNOTATION];
  if (text === undefined) return null;
  try {
    return fleetSpec.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null; // somebody changed it: as good as none
    throw error;
  }
}

/** A StatefulSet's claim templates are immutable, and this operator does not resize claims. */
function storageProblem({ storage }: FleetSpec, statefulSet: KubeObject | null): string | null {
  const spec = z.object({ volumeClaimTemplates: claimTemplates }).safeParse(statefulSet?.['spec']).data;
  const claim = spec?.volumeClaimTemplates.find(({ metadata }) => metadata.name === 'data')?.spec;
  if (claim === undefined) return null;
  const size = claim.resources.requests.storage;
  if (size !== storage.size && quantityValue(size) !== quantityValue(storage.size)) {
    return `storage.size cannot change from ${size} to ${storage.size}: keep ${size}; enlarge the PersistentVolumeClaim itself where the storage class allows it`;
  }
  // Without a name the cluster's default class was taken, whatever it was: the template does not tell.
  const [present, wanted] = [claim.storageClassName ?? null, storage.storageClassName];
  if (present !== wanted) {
    return `storage.storageClassName cannot change from ${present ?? 'the default'} to ${wanted ?? 'the default'}`;
  }
  return null;
}

/** Chooses by the chart's ConfigMap and the StatefulSet that is there. */
export function chooseFleet(
  name: string,
  configMap: KubeObject | null,
  statefulSet: KubeObject | null,
): ChosenFleet {
  const text = configMapData.safeParse(configMap?.['data']).data?.['fleet.yaml'];
  if (text === undefined) {
    return {
      spec: lastGood(statefulSet),
      refused: `ConfigMap ${name}-fleet with the key fleet.yaml is missing`,
    };
  }
  try {
    const fleet = parseFleet(text);
    const problem =
      fleet.name === name ? storageProblem(fleet.spec, statefulSet) : `metadata.name must be ${name}`;
    return problem === null
      ? { spec: fleet.spec, refused: null }
      : { spec: lastGood(statefulSet), refused: problem };
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return { spec: lastGood(statefulSet), refused: error.message };
  }
}
