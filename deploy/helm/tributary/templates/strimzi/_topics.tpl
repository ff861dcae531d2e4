{{/* The topics of this installation, from the catalogue that the binaries are built with: a list under `topics`, each
     entry of the catalogue with its full name. */}}
{{- define "tributary.topics" -}}
{{- $prefix := include "tributary.prefix" . -}}
{{- $destinations := .Values.config.destinations | default dict -}}
{{- $topics := list -}}
{{- range $entry := (.Files.Get "files/topics.toml" | fromToml).topic -}}
{{- if contains "{destination}" $entry.name -}}
{{- range $destination, $settings := $destinations -}}
{{- if or (not $entry.mode) (eq (dig "mode" "live" $settings) $entry.mode) -}}
{{- $topics = append $topics (set (deepCopy $entry) "name" (printf "%s%s" $prefix (replace "{destination}" $destination $entry.name))) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $topics = append $topics (set (deepCopy $entry) "name" (printf "%s%s" $prefix $entry.name)) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "topics" $topics) -}}
{{- end -}}

{{/* A topic's name as that of an object. */}}
{{- define "tributary.objectName" -}}
{{- lower . | replace "_" "-" -}}
{{- end -}}
