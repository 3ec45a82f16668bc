/**
 * `show route` in all its forms, as BIRD lays it out.
 * The time in brackets is the path's own where the model has one, else the start of its session (the RIB keeps no time per path).
 */

import { splitScope } from '../../bgp/ip.ts';
import type { Family } from '../../bgp/ip.ts';
import { tableOf } from './bird-form.ts';
import type { BirdForm } from './bird-form.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import { extendedCommunityText } from './bird-communities.ts';
import { routeFilter } from './route-command.ts';
import type { RouteCommand } from './route-command.ts';
import { protocolName } from './show-protocols.ts';
import type { ControlModel, RouteDetail, RouteQuery } from './model.ts';

const defaultLocalPref = 100;

const originLetter = { IGP: 'i', EGP: 'e', incomplete: '?' } as const satisfies Record<RouteDetail['origin'], string>;

type Lines = readonly ReplyLine[];

/** One list of lines a route; an empty list is a chance to rest. Reads no more of the model than is asked of it. */
export async function* routeLines(model: ControlModel, command: RouteCommand, form: BirdForm): AsyncGenerator<Lines> {
  const since = new Map<string, number>();
  for (const protocol of await model.protocols()) {
    since.set(protocolName(protocol), protocol.kind === 'bgp' ? protocol.peer.since : protocol.since);
  }
  const { protocol, exportedTo, notExportedTo } = command.query;
  const told = exportedTo ?? notExportedTo;
  if (told !== undefined && !since.has(told)) return yield [noSuchProtocol(told)];
  const found =
    command.numbers === 'count'
      ? yield* countLines(model, command, form)
      : yield* tableLines(model, command, form, since);
  if (found) return;
  if (protocol !== undefined && !since.has(protocol)) yield [noSuchProtocol(protocol)];
  else if (command.query.prefix !== undefined || command.query.for !== undefined) {
    yield [{ code: replyCode.routeNotFound, text: form.routes.notFound, final: true }];
  } else yield [done];
}

const done: ReplyLine = { code: replyCode.ok, text: '', final: true };

function noSuchProtocol(name: string): ReplyLine {
  return { code: replyCode.noProtocolsMatch, text: `No protocols match ${name}`, final: true };
}

/** Which routes there are and which of them are asked for, as they pass by. */
class Tally {
  readonly #query: RouteQuery;
  readonly #form: BirdForm;
  readonly #wanted: (route: RouteDetail) => boolean;
  readonly #counted = new Map<Family, Counted>();
  #last: string | undefined;

  constructor(command: RouteCommand, form: BirdForm) {
    this.#query = command.query;
    this.#form = form;
    this.#wanted = routeFilter(command);
  }

  /** What is to be read: where numbers are asked for, the routes of other protocols count as well. */
  static query({ query, numbers }: RouteCommand): RouteQuery {
    const { protocol: _protocol, ...wider } = query;
    return numbers === 'none' || query.refusedToo ? query : wider;
  }

