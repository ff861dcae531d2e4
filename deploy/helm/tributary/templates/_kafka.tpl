{{/* Who a component is at Kafka: the Secret and the name in it. A user made by Strimzi brings a Secret of its own
     name. Takes root and component; gives secret and username. */}}
{{- define "tributary.kafkaUser" -}}
{{- $own := (index .root.Values .component).kafka -}}
{{- $made := ternary (printf "%s-%s" (include "tributary.fullname" .root) .component) "" .root.Values.strimzi.users.create -}}
{{- dict "secret" ($own.existingSecret | default $made) "username" ($own.username | default $made) | toYaml -}}
{{- end -}}

{{- define "tributary.kafkaAuthority" -}}
{{- $tls := .Values.kafka.tls -}}
{{- if $tls.existingSecret -}}
{{- $tls.existingSecret -}}
{{- else if .Values.strimzi.cluster -}}
{{- printf "%s-cluster-ca-cert" .Values.strimzi.cluster -}}
{{- end -}}
{{- end -}}

{{/* How a component reaches Kafka, as overrides of kafka.properties: names and files differ from component to
     component. Takes root and component. */}}
{{- define "tributary.kafkaEnvironment" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $mechanism := $kafka.authentication.mechanism -}}
{{- $sasl := and $mechanism (ne $mechanism "TLS") -}}
{{- $user := include "tributary.kafkaUser" . | fromYaml -}}
{{- if or $kafka.tls.enabled $sasl }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SECURITY_PROTOCOL
  value: {{ ternary (ternary "SASL_SSL" "SSL" (not (not $sasl))) "SASL_PLAINTEXT" $kafka.tls.enabled }}
{{- end }}
{{- if and $kafka.tls.enabled (include "tributary.kafkaAuthority" .root) }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SSL_CA_LOCATION
  value: /kafka/authority/{{ $kafka.tls.caKey }}
{{- end }}
{{- if eq $mechanism "TLS" }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SSL_CERTIFICATE_LOCATION
  value: /kafka/user/{{ $kafka.authentication.certificateKey }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SSL_KEY_LOCATION
  value: /kafka/user/{{ $kafka.authentication.privateKeyKey }}
{{- end }}
{{- if $sasl }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SASL_MECHANISM
  value: {{ $mechanism }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SASL_USERNAME
  {{- if $user.username }}
  value: {{ $user.username | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s.kafka.existingSecret is needed for kafka.authentication" .component) $user.secret }}
      key: {{ $kafka.authentication.usernameKey }}
  {{- end }}
- name: TRIBUTARY__KAFKA__PROPERTIES__SASL_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s.kafka.existingSecret is needed for kafka.authentication" .component) $user.secret }}
      key: {{ $kafka.authentication.passwordKey }}
{{- end }}
{{- end -}}

{{/* Ports of the brokers, as a list. */}}
{{- define "tributary.kafkaPorts" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.config.kafka.brokers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | default "9092" | int) -}}
{{- end -}}
{{- toYaml ($ports | uniq) -}}
{{- end -}}
