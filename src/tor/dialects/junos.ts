/** Junos, as `set` commands. */

import type { Family } from '../../../bgp/ip.ts';
import type { SwitchSide } from '../switch-side.ts';
import { heading, ofFamily, staleSeconds, upperName } from '../words.ts';

const familyWord = { ipv4: 'inet', ipv6: 'inet6' } as const satisfies Record<Family, string>;

export function junos(side: SwitchSide): readonly string[] {
  const group = upperName(side);
  const bgp = `set protocols bgp group ${group}`;
  const { external } = side;
  return [
    ...heading(side, '#'),
    ...policies(side),
    `set routing-options autonomous-system ${side.asNumber}`,
    `${bgp} type ${external ? 'external' : 'internal'}`,
    ...(side.address === undefined ? [] : [`${bgp} local-address ${side.address}`]),
    // Junos derives the time of KEEPALIVEs: a third of it.
    `${bgp} hold-time ${side.holdTimeSeconds}`,
    ...(side.restartTimeSeconds === 0
      ? []
      : [`${bgp} graceful-restart stale-routes-time ${Math.min(600, side.restartTimeSeconds + staleSeconds)}`]),
    ...reach(side).map((words) => `${bgp} ${words}`),
    ...bfd(side).map((words) => `${bgp} bfd-liveness-detection ${words}`),
    ...(side.returnsToSameAs ? [`${bgp} advertise-peer-as`] : []),
    `${bgp} import ${group}-IN`,
    `${bgp} export ${group}-OUT`,
    ...(side.neighbors.some(({ reflectorClient }) => reflectorClient)
      ? ['# This switch reflects routes between its nodes: give it a cluster id.', `${bgp} cluster CLUSTER-ID`]
      : []),
    ...side.neighbors.flatMap(({ address, asNumber, nodeName, maximumPrefixes }) => {
      const neighbor = `${bgp} neighbor ${address}`;
      return [
        `${neighbor} description "node ${nodeName}"`,
        ...(external ? [`${neighbor} peer-as ${asNumber}`] : []),
        ...side.families.map(
          (family) =>
            `${neighbor} family ${familyWord[family]} unicast prefix-limit maximum ${maximumPrefixes[family]} teardown 80 idle-timeout 5`,
        ),
      ];
    }),
  ];
}

function policies(side: SwitchSide): string[] {
  const group = upperName(side);
  const lines: string[] = [];
  for (const family of side.families) {
    const word = familyWord[family];
    for (const { prefix, longest } of ofFamily(side, family)) {
      const route = `from route-filter ${prefix} upto /${longest}`;
      lines.push(`set policy-options policy-statement ${group}-IN term pods-${word} from family ${word}`);
      lines.push(`set policy-options policy-statement ${group}-IN term pods-${word} ${route}`);
      if (side.tellsClusterRoutes) continue;
      lines.push(`set policy-options policy-statement ${group}-OUT term pods-${word} from family ${word}`);
      lines.push(`set policy-options policy-statement ${group}-OUT term pods-${word} ${route}`);
    }
    if (ofFamily(side, family).length === 0) continue;
    lines.push(`set policy-options policy-statement ${group}-IN term pods-${word} then accept`);
    if (!side.tellsClusterRoutes)
      lines.push(`set policy-options policy-statement ${group}-OUT term pods-${word} then reject`);
  }
  lines.push(`set policy-options policy-statement ${group}-IN term rest then reject`);
  lines.push(`set policy-options policy-statement ${group}-OUT term bgp from protocol [ bgp static ]`);
  lines.push(`set policy-options policy-statement ${group}-OUT term bgp then accept`);
  lines.push(`set policy-options policy-statement ${group}-OUT term rest then reject`);
  return [...new Set(lines)];
}

function bfd({ bfd: wanted }: SwitchSide): string[] {
  if (wanted === undefined) return [];
  return [
    `transmit-interval minimum-interval ${wanted.minimumTransmitMilliseconds}`,
    `minimum-receive-interval ${wanted.minimumReceiveMilliseconds}`,
    `multiplier ${wanted.detectMultiplier}`,
    `session-mode ${wanted.multihop ? 'multihop' : 'single-hop'}`,
  ];
}

function reach({ ttlSecurityHops, multihop }: SwitchSide): string[] {
  if (ttlSecurityHops !== undefined) {
    // Sends what the nodes' check wants; the switch's own check is a firewall filter on its lo0.
    return ['multihop ttl 255'];
  }
  return multihop === undefined || multihop === 1 ? [] : [`multihop ttl ${multihop}`];
}