  /** @returns whether the route is asked for. */
  take(route: RouteDetail): boolean {
    if (!this.#wanted(route)) return false;
    const entry = this.#counted.get(route.family) ?? { routes: 0, shown: 0, networks: 0 };
    this.#counted.set(route.family, entry);
    const { protocol } = this.#query;
    const shown = protocol === undefined || route.peerName === protocol;
    entry.routes++;
    if (shown) entry.shown++;
    if (route.prefix !== this.#last) entry.networks++;
    this.#last = route.prefix;
    return shown;
  }

  tableText(family: Family): string {
    return `${countText(this.#counted.get(family) ?? nothing)} in table ${tableOf(this.#form, family)}`;
  }

  get families(): readonly Family[] {
    const { family } = this.#query;
    return (['ipv4', 'ipv6'] as const).filter(
      (each) => family === undefined || family === each || this.#counted.has(each),
    );
  }

  get total(): Counted {
    const total = { ...nothing };
    for (const entry of this.#counted.values()) {
      total.routes += entry.routes;
      total.shown += entry.shown;
      total.networks += entry.networks;
    }
    return total;
  }

  totalLine(): ReplyLine {
    const numbers = countText(this.total);
    const tables = this.#query.family === undefined ? '2 tables' : '1 table';
    const text = this.#form.generation === 1 ? numbers : `Total: ${numbers} in ${tables}`;
    return { code: replyCode.routeCount, text, final: true };
  }
}

interface Counted {
  routes: number;
  shown: number;
  networks: number;
}

const nothing: Counted = { routes: 0, shown: 0, networks: 0 };

/** @returns whether there was any route; only then has the answer ended. */
async function* tableLines(
  model: ControlModel,
  command: RouteCommand,
  form: BirdForm,
  since: ReadonlyMap<string, number>,
): AsyncGenerator<Lines, boolean> {
  const tally = new Tally(command, form);
  const withNumbers = command.numbers === 'stats';
  const hasHeadings = form.generation === 2;
  let family: Family | undefined;
  let prefix: string | undefined;
  for await (const route of model.routes(Tally.query(command))) {
    if (route === undefined || !tally.take(route)) {
      yield [];
      continue;
    }
    const lines: ReplyLine[] = [];
    if (route.family !== family) {
      if (family !== undefined && withNumbers) lines.push(listLine(tally.tableText(family)));
      if (family !== undefined) lines.push(listLine(''));
      if (hasHeadings) lines.push(listLine(`Table ${tableOf(form, route.family)}:`));
      family = route.family;
      prefix = undefined;
    }
    const from = since.get(route.peerName);
    const time = route.since ?? from;
    const stamp = time === undefined ? '' : ` ${form.time(time)}`;
    lines.push(...pathLines(route, route.prefix === prefix ? '' : route.prefix, stamp, form));
    if (command.all) lines.push(...attributeLines(route, command.query.exportedTo !== undefined, form));
    prefix = route.prefix;
    yield lines;
  }
  if (family === undefined) return false;
  if (!withNumbers) yield [done];
  else if (hasHeadings) yield [listLine(tally.tableText(family)), listLine(''), tally.totalLine()];
  else yield [tally.totalLine()];
  return true;
}

function listLine(text: string): ReplyLine {
  return { code: replyCode.routeList, text };
}

/** As tableLines, in numbers. */
async function* countLines(model: ControlModel, command: RouteCommand, form: BirdForm): AsyncGenerator<Lines, boolean> {
  const tally = new Tally(command, form);
  for await (const route of model.routes(Tally.query(command))) {
    yield [];
    if (route !== undefined) tally.take(route);
  }
  if (tally.total.shown === 0 && command.query.protocol !== undefined) return false;
  if (form.generation === 2) for (const family of tally.families) yield [listLine(tally.tableText(family))];
  yield [tally.totalLine()];
  return true;
}

function countText({ shown, routes, networks }: Counted): string {
  return `${shown} of ${routes} routes for ${networks} networks`;
}

/** @param label the prefix, or nothing for a further path of the prefix above. */
function pathLines(route: RouteDetail, label: string, stamp: string, form: BirdForm): ReplyLine[] {
  const head = `${label.padEnd(form.routes.prefixWidth)} `;
  const best = route.selected === 'best' ? ' *' : '';
  if (route.peerType === 'local') {
    return [listLine(`${head}blackhole [${route.peerName}${stamp}]${best} (200)`)];
  }
  const { gateway, interfaceName } = gatewayOf(route);
  const { address: peerAddress } = splitScope(route.peerAddress);
  const from = peerAddress === gateway ? '' : ` from ${route.peerAddress}`;
  const preference = route.stale ? '100s' : '100';
  const path = `[${lastAs(route.asPath)}${originLetter[route.origin]}]`;
  const source = `[${route.peerName}${stamp}`;
  if (form.generation === 1) {
    return [
      listLine(
        interfaceName === undefined
          ? `${head}unreachable ${source} from ${route.peerAddress}]${best} (${preference}/-) ${path}`
          : `${head}via ${gateway} on ${interfaceName} ${source}${from}]${best} (${preference}) ${path}`,
      ),
    ];
  }
  return [
    listLine(`${head}unicast ${source}${from}]${best} (${preference}) ${path}`),
    listLine(interfaceName === undefined ? `\tvia ${gateway}` : `\tvia ${gateway} on ${interfaceName}`),
  ];
}

/** As the kernel has it, where it has it; else what the route says. */
function gatewayOf(route: RouteDetail): { readonly gateway: string; readonly interfaceName: string | undefined } {
  if (route.interfaceName !== undefined || route.linkLocalNextHop === undefined) {
    return { gateway: route.gateway ?? route.nextHop, interfaceName: route.interfaceName };
  }
  const { address, scope } = splitScope(route.linkLocalNextHop);
  return { gateway: address, interfaceName: scope };
}

/** `AS65001`, or nothing where the path is empty or ends in a set. */
function lastAs(asPath: string): string {
  const last = /(?:^| )(\d+)$/.exec(asPath);
  return last === null ? '' : `AS${last[1]}`;
}

/** @param told as a peer was told it: without what only we make of it. */
function attributeLines(route: RouteDetail, told: boolean, form: BirdForm): ReplyLine[] {
  const local = route.peerType === 'local';
  const type = `\tType: ${local ? 'static' : 'BGP'} ${form.routes.scope}`;
  const lines: ReplyLine[] = [{ code: replyCode.routeDetails, text: type }];
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== '') {
      lines.push({ code: replyCode.routeAttributes, text: `\t${name}: ${value}` });
    }
  };
  if (!local || route.asPath !== '') {
    add('BGP.origin', route.origin === 'incomplete' ? 'Incomplete' : route.origin);
    lines.push({ code: replyCode.routeAttributes, text: `\tBGP.as_path: ${route.asPath}` });
    const linkLocal = splitScope(route.linkLocalNextHop ?? '').address;
    add(
      'BGP.next_hop',
      linkLocal === '' || linkLocal === route.nextHop ? route.nextHop : `${route.nextHop} ${linkLocal}`,
    );
    add('BGP.med', route.med);
    // What the decision goes by where the route says nothing.
    add('BGP.local_pref', route.localPref ?? (told || local ? undefined : defaultLocalPref));
  }
  add('BGP.community', route.communities.map((text) => `(${text.replaceAll(':', ',')})`).join(' '));
  add('BGP.originator_id', route.originatorId);
  add('BGP.cluster_list', route.clusterList.join(' '));
  add('BGP.ext_community', route.extendedCommunities.map(extendedCommunityText).join(' '));
  add('BGP.large_community', route.largeCommunities.map((text) => `(${text.replaceAll(':', ', ')})`).join(' '));
  add('BGP.otc', route.onlyToCustomer);
  add('Kernel.metric', route.fibMetric);
  // Ours: what BIRD cannot tell.
  add('Godwit.path_id', route.pathId);
  add('Godwit.selected', route.selected === 'multipath' ? 'multipath' : undefined);
  add('Godwit.lost_at', route.lostAt);
  add('Godwit.rule', route.rule);
  add('Godwit.stale', route.stale ? 'kept through a graceful restart' : undefined);
  return lines;
}
