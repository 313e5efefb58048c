/**
 * The pods of the embedded form: one, with one volume (crds.md, "Fleet").
 *
 * Everything in the template restarts the pod when it changes; what can change without that is in Secrets.
 */
import type { KubeObject } from '../kube/resource.ts';
import { dataPlaneContainer } from './dataPlaneContainer.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { objectLabels, selectorLabels } from './labels.ts';
import { fleetNames } from './names.ts';

/** Secrets are read by the owner and its group alone; the group is fsGroup. */
const SECRET_MODE = 0o440;

function volumes({ name }: FleetContext): object[] {
  const names = fleetNames(name);
  return [
    {
      name: 'config',
      projected: {
        defaultMode: SECRET_MODE,
        sources: [
          { secret: { name: names.configSecret } },
          {
            secret: {
              name: names.installationSecret,
              items: [{ key: 'installation.key', path: 'installation.key' }],
            },
          },
          { secret: { name: names.rootSecret, items: [{ key: 'root.json', path: 'root.json' }] } },
        ],
      },
    },
    {
      name: 'connections',
      projected: {
        defaultMode: SECRET_MODE,
        sources: names.connectionSecrets.map((secret) => ({ secret: { name: secret, optional: true } })),
      },
    },
    { name: 'tmp', emptyDir: { sizeLimit: '256Mi' } },
  ];
}

function podSecurityContext({ spec }: FleetContext): object {
  const base = {
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
    fsGroupChangePolicy: 'OnRootMismatch',
  };
  if (spec.runAsUser === null) return base;
  return { ...base, runAsUser: spec.runAsUser, runAsGroup: spec.runAsUser, fsGroup: spec.runAsUser };
}

function placement({ spec }: FleetContext): object {
  const nodeSelector = {
    ...spec.nodeSelector,
    ...(spec.requireAesNi ? { 'feature.node.kubernetes.io/cpu-cpuid.AESNI': 'true' } : {}),
  };
  return {
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(spec.tolerations.length === 0 ? {} : { tolerations: spec.tolerations }),
    ...(Object.keys(spec.affinity).length === 0 ? {} : { affinity: spec.affinity }),
    ...(spec.priorityClassName === null ? {} : { priorityClassName: spec.priorityClassName }),
  };
}

/** `restart` is changed by what only a restart can put in force. */
export function statefulSet(context: FleetContext, restart: string): KubeObject {
  const { name, spec } = context;
  const names = fleetNames(name);
  return {
    ...head(context, 'apps/v1', 'StatefulSet', names.statefulSet),
    spec: {
      replicas: spec.replicas,
      serviceName: names.adminService,
      // With OrderedReady a pod that never became ready stays in the way of its own repair.
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      revisionHistoryLimit: 3,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selectorLabels(name, 'dataplane') },
      template: {
        metadata: {
          labels: { ...spec.podLabels, ...objectLabels(name) },
          annotations: {
            ...spec.podAnnotations,
            'kubectl.kubernetes.io/default-container': 'dataplane',
            'sealgate.io/restart': restart,
          },
        },
        spec: {
          serviceAccountName: names.serviceAccount,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
          securityContext: podSecurityContext(context),
          ...(spec.imagePullSecrets.length === 0 ? {} : { imagePullSecrets: spec.imagePullSecrets }),
          ...placement(context),
          containers: [dataPlaneContainer(context)],
          volumes: volumes(context),
        },
      },
      volumeClaimTemplates: [volumeClaim(context)],
    },
  };
}

/** Cannot change once the StatefulSet exists, so nothing enters it that might. */
function volumeClaim({ name, spec }: FleetContext): object {
  const { size, storageClassName } = spec.storage;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', labels: selectorLabels(name, 'dataplane') },
    spec: {
      accessModes: ['ReadWriteOncePod'],
      ...(storageClassName === null ? {} : { storageClassName }),
      resources: { requests: { storage: size } },
      volumeMode: 'Filesystem',
    },
  };
}
