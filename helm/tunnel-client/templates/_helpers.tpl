{{- define "tunnel-client.policyMap" -}}
{{- .Values.policy.existingConfigMap | default (printf "%s-policy" (include "postern-common.fullname" .)) }}
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
  configMap: { name: {{ include "postern-common.fullname" . }}-config }
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
  persistentVolumeClaim: { claimName: {{ include "postern-common.claim" . }} }
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end }}

{{- /* The approvers' socket lies on the state volume, where the rotation's pod finds it, too. */}}
{{- define "tunnel-client.socket" -}}
/var/lib/postern/run/approvers.sock
{{- end }}
