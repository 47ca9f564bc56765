{{- define "tunnel-broker.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "tunnel-broker.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tunnel-broker.labels" -}}
{{ include "tunnel-broker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* dict root, repository, tag, digest */}}
{{- define "tunnel-broker.image" -}}
{{- $registry := .root.Values.image.registry | default (dig "imageRegistry" "" (.root.Values.global | default dict)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "tunnel-broker.ownImage" -}}
{{- $image := .Values.image -}}
{{- include "tunnel-broker.image" (dict "root" . "repository" $image.repository "tag" $image.tag "digest" $image.digest) }}
{{- end }}

{{- define "tunnel-broker.serviceAccount" -}}
{{- $default := ternary (include "tunnel-broker.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- define "tunnel-broker.claim" -}}
{{- .Values.state.existingClaim | default (printf "%s-state" (include "tunnel-broker.fullname" .)) }}
{{- end }}

{{- /* What is the same in every pod: nothing here can be loosened by a value. */}}
{{- define "tunnel-broker.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tunnel-broker.containerSecurity" -}}
securityContext:
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tunnel-broker.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tunnel-broker.mounts" -}}
- { name: config, mountPath: /etc/postern/config, readOnly: true }
- { name: trust, mountPath: /etc/postern/trust, readOnly: true }
- { name: mesh-ca, mountPath: /etc/postern/mesh-ca, readOnly: true }
- { name: api, mountPath: /etc/postern/api, readOnly: true }
{{- if .Values.entries.existingConfigMap }}
- { name: entries, mountPath: /etc/postern/entries, readOnly: true }
{{- end }}
- { name: state, mountPath: /var/lib/postern }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "tunnel-broker.volumes" -}}
- name: config
  configMap: { name: {{ include "tunnel-broker.fullname" . }}-config }
- name: trust
  configMap: { name: {{ required "trust.existingConfigMap: name the ConfigMap with the trust bundle and the vendor keys" .Values.trust.existingConfigMap }} }
- name: mesh-ca
  secret: { secretName: {{ required "meshCa.existingSecret: name the Secret with the mesh CA" .Values.meshCa.existingSecret }} }
- name: api
  secret: { secretName: {{ required "api.existingSecret: name the Secret with the certificate of the operators' API" .Values.api.existingSecret }} }
{{- with .Values.entries.existingConfigMap }}
- name: entries
  configMap: { name: {{ . }} }
{{- end }}
- name: state
  persistentVolumeClaim: { claimName: {{ include "tunnel-broker.claim" . }} }
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end }}

{{- /* dict api, suffix, apiCa: how a pod with the operators' tool shows who it is */}}
{{- define "tunnel-broker.login" -}}
- login
- --certificate=/etc/postern/operator/certificate.pem
- --key=/etc/postern/operator/key.pem
- --vendor-key=/etc/postern/operator/vendor.pem
- --api={{ required "api: host:port of the operators' API" .api }}
- --suffix={{ required "suffix: the suffix of doors" .suffix }}
{{- if .apiCa }}
- --api-ca=/etc/postern/operator/api-ca.pem
{{- end }}
{{- end }}
