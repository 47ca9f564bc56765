{{- /*
The three includes of an engine's chart. Each is given the engine's root context; values are those below `postern`.

  initContainers:
    {{- include "postern.sidecar" . | nindent 4 }}
  volumes:
    {{- include "postern.sidecar.volumes" . | nindent 4 }}

and a template of its own with {{ include "postern.sidecar.objects" . }}.

The sidecar has no probes, because the kubelet counts a sidecar's readiness into the pod's and so into the engine's.
*/}}

{{- define "postern.sidecar" -}}
{{- include "postern.check" . -}}
{{- $values := .Values.postern -}}
- name: postern
  image: {{ include "postern.image" . }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  # Stays and refuses when its configuration is wrong: a sidecar that ends makes the engine's pod unready.
  args: [run, --stay]
  restartPolicy: Always
  env:
    - { name: POSTERN_CONFIG, value: /etc/postern/config/client.yaml }
    - { name: POSTERN_SOCKET, value: /var/lib/postern/run/approvers.sock }
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ $values.runAsUser }}
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
    seccompProfile: { type: RuntimeDefault }
  {{- with $values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - { name: postern-config, mountPath: /etc/postern/config, readOnly: true }
    - { name: postern-enrollment, mountPath: /etc/postern/enrollment, readOnly: true }
    - { name: postern-profile, mountPath: /etc/postern/profile, readOnly: true }
    - { name: postern-policy, mountPath: /etc/postern/policy, readOnly: true }
    {{- if $values.profile.credentialsSecret }}
    - { name: postern-engine, mountPath: /etc/postern/engine, readOnly: true }
    {{- end }}
    {{- if $values.webhook.url }}
    - { name: postern-webhook, mountPath: /etc/postern/webhook, readOnly: true }
    {{- end }}
    - { name: postern-state, mountPath: /var/lib/postern }
    - { name: postern-tmp, mountPath: /tmp }
    # In the place of the pod's Kubernetes token: what is mounted here already gets none.
    - { name: postern-no-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}

{{- define "postern.sidecar.volumes" -}}
{{- $values := .Values.postern -}}
- name: postern-config
  configMap: { name: {{ include "postern.fullname" . }}-config }
- name: postern-enrollment
  secret:
    secretName: {{ required "postern.enrollment.existingSecret: name the Secret with the enrollment bundle" $values.enrollment.existingSecret }}
    # A bundle is used up once; a restart after its Secret was deleted must still work.
    optional: true
    items: [{ key: {{ $values.enrollment.key | quote }}, path: bundle }]
- name: postern-profile
  configMap: { name: {{ required "postern.profile.existingConfigMap: name the ConfigMap with the engine profile" $values.profile.existingConfigMap }} }
- name: postern-policy
  configMap: { name: {{ include "postern.policyMap" . }} }
{{- with $values.profile.credentialsSecret }}
- name: postern-engine
  secret: { secretName: {{ . }} }
{{- end }}
{{- if $values.webhook.url }}
- name: postern-webhook
  secret: { secretName: {{ required "postern.webhook.existingSecret: name the Secret that signs the webhook" $values.webhook.existingSecret }} }
{{- end }}
- name: postern-state
  persistentVolumeClaim: { claimName: {{ include "postern.claim" . }} }
- name: postern-tmp
  emptyDir: { sizeLimit: 64Mi }
- name: postern-no-token
  emptyDir: { sizeLimit: 4Ki }
{{- end }}

{{- define "postern.check" -}}
{{- range $key := list "replicas" "replicaCount" -}}
{{- if gt (int (index $.Values $key | default 0)) 1 -}}
{{- fail (printf "%s: a sidecar decides for one engine pod only; use the chart tunnel-client, whose Deployment reaches all pods of an engine" $key) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "postern.fullname" -}}
{{ printf "%s-postern" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "postern.labels" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "postern.image" -}}
{{- $image := .Values.postern.image -}}
{{- $registry := $image.registry | default (dig "imageRegistry" "" (.Values.global | default dict)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default "0.1.0" }}{{ end }}
{{- end }}

{{- define "postern.claim" -}}
{{- .Values.postern.state.existingClaim | default (printf "%s-state" (include "postern.fullname" .)) }}
{{- end }}

{{- define "postern.policyMap" -}}
{{- .Values.postern.policy.existingConfigMap | default (printf "%s-policy" (include "postern.fullname" .)) }}
{{- end }}
