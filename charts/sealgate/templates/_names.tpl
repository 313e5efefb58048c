{{/* Name of the fleet and of everything in it; short enough for the labels that a StatefulSet adds. */}}
{{- define "sealgate.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sealgate.operatorName" -}}
{{ include "sealgate.name" . }}-operator
{{- end -}}

{{/* What selects the operator's pods; the operator's own code has the same words. */}}
{{- define "sealgate.operatorSelector" -}}
app.kubernetes.io/name: sealgate
app.kubernetes.io/instance: {{ include "sealgate.name" . | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "sealgate.labels" -}}
{{ include "sealgate.operatorSelector" . }}
app.kubernetes.io/part-of: sealgate
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sealgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}
