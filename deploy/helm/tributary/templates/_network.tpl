{{/* Where names are resolved. */}}
{{- define "tributary.egressToNames" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsPeers | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* One port at the peers that were named. Where none were, it is anywhere but where clouds give out credentials; at the
     port of HTTPS nothing that is private either, so that this rule does not undo the one for destinations. Takes root,
     port and peers. */}}
{{- define "tributary.egressToPort" -}}
{{- if and (not .peers) (eq (int .port) 443) -}}
{{- include "tributary.egressToDestinations" .root }}
{{- else -}}
- ports:
    - {port: {{ .port }}, protocol: TCP}
  to:
    {{- if .peers }}
    {{- toYaml .peers | nindent 4 }}
    {{- else }}
    - namespaceSelector: {}
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [100.100.100.200/32, 169.254.0.0/16, 192.0.0.0/24]
    # Of IPv6 what is routed: the internet, private networks, and what translators make of IPv4.
    - ipBlock:
        cidr: 2000::/3
    - ipBlock:
        cidr: fc00::/7
        except: ["fd00:ec2::/32"]
    - ipBlock:
        cidr: 64:ff9b::/32
        except: ["64:ff9b::a9fe:0/112"]
    {{- end }}
{{- end -}}
{{- end -}}

{{/* The brokers. */}}
{{- define "tributary.egressToKafka" -}}
{{- $root := . -}}
{{- $peers := .Values.networkPolicy.kafkaPeers -}}
{{- if and (not $peers) .Values.strimzi.cluster -}}
{{- $peers = list (dict
  "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" (.Values.strimzi.namespace | default .Release.Namespace)))
  "podSelector" (dict "matchLabels" (dict "strimzi.io/cluster" .Values.strimzi.cluster))) -}}
{{- end -}}
{{- range concat (include "tributary.kafkaPorts" . | fromYamlArray) .Values.networkPolicy.kafkaPorts | uniq }}
{{ include "tributary.egressToPort" (dict "root" $root "port" (int .) "peers" $peers) }}
{{- end }}
{{- end -}}

{{/* The schema registry, if there is one. An address that comes from a variable says no port. */}}
{{- define "tributary.egressToRegistry" -}}
{{- with dig "schema_registry" "url" "" .Values.config }}
{{- $usual := ternary 80 443 (hasPrefix "http://" .) }}
{{- $said := regexFind ":[0-9]+(/|$)" . | regexFind "[0-9]+" | default $usual }}
{{- $port := $.Values.networkPolicy.schemaRegistryPort | default $said | int }}
{{ include "tributary.egressToPort" (dict "root" $ "port" $port "peers" $.Values.networkPolicy.schemaRegistryPeers) }}
{{- end }}
{{- end -}}

{{/* The destinations: HTTPS to the public internet and nowhere else, so that nobody who can say where a webhook goes
     reaches what is inside, least of all the addresses at which clouds give out credentials. */}}
{{- define "tributary.egressToDestinations" -}}
- ports:
    - {port: 443, protocol: TCP}
  to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
          - 0.0.0.0/8        # this network
          - 10.0.0.0/8       # private
          - 100.64.0.0/10    # shared by carriers; also metadata of some clouds
          - 127.0.0.0/8      # loopback
          - 169.254.0.0/16   # link-local, metadata
          - 172.16.0.0/12    # private
          - 192.0.0.0/24     # protocol assignments, metadata of some clouds
          - 192.168.0.0/16   # private
          - 198.18.0.0/15    # benchmarks
          - 224.0.0.0/4      # multicast
          - 240.0.0.0/4      # reserved
    # The public part of IPv6, and what a translator makes of the public part of IPv4. An API server takes no policy
    # that names IPv4-mapped addresses; they are outside of both.
    - ipBlock:
        cidr: 2000::/3
    - ipBlock:
        cidr: 64:ff9b::/96
        except:
          - 64:ff9b::/104
          - 64:ff9b::a00:0/104
          - 64:ff9b::6440:0/106
          - 64:ff9b::7f00:0/104
          - 64:ff9b::a9fe:0/112
          - 64:ff9b::ac10:0/108
          - 64:ff9b::c000:0/120
          - 64:ff9b::c0a8:0/112
{{- end -}}

{{/* Everything that whoever works with topics, registry and destinations may reach. */}}
{{- define "tributary.egressToEverything" -}}
{{ include "tributary.egressToNames" . }}
{{ include "tributary.egressToKafka" . }}
{{- include "tributary.egressToRegistry" . }}
{{ include "tributary.egressToDestinations" . }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- with .Values.deliver.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
