/** What a user may type, and the error for everything else. */

/** The command line is wrong: printed without a stack, exit code 2. The message names the flag or word and the reason. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const exitCodes = { ok: 0, refused: 1, usage: 2, noConnection: 3 } as const;

export const usageText = `godwit: BGP network controller for Kubernetes

  godwit agent --node NAME --source kube|dir:PATH [flags]    run the agent of one node
  godwit [-s SOCKET] show WHAT                               ask a running agent
  godwit [-s SOCKET] enable|disable|restart|reload WHICH     its BGP sessions
  godwit [-s SOCKET] configure [check]                       let it read the manifests now
  godwit lab up|status|check|shell NODE|down                 a cluster in network namespaces
  godwit doctor [-s SOCKET] [--json]                         what is wrong on this node, and what to do
  godwit tor-config --dialect DIALECT --peer NAME [FILE…]    the switch's side of a BGPPeer
  godwit migrate calico|kube-router [FILE…]                  their objects into ours
  godwit cleanup [--state DIR] [--restore-settings]          remove everything of Godwit's from this host
  godwit install-cni --bin-dir DIR [--from FILE]             copy the CNI plugin to where the runtime looks

Flags of agent:
  --node NAME           this node's name (default: the host name)
  --source dir:PATH     a folder of manifests, watched; or kube: a Kubernetes API server
  --kubeconfig FILE     how to reach it (default: $KUBECONFIG, else the pod's service account)
  --roles LIST          of bgp,routes,policy,cni (default: the first three)
  --socket PATH         control socket, BIRD's protocol (default /run/godwit/godwit.ctl)
  --api PATH            control socket, framed JSON (default: api.sock beside it)
  --calico-sockets DIR  BIRD 1's protocol at DIR/bird.ctl and DIR/bird6.ctl, for Calico's readers (default: nowhere)
  --state DIR           state that survives a restart (default /var/lib/godwit)
  --node-ip ADDRESS     the node's address, once a family (default: the Node's InternalIP)
  --log-level LEVEL     trace, debug, info, warn or error (default info)
  --cni-socket PATH     role cni: the plugin's socket (default /run/godwit/cni.sock)
  --cni-conf-dir DIR    role cni: where the runtime's network configuration goes (default /etc/cni/net.d; or none)
  --cni-chain LIST      role cni: plugins called after ours, of portmap,bandwidth,tuning (default portmap,bandwidth; or none)
  --cni-bin-dir DIR     role cni: those of the chain that are not in it are left out (default /opt/cni/bin; none: not looked at)
  --cni-version VERSION role cni: version of that configuration (default 1.0.0)
  --ipam node|pools     role cni: addresses of the Node's spec.podCIDRs (default), or of blocks of IPPools
  --metrics ADDR:PORT   answer /metrics, /livez and /readyz there (default: nowhere)

What show can tell:
  show status
  show protocols [all] [NAME | "PATTERN"]
  show route [all] [PREFIX | for ADDRESS | in PREFIX] [table master4|master6]
             [protocol NAME | import NAME | export NAME | noexport NAME | filtered] [primary]
             [where CONDITION [&& CONDITION]…] [count | stats]
  show policy [NAMESPACE/]POD
  show why PREFIX|ADDRESS
  show memory
  show bfd sessions
  show interfaces [summary]
  show symbols

Which sessions:
  enable|disable|restart NAME | "PATTERN" | all ["TEXT FOR THE PEERS"]
  reload [in|out] NAME | "PATTERN" | all

Flags of tor-config:
  --dialect DIALECT     bird, frr, eos, junos or nxos
  --peer NAME           the BGPPeer
  --source dir:PATH     a folder of manifests; else files, or '-' for what kubectl get -o yaml prints

Flags of show:
  -s, --socket SOCKET   the agent's control socket (default /run/godwit/godwit.ctl)
  --json                one JSON document, from the framed-JSON socket
  --api PATH            that socket (default: api.sock beside SOCKET)

Exit codes: 0 done; 1 the agent refused, doctor found a problem, migrate could not convert an object; 2 wrong command line;
3 no connection.
`;
