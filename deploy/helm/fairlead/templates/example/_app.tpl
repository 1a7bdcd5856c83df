{{/* A container of the example app: (dict "root" $ "name" NAME "env" TEXT). */}}
{{- define "fairlead.exampleContainer" -}}
{{- $image := .root.Values.example.image -}}
- name: {{ .name }}
  image: {{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
  imagePullPolicy: {{ $image.pullPolicy }}
  {{- with .env }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  ports:
    - name: http
      containerPort: 8080
  livenessProbe:
    httpGet:
      path: /healthz
      port: http
  readinessProbe:
    httpGet:
      path: /ready
      port: http
    periodSeconds: 2
  resources:
    requests: {cpu: 100m, memory: 64Mi}
    limits: {memory: 256Mi}
  securityContext:
    {{- include "fairlead.containerSecurity" .root | nindent 4 }}
{{- end -}}
