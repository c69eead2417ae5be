{{- define "evse-status.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "evse-status.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "evse-status.labels" -}}
{{ include "evse-status.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "evse-status.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What the workers read, as they understand the settings. */}}
{{- define "evse-status.input-topics" -}}
{{- .Values.settings.INPUT_TOPICS | default (printf "%sevents" (.Values.settings.TOPIC_PREFIX | default "evse.")) -}}
{{- end -}}

{{/* What both need to find the view; .secret is the secret that holds the URL, or empty. */}}
{{- define "evse-status.redis-env" -}}
- name: EVSE_STATUS_REDIS_URL
  {{- if .secret }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: url}
  {{- else }}
  value: {{ .root.Values.redis.url | quote }}
  {{- end }}
- name: EVSE_STATUS_REDIS_CLUSTER
  value: {{ .root.Values.redis.cluster | quote }}
{{- with .root.Values.redis.sentinelSecret }}
- name: EVSE_STATUS_REDIS_SENTINEL_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: username, optional: true}
- name: EVSE_STATUS_REDIS_SENTINEL_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: password}
{{- end }}
{{- if .root.Values.redis.caSecret }}
- name: EVSE_STATUS_REDIS_CA_FILE
  value: /etc/evse-status/redis/ca.crt
{{- end }}
{{- with .root.Values.redis.certificateSecret }}
- name: EVSE_STATUS_REDIS_CERTIFICATE_FILE
  value: /etc/evse-status/redis/tls.crt
- name: EVSE_STATUS_REDIS_KEY_FILE
  value: /etc/evse-status/redis/tls.key
- name: EVSE_STATUS_REDIS_KEY_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: password, optional: true}
{{- end }}
{{- range $name, $value := .root.Values.settings }}
- name: EVSE_STATUS_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Where certificates and tokens of the parts named in .parts lie, of those that have any; and the volumes that hold them. */}}
{{- define "evse-status.certificate-mounts" -}}
{{- range $part := .parts }}
{{- $given := index $.root.Values $part }}
{{- if or $given.caSecret $given.certificateSecret }}
- {name: {{ $part }}-certificates, mountPath: /etc/evse-status/{{ $part }}, readOnly: true}
{{- end }}
{{- if $given.oauthTokenSecret }}
- {name: {{ $part }}-token, mountPath: /etc/evse-status/{{ $part }}-token, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "evse-status.certificate-volumes" -}}
{{- range $part := .parts }}
{{- $given := index $.root.Values $part }}
{{- if or $given.caSecret $given.certificateSecret }}
- name: {{ $part }}-certificates
  projected:
    sources:
      {{- with $given.caSecret }}
      - secret: {name: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
      {{- end }}
      {{- with $given.certificateSecret }}
      - secret: {name: {{ . }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
      {{- end }}
{{- end }}
{{- with $given.oauthTokenSecret }}
- name: {{ $part }}-token
  projected:
    sources:
      - secret: {name: {{ . }}, items: [{key: token, path: token}]}
{{- end }}
{{- end }}
{{- end -}}

{{- define "evse-status.pod-security" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "evse-status.container-security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "evse-status.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
