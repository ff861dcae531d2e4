{{/* What a container of a component is given beside its configuration file. Takes root, component (whose container it
     is) and user (who it is at Kafka). */}}
{{- define "tributary.environment" -}}
{{- include "tributary.kafkaEnvironment" (dict "root" .root "component" .user) }}
{{- if eq .component "transform" }}
# The transactional ids and the names in the group follow the pod, also when its volume is lost.
- name: TRIBUTARY__TRANSFORM__INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- /* Server-side apply takes no variable twice. */ -}}
{{- $own := (index .root.Values .component).env -}}
{{- $names := list -}}
{{- range $own }}{{ $names = append $names .name }}{{ end -}}
{{- range .root.Values.env }}
{{- if not (has .name $names) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- range $own }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{/* One container that runs a binary with the configuration. Takes root, component, user, name and command; run gets
     ports and probes. */}}
{{- define "tributary.container" -}}
{{- $values := index .root.Values .component -}}
{{- $port := get (include "tributary.adminPorts" .root | fromYaml) .component | int -}}
name: {{ .name }}
image: {{ include "tributary.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .command }}, --config, /etc/tributary/tributary.yaml]
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- with include "tributary.environment" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- with concat .root.Values.envFrom $values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq .command "run" }}
ports:
  {{- if eq .component "ingest" }}
  - name: http
    containerPort: {{ include "tributary.webhookPort" . }}
  {{- end }}
  - name: admin
    containerPort: {{ $port }}
{{- range $probe, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
{{ $probe }}Probe:
  httpGet:
    path: {{ $path }}
    port: admin
  {{- toYaml (index $values.probes $probe) | nindent 2 }}
{{- end }}
{{- if $values.preStopSeconds }}
lifecycle:
  preStop:
    # Until every load balancer knows that this pod is leaving.
    sleep:
      seconds: {{ $values.preStopSeconds }}
{{- end }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
{{- else }}
resources:
  {{- toYaml .root.Values.setup.resources | nindent 2 }}
{{- end }}
volumeMounts:
  - name: configuration
    mountPath: /etc/tributary
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- if and (eq .component "transform") (eq .command "run") }}
  - name: state
    mountPath: /state
  {{- end }}
  {{- if and .root.Values.kafka.tls.enabled (include "tributary.kafkaAuthority" .root) }}
  - name: kafka-authority
    mountPath: /kafka/authority
    readOnly: true
  {{- end }}
  {{- if eq .root.Values.kafka.authentication.mechanism "TLS" }}
  - name: kafka-{{ .user }}
    mountPath: /kafka/user
    readOnly: true
  {{- end }}
  {{- range $values.existingSecrets }}
  - name: secret-{{ . }}
    mountPath: /secrets/{{ . }}
    readOnly: true
  {{- end }}
  {{- if and (eq .component "deliver") $values.handlers }}
  - name: handlers
    mountPath: /handlers
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What the containers of a pod mount. Takes root, components (whose containers run in it), users and configuration
     (a ConfigMap, whose name that of the handlers begins with). */}}
{{- define "tributary.volumes" -}}
{{- $root := .root -}}
- name: configuration
  configMap:
    name: {{ .configuration }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with include "tributary.kafkaAuthority" $root }}
{{- if $root.Values.kafka.tls.enabled }}
- name: kafka-authority
  secret:
    secretName: {{ . }}
    items:
      - key: {{ $root.Values.kafka.tls.caKey }}
        path: {{ $root.Values.kafka.tls.caKey }}
{{- end }}
{{- end }}
{{- if eq $root.Values.kafka.authentication.mechanism "TLS" }}
{{- range .users }}
{{- $user := include "tributary.kafkaUser" (dict "root" $root "component" .) | fromYaml }}
- name: kafka-{{ . }}
  secret:
    secretName: {{ required (printf "%s.kafka.existingSecret is needed for kafka.authentication" .) $user.secret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- $secrets := list }}
{{- range .components }}
{{- $secrets = concat $secrets (index $root.Values .).existingSecrets }}
{{- end }}
{{- range $secrets | uniq }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    # For the group of the pod alone.
    defaultMode: 0440
{{- end }}
{{- if and (has "deliver" .components) $root.Values.deliver.handlers }}
- name: handlers
  configMap:
    name: {{ .configuration }}-handlers
{{- end }}
{{- range .components }}
{{- with (index $root.Values .).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every pod of ours has. Takes root. */}}
{{- define "tributary.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with concat .root.Values.global.imagePullSecrets .root.Values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* The same pods in no two places as far as that can be had. Takes root and component. */}}
{{- define "tributary.spread" -}}
{{- $values := index .root.Values .component -}}
{{- $default := list
  (dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway")
  (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "tributary.selectorLabels" . | fromYaml)) -}}
{{- /* Pods of the version that is leaving do not count; a StatefulSet has no such label. */ -}}
{{- if ne .component "transform" -}}
{{- $selector = set $selector "matchLabelKeys" (list "pod-template-hash") -}}
{{- end -}}
{{- $constraints := list -}}
{{- range ternary $default $values.topologySpreadConstraints (kindIs "invalid" $values.topologySpreadConstraints) -}}
{{- $constraints = append $constraints (merge (deepCopy .) (deepCopy $selector)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/* The pod template of a component. Takes root and component. */}}
{{- define "tributary.podTemplate" -}}
{{- $values := index .root.Values .component -}}
{{- $fullname := include "tributary.fullname" .root -}}
metadata:
  labels:
    {{- include "tributary.labels" (merge (dict "labels" $values.podLabels) .) | nindent 4 }}
  annotations:
    # Another configuration is another pod.
    checksum/config: {{ include "tributary.configuration" .root | sha256sum }}
    {{- if and (eq .component "deliver") $values.handlers }}
    checksum/handlers: {{ toYaml $values.handlers | sha256sum }}
    {{- end }}
    {{- with merge (dict) $values.podAnnotations .root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "tributary.podBasics" . | nindent 2 }}
  serviceAccountName: {{ include "tributary.serviceAccountName" .root }}
  terminationGracePeriodSeconds: {{ include "tributary.gracePeriod" . }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "tributary.spread" . | fromYamlArray }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "tributary.container" (merge (dict "name" .component "user" .component "command" "run") .) | nindent 6 | trim }}
  volumes:
    {{- include "tributary.volumes" (dict "root" .root "components" (list .component) "users" (list .component) "configuration" $fullname) | nindent 4 }}
    {{- if and (eq .component "transform") (not $values.persistence.enabled) }}
    - name: state
      emptyDir:
        sizeLimit: {{ $values.persistence.size }}
    {{- end }}
{{- end -}}

{{/* How many pods, unless something else decides that. Takes root and component, and autoscaled. */}}
{{- define "tributary.replicas" -}}
{{- if not .autoscaled -}}
{{- $count := (index .root.Values .component).replicaCount -}}
replicas: {{ ternary 2 $count (kindIs "invalid" $count) }}
{{- end -}}
{{- end -}}
