{{- /* What the charts of client and broker have in common; each is given the chart's root context unless it says otherwise. */}}

{{- define "postern-common.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "postern-common.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postern-common.labels" -}}
{{ include "postern-common.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* dict root, repository, tag, digest */}}
{{- define "postern-common.image" -}}
{{- $registry := .root.Values.image.registry | default (dig "imageRegistry" "" (.root.Values.global | default dict)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "postern-common.ownImage" -}}
{{- $image := .Values.image -}}
{{- include "postern-common.image" (dict "root" . "repository" $image.repository "tag" $image.tag "digest" $image.digest) }}
{{- end }}

{{- define "postern-common.serviceAccount" -}}
{{- $default := ternary (include "postern-common.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- define "postern-common.claim" -}}
{{- .Values.state.existingClaim | default (printf "%s-state" (include "postern-common.fullname" .)) }}
{{- end }}

{{- /* What is the same in every pod: nothing here can be loosened by a value. */}}
{{- define "postern-common.podSecurity" -}}
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

{{- define "postern-common.containerSecurity" -}}
securityContext:
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "postern-common.placement" -}}
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

{{- /* dict api, suffix, apiCa: how a pod with the operators' tool shows who it is */}}
{{- define "postern-common.login" -}}
- login
- --certificate=/etc/postern/operator/certificate.pem
- --key=/etc/postern/operator/key.pem
- --vendor-key=/etc/postern/operator/vendor.pub
- --api={{ required "api: host:port of the operators' API" .api }}
- --suffix={{ required "suffix: the suffix of doors" .suffix }}
{{- if .apiCa }}
- --api-ca=/etc/postern/operator/api-ca.pem
{{- end }}
{{- end }}
