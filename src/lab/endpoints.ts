/** Who talks to whom in the checks: the pods and the outside hosts, each with its addresses. */

import type { LabTopology } from './topology.ts';

export type IpFamily = 'ipv4' | 'ipv6';
export const families: readonly IpFamily[] = ['ipv4', 'ipv6'];

export interface Endpoint {
  /** The machine's name: `shop/web-1`, `outside-1`. */
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly segment: string;
  /** Undefined for an outside host. */
  readonly node: string | undefined;
}

/** One direction between two endpoints in one family. */
export interface Flow {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly family: IpFamily;
}

export function endpointsOf(topology: LabTopology): Endpoint[] {
  return [...topology.pods, ...topology.hosts.map((host) => ({ ...host, node: undefined }))];
}

/** Every ordered pair, in both families. */
export function flowsBetween(endpoints: readonly Endpoint[]): Flow[] {
  return endpoints.flatMap((from) =>
    endpoints.filter((to) => to !== from).flatMap((to) => families.map((family) => ({ from, to, family }))),
  );
}

export function flowText({ from, to, family }: Flow): string {
  return `${from.name} → ${to.name} (${to[family]})`;
}
