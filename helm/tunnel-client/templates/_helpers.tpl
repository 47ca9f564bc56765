{{- define "tunnel-client.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "tunnel-client.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tunnel-client.labels" -}}
{{ include "tunnel-client.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* dict root, repository, tag, digest */}}
{{- define "tunnel-client.image" -}}
{{- $registry := .root.Values.image.registry | default (dig "imageRegistry" "" (.root.Values.global | default dict)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "tunnel-client.ownImage" -}}
{{- $image := .Values.image -}}
{{- include "tunnel-client.image" (dict "root" . "repository" $image.repository "tag" $image.tag "digest" $image.digest) }}
{{- end }}

{{- define "tunnel-client.serviceAccount" -}}
{{- $default := ternary (include "tunnel-client.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- define "tunnel-client.claim" -}}
{{- .Values.state.existingClaim | default (printf "%s-state" (include "tunnel-client.fullname" .)) }}
{{- end }}

{{- define "tunnel-client.policyMap" -}}
{{- .Values.policy.existingConfigMap | default (printf "%s-policy" (include "tunnel-client.fullname" .)) }}
{{- end }}

{{- /* What is the same in every pod: nothing here can be loosened by a value. */}}
{{- define "tunnel-client.podSecurity" -}}
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

{{- define "tunnel-client.containerSecurity" -}}
securityContext:
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tunnel-client.placement" -}}
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

{{- define "tunnel-client.mounts" -}}
- { name: config, mountPath: /etc/postern/config, readOnly: true }
- { name: enrollment, mountPath: /etc/postern/enrollment, readOnly: true }
- { name: profile, mountPath: /etc/postern/profile, readOnly: true }
- { name: policy, mountPath: /etc/postern/policy, readOnly: true }
{{- if .Values.profile.credentialsSecret }}
- { name: engine, mountPath: /etc/postern/engine, readOnly: true }
{{- end }}
{{- if .Values.webhook.url }}
- { name: webhook, mountPath: /etc/postern/webhook, readOnly: true }
{{- end }}
{{- if .Values.enrollment.serviceAccountToken.enabled }}
- { name: token, mountPath: /etc/postern/token, readOnly: true }
{{- if .Values.enrollment.serviceAccountToken.jwksConfigMap }}
- { name: jwks, mountPath: /etc/postern/jwks, readOnly: true }
{{- end }}
{{- end }}
- { name: state, mountPath: /var/lib/postern }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "tunnel-client.volumes" -}}
- name: config
  configMap: { name: {{ include "tunnel-client.fullname" . }}-config }
- name: enrollment
  secret:
    secretName: {{ required "enrollment.existingSecret: name the Secret with the enrollment bundle" .Values.enrollment.existingSecret }}
    # A bundle is used up once; a restart after its Secret was deleted must still work.
    optional: true
    items: [{ key: {{ .Values.enrollment.key | quote }}, path: bundle }]
- name: profile
  configMap: { name: {{ required "profile.existingConfigMap: name the ConfigMap with the engine profile" .Values.profile.existingConfigMap }} }
- name: policy
  configMap: { name: {{ include "tunnel-client.policyMap" . }} }
{{- with .Values.profile.credentialsSecret }}
- name: engine
  secret: { secretName: {{ . }} }
{{- end }}
{{- if .Values.webhook.url }}
- name: webhook
  secret: { secretName: {{ required "webhook.existingSecret: name the Secret that signs the webhook" .Values.webhook.existingSecret }} }
{{- end }}
{{- with .Values.enrollment.serviceAccountToken }}
{{- if .enabled }}
- name: token
  projected:
    sources:
      - serviceAccountToken:
          audience: {{ required "enrollment.serviceAccountToken.audience: postern/<vendor>/<label>" .audience | quote }}
          expirationSeconds: 3600
          path: token
{{- with .jwksConfigMap }}
- name: jwks
  configMap: { name: {{ . }} }
{{- end }}
{{- end }}
{{- end }}
- name: state
  persistentVolumeClaim: { claimName: {{ include "tunnel-client.claim" . }} }
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end }}

{{- /* The approvers' socket lies on the state volume, where the rotation's pod finds it, too. */}}
{{- define "tunnel-client.socket" -}}
/var/lib/postern/run/approvers.sock
{{- end }}

{{- /* dict api, suffix, apiCa: how a pod with the operators' tool shows who it is */}}
{{- define "tunnel-client.login" -}}
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
