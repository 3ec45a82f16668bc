/** FRR: for vtysh, or a part of frr.conf. BFD needs its daemon bfdd. */

import type { SwitchNeighbor, SwitchSide } from '../switch-side.ts';
import { heading, roleWords, staleSeconds, upperName } from '../words.ts';
import { listEntries, listNames, listWord } from './cisco-like.ts';

export function frr(side: SwitchSide): readonly string[] {
  const group = upperName(side);
  return [
    ...heading(side, '!'),
    ...side.families.flatMap((family) => {
      const names = listNames(side, family);
      const entries = listEntries(side, family);
      const list = (name: string) => `${listWord[family]} prefix-list ${name}`;
      return [
        '!',
        ...entries.inbound.map((entry) => `${list(names.inbound)} ${entry}`),
        ...entries.outbound.map((entry) => `${list(names.outbound)} ${entry}`),
      ];
    }),
    '!',
    // From 7.4 on, an eBGP session without a route map tells nothing; a prefix list counts as one.
    `router bgp ${side.asNumber}`,
    ' no bgp default ipv4-unicast',
    ...(side.restartTimeSeconds === 0
      ? []
      : [` bgp graceful-restart stalepath-time ${side.restartTimeSeconds + staleSeconds}`]),
    ...(side.longLivedStaleSeconds === 0
      ? []
      : [` bgp long-lived-graceful-restart stale-time ${side.longLivedStaleSeconds}`]),
    ` neighbor ${group} peer-group`,
    ` neighbor ${group} timers ${side.keepaliveSeconds} ${side.holdTimeSeconds}`,
    ...reach(side).map((words) => ` neighbor ${group} ${words}`),
    ...bfd(side, group),
    ...side.neighbors.flatMap((neighbor) => neighborLines(side, group, neighbor)),
    ...side.families.flatMap((family) => {
      const names = listNames(side, family);
      return [
        ' !',
        ` address-family ${family} unicast`,
        `  neighbor ${group} prefix-list ${names.inbound} in`,
        `  neighbor ${group} prefix-list ${names.outbound} out`,
        ...side.neighbors.flatMap(({ address, maximumPrefixes, reflectorClient }) => [
          `  neighbor ${address} activate`,
          `  neighbor ${address} maximum-prefix ${maximumPrefixes[family]} restart 5`,
          ...(reflectorClient ? [`  neighbor ${address} route-reflector-client`] : []),
        ]),
        ' exit-address-family',
      ];
    }),
    '!',
  ];
}

function reach({ ttlSecurityHops: hops, multihop, address, external }: SwitchSide): string[] {
  // To an iBGP peer FRR sends with a hop limit of 255 anyway, and refuses the command.
  const ttlSecurityHops = external ? hops : undefined;
  const far = (ttlSecurityHops ?? multihop ?? 1) > 1;
  return [
    ...(ttlSecurityHops !== undefined
      ? [`ttl-security hops ${ttlSecurityHops}`]
      : far
        ? [`ebgp-multihop ${multihop}`]
        : []),
    ...(far && address !== undefined ? [`update-source ${address}`] : []),
  ];
}

function bfd({ bfd: wanted, external }: SwitchSide, group: string): string[] {
  if (wanted === undefined) return [];
  const [receive, transmit] = [wanted.minimumReceiveMilliseconds, wanted.minimumTransmitMilliseconds].map((time) =>
    Math.max(leastBfdMilliseconds, time),
  );
  return [
    ...(wanted.multihop && !external
      ? ['! BFD with an iBGP peer on its own link is single hop to FRR: say bfd.multihop false in the BGPPeer there.']
      : []),
    ` neighbor ${group} bfd ${wanted.detectMultiplier} ${receive} ${transmit}`,
  ];
}

/** FRR takes no less. */
const leastBfdMilliseconds = 50;

function neighborLines(
  side: SwitchSide,
  group: string,
  { address, asNumber, nodeName, port }: SwitchNeighbor,
): string[] {
  return [
    ` neighbor ${address} remote-as ${asNumber}`,
    ` neighbor ${address} peer-group ${group}`,
    ` neighbor ${address} description node ${nodeName}`,
    ...(port === 179 ? [] : [` neighbor ${address} port ${port}`]),
    ...(side.role === undefined ? [] : [` neighbor ${address} local-role ${roleWords[side.role].replace('_', '-')}`]),
    // Said to the group, it does not reach its members (seen with 8.4).
    ` neighbor ${address} ${side.restartTimeSeconds + side.longLivedStaleSeconds === 0 ? 'graceful-restart-disable' : 'graceful-restart-helper'}`,
  ];
}
