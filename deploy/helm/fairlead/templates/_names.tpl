{{/* Names and labels. */}}

{{- define "fairlead.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}{{ end -}}
{{- end -}}

{{/* The configuration's name: a gateway's is the release's, a sidecar's says what it is for. */}}
{{- define "fairlead.configName" -}}
{{ include "fairlead.name" . }}{{ if eq .Values.mode "sidecar" }}-sidecar{{ end }}
{{- end -}}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fairlead.chartLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
{{ include "fairlead.chartLabels" . }}
{{- end -}}

{{- define "fairlead.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "fairlead.prometheus" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9900"
prometheus.io/path: /metrics
{{- end -}}
