/**
 * `show route` in all its forms, as BIRD 2 lays it out.
 * The time in brackets is the path's own where the model has one, else the start of its session (the RIB keeps no time per path).
 */

import type { Family } from '../../bgp/ip.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import { extendedCommunityText } from './bird-communities.ts';
import { routeFilter } from './bird-commands.ts';
import type { RouteCommand } from './bird-commands.ts';
import { protocolName } from './show-protocols.ts';
import type { ControlModel, RouteDetail } from './model.ts';
import { shortTime } from './time-text.ts';

const tableName = { ipv4: 'master4', ipv6: 'master6' } as const satisfies Record<Family, string>;

const originLetter = { IGP: 'i', EGP: 'e', incomplete: '?' } as const satisfies Record<RouteDetail['origin'], string>;

type Lines = readonly ReplyLine[];

/** One list of lines a route; an empty list is a chance to rest. Reads no more of the model than is asked of it. */
export async function* routeLines(model: ControlModel, command: RouteCommand, now: number): AsyncGenerator<Lines> {
  const since = new Map<string, number>();
  for (const protocol of await model.protocols()) {
    since.set(protocolName(protocol), protocol.kind === 'bgp' ? protocol.peer.since : protocol.since);
  }
  const { protocol, exportedTo } = command.query;
  if (exportedTo !== undefined && !since.has(exportedTo)) return yield [noSuchProtocol(exportedTo)];
  const found = command.count ? yield* countLines(model, command) : yield* tableLines(model, command, since, now);
  if (found) return;
  if (protocol !== undefined && !since.has(protocol)) yield [noSuchProtocol(protocol)];
  else if (command.query.prefix !== undefined || command.query.for !== undefined) {
    yield [{ code: replyCode.routeNotFound, text: 'Network not found', final: true }];
  } else yield [done];
}

const done: ReplyLine = { code: replyCode.ok, text: '', final: true };

function noSuchProtocol(name: string): ReplyLine {
  return { code: replyCode.noProtocolsMatch, text: `No protocols match ${name}`, final: true };
}

/** @returns whether there was any route; only then has the answer ended. */
async function* tableLines(
  model: ControlModel,
  command: RouteCommand,
  since: ReadonlyMap<string, number>,
  now: number,
): AsyncGenerator<Lines, boolean> {
  const wanted = routeFilter(command);
  let family: Family | undefined;
  let prefix: string | undefined;
  for await (const route of model.routes(command.query)) {
    if (route === undefined || !wanted(route)) {
      yield [];
      continue;
    }
    const lines: ReplyLine[] = [];
    if (route.family !== family) {
      if (family !== undefined) lines.push({ code: replyCode.routeList, text: '' });
      lines.push({ code: replyCode.routeList, text: `Table ${tableName[route.family]}:` });
      family = route.family;
      prefix = undefined;
    }
    const from = since.get(route.peerName);
    const time = route.since ?? from;
    const stamp = time === undefined ? '' : ` ${shortTime(time, now)}`;
    lines.push(...pathLines(route, route.prefix === prefix ? '' : route.prefix, stamp));
    if (command.all) lines.push(...attributeLines(route));
    prefix = route.prefix;
    yield lines;
  }
  if (family === undefined) return false;
  yield [done];
  return true;
}

interface Counted {
  routes: number;
  shown: number;
  networks: number;
}

