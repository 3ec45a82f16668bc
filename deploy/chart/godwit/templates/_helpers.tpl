{{/* The name of the chart in labels. */}}
{{- define "godwit.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects: the release's, with the chart's unless it is in there already. */}}
{{- define "godwit.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "godwit.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes, because a selector cannot. Argument: {root, component}. */}}
{{- define "godwit.selectorLabels" -}}
app.kubernetes.io/name: {{ include "godwit.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "godwit.labels" -}}
{{ include "godwit.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "godwit.image" -}}
{{- with .Values.image }}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{/* Environment of an agent: which node it is, where its Secrets are, and where the API server is, if not where the kubelet says. */}}
{{- define "godwit.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if .Values.apiServer.host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .Values.apiServer.host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .Values.apiServer.port | quote }}
{{- end }}
{{- end }}

{{/*
  An agent is restarted when its event loop no longer turns, never for what the API server or a peer does.
  It is ready when it has read its source, programmed what it found and opened its sessions.
*/}}
{{- define "godwit.probes" -}}
startupProbe:
  {{- include "godwit.probe" (dict "root" . "what" "live") | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 10
  failureThreshold: 60
livenessProbe:
  {{- include "godwit.probe" (dict "root" . "what" "live") | nindent 2 }}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 3
readinessProbe:
  {{- include "godwit.probe" (dict "root" . "what" "ready") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 3
{{- end }}

{{/* One question: over HTTP where the agent has a port for it, else by its control socket. Argument: {root, what: live or ready}. */}}
{{- define "godwit.probe" -}}
{{- if .root.Values.metrics.address -}}
httpGet:
  # The kubelet is on the same host.
  host: {{ include "godwit.metricsHost" .root | quote }}
  port: {{ include "godwit.metricsPort" .root }}
  path: /{{ .what }}z
{{- else -}}
exec:
  command: [/opt/godwit/bin/godwit-probe, {{ .what }}, /run/godwit/godwit.ctl]
{{- end }}
{{- end }}

{{/* Where the agent's HTTP port answers on its own host. */}}
{{- define "godwit.metricsHost" -}}
{{- $host := regexReplaceAll ":[0-9]+$" .Values.metrics.address "" | trimPrefix "[" | trimSuffix "]" -}}
{{- if eq $host "0.0.0.0" }}127.0.0.1{{ else if eq $host "::" }}::1{{ else }}{{ $host }}{{ end }}
{{- end }}

{{- define "godwit.metricsPort" -}}
{{- regexFind "[0-9]+$" .Values.metrics.address }}
{{- end }}

{{/* Argument: {root, operator: Exists or DoesNotExist}. */}}
{{- define "godwit.onReflectorNodes" -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - key: {{ .root.Values.reflector.nodeLabel }}
            operator: {{ .operator }}
{{- end }}
