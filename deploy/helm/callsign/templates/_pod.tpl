{{/* What the pods of both kinds have in common. */}}
{{- define "callsign.labels" -}}
app.kubernetes.io/name: callsign
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "callsign.name" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "callsign.metadata" -}}
labels: {{- include "callsign.labels" . | nindent 2 }}
annotations:
  checksum/config: {{ include (print .root.Template.BasePath "/config.yaml") .root | sha256sum }}
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ .values.httpPort | quote }}
{{- end }}

{{- define "callsign.pod" -}}
terminationGracePeriodSeconds: {{ add 30 (.values.drainSeconds | default 10) }}
automountServiceAccountToken: false
securityContext: { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: { type: RuntimeDefault } }
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "callsign.labels" . | nindent 14 }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "callsign.container" -}}
name: callsign
image: {{ printf "%s:%s" .root.Values.image.repository (.root.Values.image.tag | default .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [serve, -c, /etc/callsign/callsign.yaml]
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
envFrom: [ { secretRef: { name: {{ .root.Values.secretName }} } } ]
resources: {{- toYaml .values.resources | nindent 2 }}
livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 5, failureThreshold: 6 }
volumeMounts:
  - { name: config, mountPath: /etc/callsign, readOnly: true }
  - { name: state, mountPath: /var/lib/callsign }
{{- end }}
