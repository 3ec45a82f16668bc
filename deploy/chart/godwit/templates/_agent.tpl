{{/*
  A DaemonSet of agents. Argument: {root, component, settings: .Values.agent or what stands in its place, affinity}.
*/}}
{{- define "godwit.daemonSet" -}}
{{- $labels := dict "root" .root "component" .component -}}
{{- $settings := .settings -}}
{{- $cni := has "cni" $settings.roles -}}
{{- $kernel := or (has "routes" $settings.roles) (has "policy" $settings.roles) $cni -}}
{{- $cleanup := .root.Values.cleanup -}}
{{- $image := include "godwit.image" .root -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ include "godwit.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "godwit.labels" $labels | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "godwit.selectorLabels" $labels | nindent 6 }}
  {{- with $settings.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: {{ $cleanup | ternary "100%" $settings.maxUnavailable }}
  template:
    metadata:
      labels:
        {{- with $settings.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "godwit.selectorLabels" $labels | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ $cleanup | ternary "cleaned" "agent" }}
        {{- with $settings.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "godwit.fullname" .root }}-agent
      hostNetwork: true
      # Cluster DNS comes after the network.
      dnsPolicy: Default
      priorityClassName: {{ $settings.priorityClassName }}
      terminationGracePeriodSeconds: {{ $settings.terminationGracePeriodSeconds }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      nodeSelector:
        kubernetes.io/os: linux
        {{- with $settings.nodeSelector }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $settings.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        seccompProfile:
          type: RuntimeDefault
      {{- if $cleanup }}
      initContainers:
        - name: cleanup
          image: {{ $image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [cleanup]
          securityContext:
            {{- if $settings.privileged }}
            privileged: true
            {{- else }}
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
              add: [NET_ADMIN]
            {{- end }}
          volumeMounts:
            - name: state
              mountPath: /var/lib/godwit
            {{- if $cni }}
            - name: cni-bin
              mountPath: /opt/cni/bin
            - name: cni-conf
              mountPath: /etc/cni/net.d
            {{- end }}
      containers:
        # Runs where all is done, for `rollout status` to see. Not the agent's name: a server-side apply that takes fields away
        # from a container of the same name leaves their defaults, half a probe among them.
        - name: cleaned
          image: {{ $image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [sleep, infinity]
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
      {{- else }}
      {{- if $cni }}
      initContainers:
        # The plugin's executable only; the agent writes the network configuration when it is ready for pods.
        - name: install-cni
          image: {{ $image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [install-cni, --bin-dir, /opt/cni/bin]
          securityContext:
            {{- if $settings.privileged }}
            privileged: true
            {{- else }}
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
            {{- end }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          volumeMounts:
            - name: cni-bin
              mountPath: /opt/cni/bin
      {{- end }}
      containers:
        - name: agent
          image: {{ $image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - agent
            - --node=$(NODE_NAME)
            - --source=kube
            - --roles={{ join "," $settings.roles }}
            - --log-level={{ $settings.logLevel }}
            {{- with .root.Values.metrics.address }}
            - {{ printf "--metrics=%s" . | quote }}
            {{- end }}
            {{- if $cni }}
            - --cni-socket=/run/godwit/cni.sock
            - --cni-conf-dir=/etc/cni/net.d
            - --cni-bin-dir=/opt/cni/bin
            - --cni-chain={{ join "," .root.Values.cni.chain | default "none" }}
            - --cni-version={{ .root.Values.cni.version }}
            - --ipam={{ .root.Values.cni.ipam }}
            {{- end }}
            {{- if .root.Values.calico.sockets }}
            - --calico-sockets=/run/calico
            {{- end }}
            {{- range $settings.extraArgs }}
            - {{ . | quote }}
            {{- end }}
          env:
            {{- include "godwit.env" .root | nindent 12 }}
          {{- if .root.Values.metrics.address }}
          ports:
            - name: metrics
              containerPort: {{ include "godwit.metricsPort" .root }}
              hostPort: {{ include "godwit.metricsPort" .root }}
              protocol: TCP
          {{- end }}
          securityContext:
            {{- if $settings.privileged }}
            privileged: true
            {{- else }}
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
              add:
                # Port 179.
                - NET_BIND_SERVICE
                {{- if $kernel }}
                # Routes, devices, nftables; sockets bound to a device.
                - NET_ADMIN
                - NET_RAW
                {{- end }}
                {{- if $cni }}
                # To enter a pod's network namespace.
                - SYS_ADMIN
                {{- end }}
            {{- end }}
          {{- include "godwit.probes" .root | nindent 10 }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          volumeMounts:
            - name: run
              mountPath: /run/godwit
            - name: state
              mountPath: /var/lib/godwit
            {{- if .root.Values.calico.sockets }}
            - name: calico-sockets
              mountPath: /run/calico
            {{- end }}
            {{- if and $kernel (not $settings.privileged) }}
            - name: proc-sys-net
              mountPath: /host/proc/sys/net
            {{- end }}
            {{- if $cni }}
            - name: cni-conf
              mountPath: /etc/cni/net.d
            # Which plugins are there to be chained?
            - name: cni-bin
              mountPath: /opt/cni/bin
              readOnly: true
            - name: netns
              mountPath: /run/netns
              mountPropagation: HostToContainer
            {{- end }}
      {{- end }}
      volumes:
        - name: state
          hostPath:
            path: /var/lib/godwit
            type: DirectoryOrCreate
        {{- if not $cleanup }}
        - name: run
          hostPath:
            path: /run/godwit
            type: DirectoryOrCreate
        {{- end }}
        {{- if and .root.Values.calico.sockets (not $cleanup) }}
        - name: calico-sockets
          hostPath:
            path: {{ .root.Values.calico.sockets }}
            type: DirectoryOrCreate
        {{- end }}
        {{- if and $kernel (not $settings.privileged) (not $cleanup) }}
        # A container's own /proc/sys is read-only.
        - name: proc-sys-net
          hostPath:
            path: /proc/sys/net
            type: Directory
        {{- end }}
        {{- if $cni }}
        - name: cni-bin
          hostPath:
            path: {{ .root.Values.cni.binDir }}
            type: DirectoryOrCreate
        - name: cni-conf
          hostPath:
            path: {{ .root.Values.cni.confDir }}
            type: DirectoryOrCreate
        {{- end }}
        {{- if and $cni (not $cleanup) }}
        # Pods that start after the agent appear here too.
        - name: netns
          hostPath:
            path: /run/netns
            type: DirectoryOrCreate
        {{- end }}
{{- end }}
