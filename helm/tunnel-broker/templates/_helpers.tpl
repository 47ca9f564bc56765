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
  configMap: { name: {{ include "postern-common.fullname" . }}-config }
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
  persistentVolumeClaim: { claimName: {{ include "postern-common.claim" . }} }
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end }}
