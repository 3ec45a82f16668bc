/**
 * `show interfaces [summary]`, as BIRD 2 lays it out.
 * Leaves out: flags of a link that are not known here, scopes of addresses.
 */

import { familyOfText } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import type { InterfaceStatus } from './model.ts';

export function interfaceLines(interfaces: readonly InterfaceStatus[], summary: boolean): readonly ReplyLine[] {
  const lines = summary ? summaryLines(interfaces) : interfaces.flatMap(detailLines);
  return [...lines, { code: replyCode.ok, text: '', final: true }];
}

function detailLines({ name, up, index, mtu, addresses }: InterfaceStatus): ReplyLine[] {
  return [
    { code: replyCode.interfaceList, text: `${name} ${up ? 'up' : 'down'} (index=${index})` },
    { code: replyCode.interfaceFlags, text: `\t${up ? 'LinkUp' : 'LinkDown'} MTU=${mtu}` },
    ...addresses.map((address) => ({ code: replyCode.interfaceAddresses, text: `\t${address}` })),
  ];
}

function summaryLines(interfaces: readonly InterfaceStatus[]): ReplyLine[] {
  const row = (name: string, state: string, ipv4: string, ipv6: string) =>
    `${name.padEnd(10)} ${state.padEnd(6)} ${ipv4.padEnd(18)} ${ipv6}`;
  return [
    { code: replyCode.interfaceHeader, text: row('Interface', 'State', 'IPv4 address', 'IPv6 address') },
    ...interfaces.map((each) => ({
      code: replyCode.interfaceSummary,
      text: row(each.name, each.up ? 'up' : 'down', firstOf(each, 'ipv4'), firstOf(each, 'ipv6')),
    })),
  ];
}

/** Its first address of the family; of IPv6 rather one that is not link-local. */
function firstOf({ addresses }: InterfaceStatus, family: Family): string {
  const own = addresses.filter((address) => familyOfText(address) === family);
  return own.find((address) => !address.startsWith('fe80:')) ?? own[0] ?? '';
}