/** As tableLines, in numbers. */
async function* countLines(model: ControlModel, command: RouteCommand): AsyncGenerator<Lines, boolean> {
  const wanted = routeFilter(command);
  const counted = new Map<Family, Counted>();
  let last: string | undefined;
  const { protocol, ...wider } = command.query;
  for await (const route of model.routes(wider)) {
    yield [];
    if (route === undefined || !wanted(route)) continue;
    let entry = counted.get(route.family);
    if (entry === undefined) counted.set(route.family, (entry = { routes: 0, shown: 0, networks: 0 }));
    entry.routes++;
    if (protocol === undefined || route.peerName === protocol) entry.shown++;
    if (route.prefix !== last) entry.networks++;
    last = route.prefix;
  }
  const total: Counted = { routes: 0, shown: 0, networks: 0 };
  for (const entry of counted.values()) {
    total.routes += entry.routes;
    total.shown += entry.shown;
    total.networks += entry.networks;
  }
  if (total.shown === 0 && protocol !== undefined) return false;
  for (const family of ['ipv4', 'ipv6'] as const) {
    const entry = counted.get(family);
    if (entry === undefined && command.query.family !== undefined && command.query.family !== family) continue;
    const text = `${countText(entry ?? { routes: 0, shown: 0, networks: 0 })} in table ${tableName[family]}`;
    yield [{ code: replyCode.routeList, text }];
  }
  const tables = command.query.family === undefined ? '2 tables' : '1 table';
  yield [{ code: replyCode.routeCount, text: `Total: ${countText(total)} in ${tables}`, final: true }];
  return true;
}

function countText({ shown, routes, networks }: Counted): string {
  return `${shown} of ${routes} routes for ${networks} networks`;
}

/** @param label the prefix, or nothing for a further path of the prefix above. */
function pathLines(route: RouteDetail, label: string, stamp: string): ReplyLine[] {
  const head = `${label.padEnd(20)} `;
  const best = route.selected === 'best' ? ' *' : '';
  if (route.peerType === 'local') {
    return [{ code: replyCode.routeList, text: `${head}blackhole [${route.peerName}${stamp}]${best} (200)` }];
  }
  const gateway = route.gateway ?? route.nextHop;
  const from = route.peerAddress === gateway ? '' : ` from ${route.peerAddress}`;
  const preference = route.stale ? '(100s)' : '(100)';
  const path = `[${lastAs(route.asPath)}${originLetter[route.origin]}]`;
  const via = route.interfaceName === undefined ? `\tvia ${gateway}` : `\tvia ${gateway} on ${route.interfaceName}`;
  return [
    {
      code: replyCode.routeList,
      text: `${head}unicast [${route.peerName}${stamp}${from}]${best} ${preference} ${path}`,
    },
    { code: replyCode.routeList, text: via },
  ];
}

/** `AS65001`, or nothing where the path is empty or ends in a set. */
function lastAs(asPath: string): string {
  const last = /(?:^| )(\d+)$/.exec(asPath);
  return last === null ? '' : `AS${last[1]}`;
}

function attributeLines(route: RouteDetail): ReplyLine[] {
  const local = route.peerType === 'local';
  const lines: ReplyLine[] = [{ code: replyCode.routeDetails, text: `\tType: ${local ? 'static' : 'BGP'} univ` }];
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== '') {
      lines.push({ code: replyCode.routeAttributes, text: `\t${name}: ${value}` });
    }
  };
  if (!local || route.asPath !== '') {
    add('BGP.origin', route.origin === 'incomplete' ? 'Incomplete' : route.origin);
    lines.push({ code: replyCode.routeAttributes, text: `\tBGP.as_path: ${route.asPath}` });
    add('BGP.next_hop', route.nextHop);
    add('BGP.med', route.med);
    add('BGP.local_pref', route.localPref);
  }
  add('BGP.community', route.communities.map((text) => `(${text.replaceAll(':', ',')})`).join(' '));
  add('BGP.originator_id', route.originatorId);
  add('BGP.cluster_list', route.clusterList.join(' '));
  add('BGP.ext_community', route.extendedCommunities.map(extendedCommunityText).join(' '));
  add('BGP.large_community', route.largeCommunities.map((text) => `(${text.replaceAll(':', ', ')})`).join(' '));
  add('BGP.otc', route.onlyToCustomer);
  // Ours: what BIRD cannot tell.
  add('Godwit.path_id', route.pathId);
  add('Godwit.selected', route.selected === 'multipath' ? 'multipath' : undefined);
  add('Godwit.lost_at', route.lostAt);
  add('Godwit.rule', route.rule);
  add('Godwit.stale', route.stale ? 'kept through a graceful restart' : undefined);
  return lines;
}
