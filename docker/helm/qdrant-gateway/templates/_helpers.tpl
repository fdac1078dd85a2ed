{{- define "gateway.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "gateway.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{- .Values.tls.existingSecret -}}
{{- else -}}
{{- printf "%s-tls" (include "gateway.fullname" .) -}}
{{- end -}}
{{- end }}

{{/* Values that cannot be used together, said before anything is made. */}}
{{- define "gateway.check" -}}
{{- $upstream := .Values.upstream -}}
{{- if and (not $upstream.restUrl) (not $upstream.discovery.dns) -}}
{{- fail "upstream.restUrl (with upstream.grpcUrl) or upstream.discovery.dns has to name Qdrant" -}}
{{- end -}}
{{- if and $upstream.restUrl $upstream.discovery.dns -}}
{{- fail "upstream.restUrl and upstream.discovery.dns exclude each other" -}}
{{- end -}}
{{- if and $upstream.restUrl (not $upstream.grpcUrl) -}}
{{- fail "upstream.grpcUrl has to be set beside upstream.restUrl" -}}
{{- end -}}
{{- if not .Values.keys.existingSecret -}}
{{- fail "keys.existingSecret has to name the Secret with `api-key`: kubectl create secret generic qdrant-keys --from-literal=api-key=\"$(openssl rand -base64 36)\"" -}}
{{- end -}}
{{- $acme := .Values.tls.acme -}}
{{- if and .Values.tls.enabled (not .Values.tls.existingSecret) (not .Values.tls.certManager.enabled) (not $acme.domains) -}}
{{- fail "tls.existingSecret, tls.certManager.enabled or tls.acme.domains has to give a certificate; tls.enabled: false serves cleartext" -}}
{{- end -}}
{{- if and $acme.domains (or .Values.tls.existingSecret .Values.tls.certManager.enabled (not .Values.tls.enabled)) -}}
{{- fail "tls.acme.domains excludes tls.existingSecret and tls.certManager.enabled, and needs tls.enabled" -}}
{{- end -}}
{{- if and $acme.domains (not $acme.agreeTos) -}}
{{- fail "tls.acme.agreeTos: true has to agree to the terms of service of the certificate authority" -}}
{{- end -}}
{{- if and $acme.domains (not $acme.existingClaim) (not (and $acme.existingSecret .Values.redis.existingSecret)) -}}
{{- fail "tls.acme needs a place that outlives the pods: existingClaim, or existingSecret with redis.existingSecret" -}}
{{- end -}}
{{- if and $acme.domains (eq $acme.challenge "tls-alpn-01") .Values.networkPolicy.enabled .Values.networkPolicy.clients -}}
{{- fail "networkPolicy.clients keeps the certificate authority from the REST port: use tls.acme.challenge: http-01" -}}
{{- end -}}
{{- if and .Values.state.existingClaim (or .Values.autoscaling.enabled (ne (int .Values.replicas) 1)) -}}
{{- fail "state.existingClaim is for one gateway: set replicas: 1, or let audit files go to syslog, OpenTelemetry or standard output" -}}
{{- end -}}
{{- if and .Values.tls.existingSecret .Values.tls.certManager.enabled -}}
{{- fail "tls.existingSecret and tls.certManager.enabled exclude each other" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (or (not .Values.tls.certManager.issuerRef.name) (not .Values.tls.certManager.dnsNames)) -}}
{{- fail "tls.certManager needs issuerRef.name and dnsNames" -}}
{{- end -}}
{{- if and (or .Values.redis.sharedKeys .Values.redis.sharedLimits) (not .Values.redis.existingSecret) -}}
{{- fail "redis.sharedKeys and redis.sharedLimits need redis.existingSecret" -}}
{{- end -}}
{{- $given := .Values.config -}}
{{- range $path := list "service.host" "service.http_port" "service.grpc_port" "service.api_key" "service.api_key_file" "service.read_only_api_key" "service.read_only_api_key_file" "service.enable_tls" "tls.cert" "tls.key" "gateway.upstream" "gateway.admin" "gateway.policy_file" "gateway.drain_delay_ms" "gateway.shutdown_grace_ms" "gateway.shared" "gateway.revocation.redis_url" "gateway.acme" "gateway.certs" -}}
{{- $at := $given -}}
{{- $there := true -}}
{{- range $key := splitList "." $path -}}
{{- if and $there (kindIs "map" $at) (hasKey $at $key) -}}
{{- $at = index $at $key -}}
{{- else -}}
{{- $there = false -}}
{{- end -}}
{{- end -}}
{{- if $there -}}
{{- fail (printf "config.%s is set by other values of this chart" $path) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The configuration file: what the values say, then `config`. */}}
{{- define "gateway.config" -}}
{{- $service := dict "host" "0.0.0.0" "http_port" 6333 "grpc_port" 6334 "enable_tls" .Values.tls.enabled "api_key_file" "/run/keys/api-key" -}}
{{- if .Values.keys.readOnly -}}
{{- $_ := set $service "read_only_api_key_file" "/run/keys/read-only-api-key" -}}
{{- end -}}
{{- $upstream := dict -}}
{{- if .Values.upstream.discovery.dns -}}
{{- $_ := set $upstream "discovery" (dict "dns" .Values.upstream.discovery.dns "rest_port" (int .Values.upstream.discovery.restPort) "grpc_port" (int .Values.upstream.discovery.grpcPort)) -}}
{{- else -}}
{{- $_ := set $upstream "rest_url" .Values.upstream.restUrl -}}
{{- $_ := set $upstream "grpc_url" .Values.upstream.grpcUrl -}}
{{- end -}}
{{- if .Values.upstream.existingSecret -}}
{{- $_ := set $upstream "api_key_file" "/run/upstream/api-key" -}}
{{- end -}}
{{- $admin := dict "port" (int .Values.admin.port) "host" "0.0.0.0" -}}
{{- if .Values.admin.existingSecret -}}
{{- $_ := set $admin "token_file" "/run/admin/token" -}}
{{- end -}}
{{- $gateway := dict "upstream" $upstream "admin" $admin "drain_delay_ms" (mul 1000 (int .Values.drainSeconds)) "shutdown_grace_ms" (mul 1000 (int .Values.graceSeconds)) -}}
{{- if .Values.policy -}}
{{- $_ := set $gateway "policy_file" "/etc/qdrant-gateway/policy.yaml" -}}
{{- end -}}
{{- if .Values.redis.existingSecret -}}
{{- $_ := set $gateway "shared" (dict "keys" .Values.redis.sharedKeys "limits" .Values.redis.sharedLimits) -}}
{{- end -}}
{{- $acme := .Values.tls.acme -}}
{{- if $acme.domains -}}
{{- $ordered := dict "domains" $acme.domains "agree_tos" $acme.agreeTos "staging" $acme.staging "challenge" $acme.challenge "folder" "/var/lib/acme" -}}
{{- with $acme.email -}}{{- $_ := set $ordered "email" . -}}{{- end -}}
{{- with $acme.directory -}}{{- $_ := set $ordered "directory" . -}}{{- end -}}
{{- if not $acme.existingClaim -}}
{{- $_ := set $ordered "shared_secret_file" "/run/acme/shared-secret" -}}
{{- $_ := set $gateway.shared "certificates" true -}}
{{- end -}}
{{- $_ := set $gateway "acme" $ordered -}}
{{- end -}}
{{- $own := dict "service" $service "gateway" $gateway -}}
{{- if and .Values.tls.enabled (not $acme.domains) -}}
{{- $_ := set $own "tls" (dict "cert" "/run/tls/tls.crt" "key" "/run/tls/tls.key") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end }}
