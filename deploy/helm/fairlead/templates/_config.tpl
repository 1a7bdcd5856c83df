{{/* fairlead.yaml: what the values make, or a whole one that was given. */}}

{{- define "fairlead.config" -}}
{{- if .Values.config -}}
{{ toYaml .Values.config }}
{{- else -}}
{{- $sidecar := eq .Values.mode "sidecar" -}}
listeners:
  web:
    bind: {{ ternary .Values.sidecar.listen "0.0.0.0:8080" $sidecar }}
    service: {{ .Values.app.service }}
    limits:
      max_buffered_bytes: {{ ternary .Values.sidecar.maxBufferedBytes .Values.gateway.maxBufferedBytes $sidecar }}
services:
  {{ .Values.app.service }}:
    endpoints: k8s://{{ .Values.app.namespace | default .Release.Namespace }}/{{ .Values.app.service }}:{{ .Values.app.port }}
    balance: {{ .Values.balance }}
admin:
  bind: 0.0.0.0:9900
workers: {{ ternary .Values.sidecar.workers .Values.workers $sidecar }}
drain:
  delay: {{ ternary 0 .Values.drain.delaySeconds $sidecar }}s
  limit: {{ ternary .Values.sidecar.drainLimitSeconds .Values.drain.limitSeconds $sidecar }}s
{{- end -}}
{{- end -}}
