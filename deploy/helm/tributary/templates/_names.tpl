{{/* The chart's name, as a label. */}}
{{- define "tributary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of all objects begin with. Forty letters leave room for the component and for the hash that
     Kubernetes adds to the label of a StatefulSet's pods. */}}
{{- define "tributary.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "tributary.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tributary.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes during an object's life: selectors are immutable. Takes root and component. */}}
{{- define "tributary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tributary.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object, each once: what selects wins, then what is said of this object alone, then what is said of
     all. Takes root, component, and labels. */}}
{{- define "tributary.labels" -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "tributary"
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml (merge (include "tributary.selectorLabels" . | fromYaml) (.labels | default dict) .root.Values.commonLabels $chart) -}}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object. Takes root, component, name, and what is added: labels,
     annotations. */}}
{{- define "tributary.metadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "tributary.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The three that run. */}}
{{- define "tributary.components" -}}
[ingest, transform, deliver]
{{- end -}}

{{- define "tributary.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tributary.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Takes root and component. A digest says more than a tag. */}}
{{- define "tributary.image" -}}
{{- $shared := .root.Values.image -}}
{{- $own := (index .root.Values .component).image -}}
{{- $registry := .root.Values.global.imageRegistry | default $shared.registry -}}
{{- $repository := $own.repository | default (printf "%s/%s" $shared.repository .component) -}}
{{- $path := ternary $repository (printf "%s/%s" $registry $repository) (empty $registry) -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $path $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $path ($own.tag | default $shared.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
