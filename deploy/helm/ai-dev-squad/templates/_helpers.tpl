{{- define "squad.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "squad.dashboard" -}}{{ include "squad.fullname" . }}-dashboard{{- end -}}
{{- define "squad.receivers" -}}{{ include "squad.fullname" . }}-receivers{{- end -}}
{{- define "squad.collector" -}}{{ include "squad.fullname" . }}-collector{{- end -}}

{{- define "squad.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "squad.labels" -}}
{{ include "squad.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image by digest, else by tag. */}}
{{- define "squad.image" -}}
{{- $tag := default .default .image.tag -}}
{{- if .image.digest -}}{{ .image.repository }}@{{ .image.digest }}{{- else -}}{{ .image.repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{/* Under which names the dashboard answers: a request under any other is refused. */}}
{{- define "squad.hosts" -}}
{{- $name := include "squad.dashboard" . -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- if .Values.ingress.enabled -}}{{- $hosts = append $hosts .Values.ingress.host -}}{{- end -}}
{{- join "," (uniq (concat $hosts .Values.allowedHosts)) -}}
{{- end -}}

{{/* What cannot work is refused here, with the cure, before anything is installed. */}}
{{- define "squad.check" -}}
{{- if not .Values.secret.name -}}
{{- fail "secret.name is empty, so nobody could log in or send: make a Secret with DASHBOARD_PASSWORD_HASH and DASHBOARD_INGEST_TOKENS (`ai-dev-squad password`, `ai-dev-squad token ingest`) and name it here" -}}
{{- end -}}
{{- if and (eq .Values.store "file") (gt (int .Values.replicas) 1) -}}
{{- fail (printf "replicas is %d, but the dashboard's store is a file and has one owner; set replicas to 1, or store to shared, with DASHBOARD_STORE and DASHBOARD_REDIS in the Secret" (int .Values.replicas)) -}}
{{- end -}}
{{- if and (eq .Values.store "file") .Values.autoscaling.enabled -}}
{{- fail "autoscaling is enabled, but the dashboard's store is a file and has one owner; set autoscaling.enabled to false, or store to shared" -}}
{{- end -}}
{{- if and (eq .Values.store "file") .Values.receivers.enabled -}}
{{- fail "receivers are enabled, but the store is a file of the dashboard, which receives by itself; set receivers.enabled to false, or store to shared" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (add (int .Values.drainSeconds) 19) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, too short to drain for %d s and then to write and close the store for up to 20; set it to %d or more" (int .Values.terminationGracePeriodSeconds) (int .Values.drainSeconds) (add (int .Values.drainSeconds) 20)) -}}
{{- end -}}
{{- end -}}

{{/* A setting as a variable of the environment; numbers come as floats. */}}
{{- define "squad.setting" -}}
{{- $name := index . 0 -}}
{{- $value := index . 1 -}}
- name: {{ printf "DASHBOARD_%s" (upper $name) }}
  value: {{ if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ int64 $value | quote }}{{ else }}{{ $value | quote }}{{ end }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
