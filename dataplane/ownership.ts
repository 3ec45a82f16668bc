/**
 * What is ours in the kernel, and what is a routing daemon's: protocol numbers, metric, names.
 * Holds: nothing without one of these marks is ever changed or deleted by us.
 */

/**
 * Marks our routes, whatever their metric. It means nothing to the kernel, so it must be a number that nobody else marks with: not one of the kernel's
 * and iproute2's reserved (0–18, 42, 99, 186–192), not Calico's 80, nor FRR's further ones (193–199). 167 is
 * free in all of them, as seen in rtnetlink.h, /etc/iproute2/rt_protos, and the daemons' documentation.
 */
export const godwitProtocol = 167;

/**
 * The metric of our routes where nobody wants another, and of nobody else's: in the kernel a route's key is prefix and metric, so with a metric of our own a
 * stranger's route is never overwritten. It is above 1024, IPv6's default: an administrator's static route wins over ours in
 * both families.
 */
export const godwitMetric = 1670;

/** Marks the host's routes to its own pods; apart from godwitProtocol, whose sweeps they must outlive. Free where 167 is. */
export const podRouteProtocol = 168;

/** IFLA_GROUP of the host's ends of pods' links: lets a filter name them all. */
export const podLinkGroup = 26487;

/** The names of our tunnel devices begin so. */
export const devicePrefix = 'godwit-';

/** Protocol numbers of routing daemons: what they installed may itself rest on what we resolve, so it never resolves a next hop. */
export const routingDaemons: ReadonlyMap<number, string> = new Map([
  [godwitProtocol, 'godwit'],
  [8, 'gated'],
  [10, 'mrt'],
  [11, 'zebra'],
  [12, 'bird'],
  [14, 'xorp'],
  [17, 'kube-router and mrouted'],
  [42, 'babel'],
  [80, 'calico'],
  [99, 'openr'],
  [186, 'bgp'],
  [187, 'isis'],
  [188, 'ospf'],
  [189, 'rip'],
  [190, 'ripng'],
  [191, 'nhrp'],
  [192, 'eigrp'],
  [197, 'openfabric'],
]);

/** The host's end of a pod's link: `gw` and 13 hexadecimal digits. */
export function isPodLink(link: { readonly name: string; readonly kind: string | undefined }): boolean {
  return link.kind === 'veth' && /^gw[0-9a-f]{13}$/.test(link.name);
}

/** A device with our name but of a kind that we never make is somebody else's. */
export function isOurDevice(link: { readonly name: string; readonly kind: string | undefined }): boolean {
  return link.name.startsWith(devicePrefix) && (link.kind === 'ipip' || link.kind === 'vxlan');
}
