{{/* The parts of a pod that runs Fairlead. */}}

{{- define "fairlead.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "fairlead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "fairlead.place" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: NODE_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
{{- end -}}

{{- define "fairlead.probes" -}}
livenessProbe:
  httpGet:
    path: /healthz
    port: admin
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* Spread over zones and nodes, within one revision: (dict "labels" TEXT). */}}
{{- define "fairlead.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $.labels | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* A native sidecar, for the initContainers of a pod; takes the root context. */}}
{{- define "fairlead.sidecar" -}}
- name: fairlead
  image: {{ include "fairlead.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  {{- if .Values.rbac.zone }}
  env:
    {{- include "fairlead.place" . | nindent 4 }}
  {{- end }}
  ports:
    - name: admin
      containerPort: 9900
  # The app is started once this has succeeded: its first request finds endpoints.
  startupProbe:
    httpGet:
      path: /readyz
      port: admin
    periodSeconds: 1
    failureThreshold: 60
  {{- include "fairlead.probes" . | nindent 2 }}
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "fairlead.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: config
      mountPath: /etc/fairlead
      readOnly: true
    - name: fairlead-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
{{- end -}}

{{/* What the sidecar mounts, for the volumes of its pod. The token is for Fairlead's container only. */}}
{{- define "fairlead.sidecarVolumes" -}}
- name: config
  configMap:
    name: {{ include "fairlead.configName" . }}
- name: fairlead-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end -}}
