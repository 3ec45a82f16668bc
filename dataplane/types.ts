/**
 * What the kernel shall hold, and what it was found to hold. Values only; knows nothing of BGP or Kubernetes.
 * Addresses and prefixes are canonical text (bgp/ip.ts).
 */

export interface KernelRoute {
  readonly prefix: string;
  readonly nextHops: readonly KernelNextHop[];
  /** Preferred source of the host's own packets. */
  readonly preferredSource?: string;
  /** 1..4294967295; our own unless told. Another metric makes another route to the kernel. */
  readonly metric?: number;
  /** unicast, or a local blackhole (the node's own block, against loops). */
  readonly kind: 'unicast' | 'blackhole';
}

export interface KernelNextHop {
  /** Absent: the link itself (onLink routes of pods). */
  readonly gateway?: string;
  /** Interface name; absent: the kernel resolves the gateway. */
  readonly interfaceName?: string;
  /** RTNH_F_ONLINK: the gateway is taken to be on the link, as with tunnels. */
  readonly onLink?: boolean;
  /** 1..256: its part of the traffic among several next hops; 1 unless told. */
  readonly weight?: number;
}

/** A route that could not be programmed, with the kernel's own words. It stays pending and is retried. */
export interface RouteFailure {
  readonly prefix: string;
  readonly errno: string;
  readonly message: string;
  readonly since: number;
}

/** A tunnel device of ours; `local` is the node's address. */
export type Tunnel =
  | {
      readonly kind: 'ipip';
      readonly name: string;
      readonly local: string;
      readonly mtu: number;
      readonly addresses: readonly string[];
    }
  | {
      readonly kind: 'vxlan';
      readonly name: string;
      readonly local: string;
      readonly vni: number;
      readonly port: number;
      readonly mtu: number;
      /** Our own VTEP's MAC: `02:…`. */
      readonly mac: string;
      /** CIDRs of the node on the device (`10.244.1.0/32`). */
      readonly addresses: readonly string[];
      /** Static FDB and neighbour entries: no flooding, no learning. */
      readonly peers: readonly VxlanPeer[];
    };

export interface VxlanPeer {
  /** The remote node's address: where the outer packet goes. */
  readonly remote: string;
  readonly mac: string;
  /** Addresses the neighbour table answers with `mac` on the device: the tunnel gateways of the routes. */
  readonly gateways: readonly string[];
}

/** A tunnel device, or a part of it, that could not be made as told. It is retried. */
export interface TunnelFailure {
  readonly name: string;
  readonly errno: string;
  readonly message: string;
  readonly since: number;
}

/** Whether this kernel can make such a device; `reason` has the kernel's words where it cannot. */
export interface TunnelSupport {
  readonly supported: boolean;
  readonly reason?: string;
}

/** How the kernel reaches an address without the help of any routing daemon: by connected and static routes alone. */
export interface ResolvedNextHop {
  readonly interfaceName: string;
  /** Absent: the address lies on the link itself. */
  readonly gateway?: string;
  /** The address lies on a directly connected subnet (what `CrossSubnet` asks). */
  readonly connected: boolean;
}

/** An interface with its addresses, as the kernel tells. */
export interface LinkStatus {
  readonly index: number;
  readonly name: string;
  /** Administratively up, and with a carrier. */
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly kind: string | undefined;
  /** CIDRs: `10.1.1.11/24`. */
  readonly addresses: readonly string[];
}
