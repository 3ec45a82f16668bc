/** Cisco NX-OS. */

import type { Family } from '../../../bgp/ip.ts';
import type { SwitchNeighbor, SwitchSide } from '../switch-side.ts';
import { heading, staleSeconds } from '../words.ts';
import { listEntries, listNames, listWord } from './cisco-like.ts';

export function nxos(side: SwitchSide): readonly string[] {
  const ports = side.neighbors.filter(({ port }) => port !== 179);
  return [
    ...heading(side, '!'),
    ...(ports.length === 0
      ? []
      : ['! NX-OS connects to port 179 only: nodes with another listenPort must connect themselves.']),
    'feature bgp',
    ...bfd(side),
    ...side.families.flatMap((family) => {
      const names = listNames(side, family);
      const entries = listEntries(side, family);
      return (['inbound', 'outbound'] as const).flatMap((direction) =>
        entries[direction].map((entry) => `${listWord[family]} prefix-list ${names[direction]} ${entry}`),
      );
    }),
    '!',
    `router bgp ${side.asNumber}`,
    ...(side.restartTimeSeconds === 0
      ? []
      : ['  graceful-restart', `  graceful-restart stalepath-time ${side.restartTimeSeconds + staleSeconds}`]),
    ...side.families.map((family) => `  address-family ${family} unicast`),
    ...side.neighbors.flatMap((neighbor) => neighborLines(side, neighbor)),
    '!',
  ];
}

/** The times are the whole switch's. */
function bfd({ bfd: wanted }: SwitchSide): string[] {
  if (wanted === undefined) return [];
  const { minimumTransmitMilliseconds: transmit, minimumReceiveMilliseconds: receive, detectMultiplier } = wanted;
  return ['feature bfd', `bfd interval ${transmit} min_rx ${receive} multiplier ${detectMultiplier}`];
}

function neighborLines(side: SwitchSide, neighbor: SwitchNeighbor): string[] {
  return [
    `  neighbor ${neighbor.address}`,
    `    remote-as ${neighbor.asNumber}`,
    `    description node ${neighbor.nodeName}`,
    `    timers ${side.keepaliveSeconds} ${side.holdTimeSeconds}`,
    ...reach(side).map((words) => `    ${words}`),
    ...(side.bfd === undefined ? [] : [side.bfd.multihop ? '    bfd multihop' : '    bfd']),
    ...side.families.flatMap((family) => familyLines(side, neighbor, family)),
  ];
}

function familyLines(side: SwitchSide, { maximumPrefixes, reflectorClient }: SwitchNeighbor, family: Family): string[] {
  const names = listNames(side, family);
  return [
    `    address-family ${family} unicast`,
    `      prefix-list ${names.inbound} in`,
    `      prefix-list ${names.outbound} out`,
    `      maximum-prefix ${maximumPrefixes[family]} restart 5`,
    ...(side.returnsToSameAs ? ['      disable-peer-as-check'] : []),
    ...(reflectorClient ? ['      route-reflector-client'] : []),
  ];
}

function reach({ ttlSecurityHops, multihop, address }: SwitchSide): string[] {
  const far = (ttlSecurityHops ?? multihop ?? 1) > 1;
  return [
    ...(ttlSecurityHops !== undefined
      ? [`ttl-security hops ${ttlSecurityHops}`]
      : far
        ? [`ebgp-multihop ${multihop}`]
        : []),
    ...(far && address !== undefined ? [`update-source INTERFACE-OF-${address}`] : []),
  ];
}
