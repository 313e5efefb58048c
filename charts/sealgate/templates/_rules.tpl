{{/* What the operator does with resources of tenants: in every namespace, or in those that it watches. */}}
{{- define "sealgate.resourceRules" -}}
# Patched: finalizers and the annotations that confirm a step. Read one by one: what is being deleted.
- apiGroups: [sealgate.io]
  resources: [kmsconnections, encryptedbuckets]
  verbs: [get, list, watch, patch]
- apiGroups: [sealgate.io]
  resources: [kmsconnections/status, encryptedbuckets/status]
  verbs: [patch]
{{- end -}}

{{- define "sealgate.tenantRules" -}}
# Access Secrets are made and deleted; those of KMS connections are read. Watched without their contents.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
