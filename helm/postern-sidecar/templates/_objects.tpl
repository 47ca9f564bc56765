{{- /* The objects beside the engine's pod: configuration, policy and the volume of the sidecar's state. */}}
{{- define "postern.sidecar.objects" -}}
{{- $values := .Values.postern -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "postern.fullname" . }}-config
  labels:
    {{- include "postern.labels" . | nindent 4 }}
data:
  client.yaml: |
    {{- include "postern.config" . | nindent 4 }}
{{- if and $values.policy.preset $values.policy.existingConfigMap }}
{{- fail "postern.policy: name a preset or an existingConfigMap, not both" }}
{{- end }}
{{- if not $values.policy.existingConfigMap }}
{{- $policy := dict "version" 1 "preset" (required "postern.policy: name a preset (locked, supervised, delegated) or an existingConfigMap" $values.policy.preset) }}
{{- with $values.policy.approvers }}
{{- $_ := set $policy "approvers" . }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "postern.policyMap" . }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
data:
  {{ $values.policy.file }}: |
    {{- toYaml $policy | nindent 4 }}
{{- end }}
{{- if not $values.state.existingClaim }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "postern.claim" . }}
  labels:
    {{- include "postern.labels" . | nindent 4 }}
  {{- if or $values.state.keep $values.state.annotations }}
  annotations:
    {{- if $values.state.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with $values.state.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $values.state.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: { storage: {{ $values.state.size }} }
{{- end }}
{{- end }}

{{- define "postern.config" -}}
{{- $values := .Values.postern -}}
{{- $own := dict
  "stateDir" "/var/lib/postern/state"
  "enrollment" (dict "bundle" "/etc/postern/enrollment/bundle")
  "profile" (printf "/etc/postern/profile/%s" $values.profile.file)
  "policy" (printf "/etc/postern/policy/%s" $values.policy.file)
  "listen" (dict "socket" "/var/lib/postern/run/approvers.sock" "admin" "0.0.0.0:9464")
  "timeouts" (dict "drain" (printf "%ds" (int $values.drainSeconds)))
  "log" $values.log }}
{{- with $values.brokers }}
{{- $_ := set $own "brokers" . }}
{{- end }}
{{- with $values.webhook }}
{{- if .url }}
{{- $webhook := dict "url" .url "secretFile" (printf "/etc/postern/webhook/%s" .secretKey) "events" .events "format" .format "headers" .headers }}
{{- if .caKey }}
{{- $_ := set $webhook "caFile" (printf "/etc/postern/webhook/%s" .caKey) }}
{{- end }}
{{- $_ := set $own "webhook" $webhook }}
{{- end }}
{{- end }}
{{- mergeOverwrite (deepCopy $values.config) $own | toYaml }}
{{- end }}
