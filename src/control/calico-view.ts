/**
 * An agent as Calico's readers expect a process of BIRD 1: one family, and protocols under the names that Calico gives them. What is asked and
 * done under these names is asked and done under ours.
 */

import { familyOfText } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { calicoNames } from './calico-names.ts';
import type { ControlModel, ProtocolStatus, RouteDetail, RouteQuery } from './model.ts';
import { protocolName } from './show-protocols.ts';

export function calicoView(model: ControlModel, family: Family): ControlModel {
  const names = async () => calicoNames(await model.protocols(), family);
  return {
    status: () => model.status(),
    async protocols() {
      const protocols = await model.protocols();
      const theirs = calicoNames(protocols, family);
      return protocols.flatMap((protocol) => {
        const name = theirs.get(protocolName(protocol));
        return name === undefined ? [] : [renamed(protocol, name, family)];
      });
    },
    async *routes(query) {
      const theirs = await names();
      const asked = toOurs(query, inverted(theirs), family);
      if (asked === undefined) return;
      for await (const route of model.routes(asked)) yield route && withName(route, theirs);
    },
    policy: (pod) => model.policy(pod),
    why: (target) => model.why(target),
    memory: () => model.memory(),
    async interfaces() {
      return (await model.interfaces()).map((each) => ({
        ...each,
        addresses: each.addresses.filter((address) => familyOfText(address) === family),
      }));
    },
    async bestPathCounts() {
      const counts = await model.bestPathCounts();
      return Object.fromEntries(
        [...(await names())].flatMap(([name, theirs]) => (Object.hasOwn(counts, name) ? [[theirs, counts[name]]] : [])),
      );
    },
    async changePeers(change, wanted, text) {
      const theirs = await names();
      const ours = inverted(theirs);
      const outcomes = await model.changePeers(
        change,
        wanted.flatMap((name) => ours.get(name) ?? []),
        text,
      );
      return outcomes.map((outcome) => ({ ...outcome, name: theirs.get(outcome.name) ?? outcome.name }));
    },
    rereadSource: () => model.rereadSource(),
  };
}

function renamed(protocol: ProtocolStatus, name: string, family: Family): ProtocolStatus {
  if (protocol.kind === 'bgp') {
    const families = protocol.peer.families.filter((each) => each.family === family);
    return { ...protocol, peer: { ...protocol.peer, name, families } };
  }
  // A static protocol's details are its routes.
  const details = protocol.details?.filter((text) => protocol.protocol !== 'Static' || familyOfText(text) === family);
  return { ...protocol, name, ...(details && { details }) };
}

/** @returns undefined: nothing can be found. */
function toOurs(query: RouteQuery, ours: ReadonlyMap<string, string>, family: Family): RouteQuery | undefined {
  if (query.family !== undefined && query.family !== family) return undefined;
  const renamedQuery: { -readonly [K in keyof RouteQuery]: RouteQuery[K] } = { ...query, family };
  for (const field of ['protocol', 'exportedTo', 'notExportedTo'] as const) {
    const name = query[field];
    if (name === undefined) continue;
    const own = ours.get(name);
    if (own === undefined) return undefined;
    renamedQuery[field] = own;
  }
  return renamedQuery;
}

/** A route whose source is leaving is passed over: what has no name cannot be read by Calico. */
function withName(route: RouteDetail, theirs: ReadonlyMap<string, string>): RouteDetail | undefined {
  const peerName = theirs.get(route.peerName);
  return peerName === undefined ? undefined : { ...route, peerName };
}

function inverted(names: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...names].map(([ours, theirs]) => [theirs, ours]));
}
