/** The dataplane's door: the only file that `src/` imports from here. */

export type * from './types.ts';
export type { Clock } from './clock.ts';
export { removeAll } from './cleanup.ts';
export { countDaemonRoutes } from './daemon-routes.ts';
export { HostRoutes } from './host-routes.ts';
export { LinkMonitor } from './links.ts';
export { LinkRouters } from './link-routers.ts';
export { KernelError } from './netlink/kernel-error.ts';
export { Rtnetlink } from './netlink/rtnetlink.ts';
export { RouteTable } from './route-table.ts';
export { PodNetwork } from './pods/pod-network.ts';
export { podGateway, podRoutes, type PodLink } from './pods/pod-link.ts';
export { peerUser } from './netlink/sys.ts';
export { Sysctl, type ChangedSysctl } from './sysctl.ts';
export { TunnelDevices } from './tunnels.ts';
export {
  emptyRuleset,
  nftComment,
  plainElement,
  sourceNatPriority,
  type KeyType,
  type NftChain,
  type NftElement,
  type NftField,
  type NftMatch,
  type NftRule,
  type NftSet,
  type Ruleset,
} from './nft/ruleset.ts';
export { NftSocket, type NftKernel } from './nft/kernel.ts';
export { NftTable } from './nft/table.ts';
export { NftError, NftMissing } from './nft/nft-error.ts';
export { installSourceGuard, removeSourceGuard } from './nft/source-guard.ts';
export type { NftCount, NftCounters } from './nft/counters.ts';
