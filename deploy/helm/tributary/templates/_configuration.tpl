{{/* Where the binaries keep and serve things in a container. The one place that knows. */}}
{{- define "tributary.adminPorts" -}}
{ingest: 9101, transform: 9102, deliver: 9103}
{{- end -}}
{{- define "tributary.webhookPort" -}}8080{{- end -}}

{{/* The configuration of all three binaries: what the operator says, and what the chart decides. */}}
{{- define "tributary.configuration" -}}
{{- $ports := include "tributary.adminPorts" . | fromYaml -}}
{{- $host := .Values.listenAddress -}}
{{- $decided := dict
  "ingest" (dict
    "listen" (printf "%s:%s" $host (include "tributary.webhookPort" .))
    "admin" (printf "%s:%v" $host $ports.ingest))
  "transform" (dict "admin" (printf "%s:%v" $host $ports.transform) "state_dir" "/state")
  "deliver" (dict "admin" (printf "%s:%v" $host $ports.deliver)) -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $decided) -}}
{{- end -}}

{{- define "tributary.prefix" -}}
{{- dig "topic_prefix" "" .Values.config.kafka -}}
{{- end -}}

{{- define "tributary.partitions" -}}
{{- dig "partitions" 12 .Values.config.kafka | int -}}
{{- end -}}

{{/* Whole seconds of a duration of the configuration, rounded up. */}}
{{- define "tributary.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a size of the configuration. */}}
{{- define "tributary.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- mul $number (get (dict "B" 1 "KiB" 1024 "MiB" 1048576 "GiB" 1073741824) (regexFind "[A-Za-z]+$" .)) -}}
{{- end -}}

{{/* How long Kubernetes waits after it asked a pod to end: what passes before it is asked, what the binary may take by
     its own configuration, and what it takes to give up on a Kafka that does not answer (40 s were seen). Takes root and
     component. */}}
{{- define "tributary.gracePeriod" -}}
{{- $values := index .root.Values .component -}}
{{- if kindIs "invalid" $values.terminationGracePeriodSeconds -}}
{{- $config := index .root.Values.config .component | default dict -}}
{{- $drain := ternary "10s" ($config.drain | default "10s") (eq .component "transform") -}}
{{- $givingUp := get (dict "ingest" 20 "transform" 50 "deliver" 50) .component -}}
{{- add $values.preStopSeconds (include "tributary.seconds" $drain) $givingUp -}}
{{- else -}}
{{- $values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
