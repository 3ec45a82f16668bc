/**
 * `show interfaces [summary]`, as BIRD lays it out.
 * Leaves out: flags of a link that are not known here, scopes of addresses.
 */

import { familyOfText } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { tableRow } from './bird-form.ts';
import type { BirdForm } from './bird-form.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import type { InterfaceStatus } from './model.ts';

export function interfaceLines(
  interfaces: readonly InterfaceStatus[],
  summary: boolean,
  form: BirdForm,
): readonly ReplyLine[] {
  const lines = summary ? summaryLines(interfaces, form) : interfaces.flatMap(detailLines);
  return [...lines, { code: replyCode.ok, text: '', final: true }];
}

function detailLines({ name, up, index, mtu, addresses }: InterfaceStatus): ReplyLine[] {
  return [
    { code: replyCode.interfaceList, text: `${name} ${up ? 'up' : 'down'} (index=${index})` },
    { code: replyCode.interfaceFlags, text: `\t${up ? 'LinkUp' : 'LinkDown'} MTU=${mtu}` },
    ...addresses.map((address) => ({ code: replyCode.interfaceAddresses, text: `\t${address}` })),
  ];
}

function summaryLines(interfaces: readonly InterfaceStatus[], form: BirdForm): ReplyLine[] {
  const { titles, widths } = form.interfaces;
  return [
    { code: replyCode.interfaceHeader, text: tableRow(titles, widths) },
    ...interfaces.map((each) => {
      const addresses = Object.values(form.tables).map((family) => firstOf(each, family));
      return {
        code: replyCode.interfaceSummary,
        text: tableRow([each.name, each.up ? 'up' : 'down', ...addresses], widths),
      };
    }),
  ];
}

/** Its first address of the family; of IPv6 rather one that is not link-local. */
function firstOf({ addresses }: InterfaceStatus, family: Family): string {
  const own = addresses.filter((address) => familyOfText(address) === family);
  return own.find((address) => !address.startsWith('fe80:')) ?? own[0] ?? '';
}
