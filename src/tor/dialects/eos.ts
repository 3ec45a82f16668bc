/** Arista EOS. */

import type { SwitchSide } from '../switch-side.ts';
import { heading, staleSeconds, upperName } from '../words.ts';
import { listEntries, listNames, listWord } from './cisco-like.ts';

export function eos(side: SwitchSide): readonly string[] {
  const group = upperName(side);
  const ports = side.neighbors.filter(({ port }) => port !== 179);
  return [
    ...heading(side, '!'),
    ...(ports.length === 0
      ? []
      : ['! EOS connects to port 179 only: nodes with another listenPort must connect themselves.']),
    ...side.families.flatMap((family) => {
      const names = listNames(side, family);
      const entries = listEntries(side, family);
      return (['inbound', 'outbound'] as const).flatMap((direction) => [
        '!',
        `${listWord[family]} prefix-list ${names[direction]}`,
        ...entries[direction].map((entry) => `   ${entry}`),
      ]);
    }),
    '!',
    `router bgp ${side.asNumber}`,
    ...(side.restartTimeSeconds === 0
      ? []
      : ['   graceful-restart-helper', `   graceful-restart stalepath-time ${side.restartTimeSeconds + staleSeconds}`]),
    `   neighbor ${group} peer group`,
    `   neighbor ${group} timers ${side.keepaliveSeconds} ${side.holdTimeSeconds}`,
    ...reach(side).map((words) => `   neighbor ${group} ${words}`),
    ...bfd(side, group).map((line) => `   ${line}`),
    ...side.neighbors.flatMap(({ address, asNumber, nodeName, maximumPrefixes, reflectorClient }) => [
      `   neighbor ${address} peer group ${group}`,
      `   neighbor ${address} remote-as ${asNumber}`,
      `   neighbor ${address} description node ${nodeName}`,
      // One limit for all families.
      `   neighbor ${address} maximum-routes ${Math.max(...Object.values(maximumPrefixes))}`,
      ...(reflectorClient ? [`   neighbor ${address} route-reflector-client`] : []),
    ]),
    ...side.families.flatMap((family) => {
      const names = listNames(side, family);
      return [
        '   !',
        `   address-family ${family}`,
        `      neighbor ${group} activate`,
        `      neighbor ${group} prefix-list ${names.inbound} in`,
        `      neighbor ${group} prefix-list ${names.outbound} out`,
      ];
    }),
    '!',
  ];
}

function bfd({ bfd: wanted }: SwitchSide, group: string): string[] {
  if (wanted === undefined) return [];
  const { minimumTransmitMilliseconds: transmit, minimumReceiveMilliseconds: receive, detectMultiplier } = wanted;
  return [
    `! The times are the whole switch's: router bfd, interval ${transmit} min-rx ${receive} multiplier ${detectMultiplier} default`,
    `neighbor ${group} bfd`,
  ];
}

function reach({ ttlSecurityHops, multihop, address }: SwitchSide): string[] {
  const far = (ttlSecurityHops ?? multihop ?? 1) > 1;
  return [
    ...(ttlSecurityHops !== undefined
      ? [`ttl maximum-hops ${ttlSecurityHops}`]
      : far
        ? [`ebgp-multihop ${multihop}`]
        : []),
    ...(far && address !== undefined ? [`update-source INTERFACE-OF-${address}`] : []),
  ];
}
