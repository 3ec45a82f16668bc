/** `show protocols` and `show protocols all`, as BIRD lays them out. */

import type { FamilyStatus, PeerStatus } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';
import { tableOf, tableRow } from './bird-form.ts';
import type { BirdForm } from './bird-form.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import { nameMatcher } from './bird-commands.ts';
import type { ProtocolsCommand } from './bird-commands.ts';
import type { ProtocolStatus } from './model.ts';
import { bfdText } from './show-bfd.ts';

const stateText = {
  idle: 'Idle',
  connect: 'Connect',
  active: 'Active',
  openSent: 'OpenSent',
  openConfirm: 'OpenConfirm',
  established: 'Established',
} as const satisfies Record<PeerStatus['state'], string>;

/** Numbers of a peer's routes, by family. */
type FamilyCounts = Readonly<Record<Family, number>>;

export function protocolName(protocol: ProtocolStatus): string {
  return protocol.kind === 'bgp' ? protocol.peer.name : protocol.name;
}

/** One list of lines for each protocol, so that a long answer can be cut between them. */
export function* protocolLines(
  protocols: readonly ProtocolStatus[],
  command: ProtocolsCommand,
  /** Of `all`: how many best paths each peer has. */
  preferred: Readonly<Record<string, FamilyCounts>>,
  form: BirdForm,
): Generator<readonly ReplyLine[]> {
  const matches = nameMatcher(command.pattern);
  const shown = protocols.filter((protocol) => matches(protocolName(protocol)));
  if (shown.length === 0 && command.pattern !== undefined) {
    return yield [{ code: replyCode.noProtocolsMatch, text: 'No protocols match', final: true }];
  }
  const { titles, widths, grows } = form.protocols;
  // BIRD's column, wider where a name would push the others out of line.
  const longest = grows ? Math.max(0, ...shown.map((protocol) => protocolName(protocol).length)) : 0;
  const rowText = ([name, protocol, table, state, since, info]: readonly string[]) =>
    tableRow([name.padEnd(longest), protocol, table, state, `${since} `, info], widths);
  if (shown.length > 0) yield [{ code: replyCode.protocolHeader, text: rowText(titles) }];
  for (const protocol of shown) {
    const line: ReplyLine = { code: replyCode.protocolList, text: rowText(protocolCells(protocol, form)) };
    yield command.all ? [line, ...detailLines(protocol, preferred, form)] : [line];
  }
  yield [{ code: replyCode.ok, text: '', final: true }];
}

function protocolCells(protocol: ProtocolStatus, { generation, protocols, time }: BirdForm): readonly string[] {
  const { noTable } = protocols;
  if (protocol.kind === 'other') {
    const { name, table, state, since, info } = protocol;
    return [name, protocol.protocol, generation === 1 ? noTable : (table ?? noTable), state, time(since), info ?? ''];
  }
  const { peer } = protocol;
  const error = peer.state === 'established' ? '' : (peer.lastError ?? '');
  const state = peer.state === 'established' ? 'up' : peer.disabled ? 'down' : 'start';
  // BIRD 1 says nothing of a session that was stopped by a person, and so Calico's readers do not count it.
  const info = generation === 1 && state === 'down' ? '' : stateText[peer.state].padEnd(14) + error;
  return [peer.name, 'BGP', noTable, state, time(peer.since), info];
}

function detailLines(
  protocol: ProtocolStatus,
  preferred: Readonly<Record<string, FamilyCounts>>,
  form: BirdForm,
): readonly ReplyLine[] {
  const texts =
    protocol.kind === 'bgp'
      ? peerDetails(protocol.peer, preferred[protocol.peer.name], form)
      : (protocol.details ?? []).map((line) => `  ${line}`);
  return [...texts, ''].map((text) => ({ code: replyCode.protocolDetails, text }));
}

/** BIRD 1 has no channels: the lines of the one family come first, a step further out. */
function peerDetails(peer: PeerStatus, preferred: FamilyCounts | undefined, form: BirdForm): string[] {
  const isFirst = form.generation === 1;
  const { lines, add } = labelled(isFirst ? 18 : sessionColumn);
  add(1, 'Description', peer.description);
  // prometheus-bird-exporter does not read the first line of a reply's code: with BIRD 1 that is never the one with the counts.
  if (isFirst) add(1, 'Preference', preference);
  const channels = peer.families.flatMap((family) => [
    ...(isFirst ? [] : channelHead(peer, family, form)),
    ...channelDetails(peer, family, preferred, isFirst ? 1 : 2),
  ]);
  const session = sessionDetails(peer, form);
  return [...lines, ...(isFirst ? [...channels, ...session] : [...session, ...channels])];
}

/** Of BGP, as BIRD has it, and as `show route` tells it. */
const preference = 100;

const sessionColumn = 22;

/** Lines of a label and a value each. @param column where values begin */
function labelled(column: number) {
  const lines: string[] = [];
  const add = (depth: number, label: string, value: string | number | undefined): void => {
    if (value !== undefined) lines.push(('  '.repeat(depth) + `${label}:`).padEnd(column) + value);
  };
  return { lines, add };
}

function sessionDetails(peer: PeerStatus, { generation }: BirdForm): string[] {
  const { lines, add } = labelled(sessionColumn);
  add(1, 'BGP state', stateText[peer.state]);
  add(2, 'Neighbor address', peer.address);
  add(2, 'Neighbor port', peer.port === 179 ? undefined : peer.port);
  add(2, 'Neighbor range', peer.range);
  add(2, 'Neighbor AS', peer.remoteAs);
  add(2, 'Local AS', peer.localAs);
  if (peer.state === 'established') {
    add(2, 'Neighbor ID', peer.remoteRouterId);
    if (generation === 1) add(2, 'Neighbor caps', bird1Capabilities(peer.remoteCapabilities));
    else {
      lines.push('    Local capabilities', ...peer.localCapabilities.map((text) => `      ${text}`));
      lines.push('    Neighbor capabilities', ...peer.remoteCapabilities.map((text) => `      ${text}`));
    }
  }
  add(2, 'Session', sessionText(peer));
  add(2, 'Source address', peer.localAddress);
  add(2, 'Hold time', peer.holdTimeSeconds);
  add(2, 'Keepalive time', peer.keepaliveTimeSeconds);
  add(2, 'Graceful restart', restartText[peer.gracefulRestart]);
  add(2, 'BFD', peer.bfd === undefined ? undefined : bfdText(peer.bfd));
  add(2, 'Last error', peer.state === 'established' ? undefined : peer.lastError);
  add(2, 'Policy', peer.policyText);
  const { messagesReceived, messagesSent, updatesReceived, updatesSent } = peer.counters;
  add(2, 'Messages', `${messagesReceived} received, ${messagesSent} sent`);
  add(2, 'Updates', `${updatesReceived} received, ${updatesSent} sent`);
  add(2, 'Bad updates', peer.counters.treatedAsWithdrawn || undefined);
  add(2, 'Sessions lost', peer.counters.flaps);
  return lines;
}

/** Where values begin behind a label of the depth 2. */
const channelColumn = 20;

function channelHead(peer: PeerStatus, { family, negotiated }: FamilyStatus, form: BirdForm): string[] {
  const { lines, add } = labelled(channelColumn);
  lines.push(`  Channel ${family}`);
  add(2, 'State', peer.state === 'established' && negotiated ? 'UP' : 'DOWN');
  add(2, 'Table', tableOf(form, family));
  return lines;
}

function channelDetails(
  peer: PeerStatus,
  family: FamilyStatus,
  preferred: FamilyCounts | undefined,
  depth: 1 | 2,
): string[] {
  const { lines, add } = labelled(channelColumn - 4 + 2 * depth);
  for (const { kind, maximum, action, state, discarded } of family.limits) {
    add(
      depth,
      kind === 'receive' ? 'Receive limit' : 'Import limit',
      `${maximum}${state === 'exceeded' ? ' [HIT]' : ''}`,
    );
    add(depth + 1, 'Action', limitActions[action]);
    add(depth + 1, 'Discarded', discarded || undefined);
  }
  const { imported, filtered, exported, stale } = family;
  const counts = [`${imported} imported`, filtered > 0 ? `${filtered} filtered` : '', `${exported} exported`];
  counts.push(`${preferred?.[family.family] ?? 0} preferred`);
  if (stale > 0) counts.push(`${stale} stale`);
  add(depth, 'Routes', counts.filter((text) => text !== '').join(', '));
  if (peer.state !== 'established') return lines;
  add(depth, 'Route refresh', family.refreshing ? 'the neighbor tells its table again' : undefined);
  add(
    depth,
    'End-of-RIB',
    `${family.endOfRibReceived ? '' : 'not '}received, ${family.endOfRibSent ? '' : 'not '}sent`,
  );
  return lines;
}

/** How BIRD 1 calls what ours begin with: it has one line for them all. */
const bird1Words: readonly (readonly [beginning: string, word: string])[] = [
  ['route refresh', 'refresh'],
  ['enhanced route refresh', 'enhanced-refresh'],
  ['extended message', 'ext-messages'],
  ['graceful restart', 'restart-able'],
  ['long-lived graceful restart', 'llgr-able'],
  ['4-octet AS number', 'AS4'],
  ['  RX: ', 'add-path-rx'],
  ['  TX: ', 'add-path-tx'],
];

function bird1Capabilities(lines: readonly string[]): string {
  return bird1Words
    .flatMap(([beginning, word]) => (lines.some((line) => line.startsWith(beginning)) ? [word] : []))
    .join(' ');
}

/** BIRD's words. */
const limitActions = { restart: 'restart', discard: 'block', warn: 'warn' } as const satisfies Record<
  PeerStatus['families'][number]['limits'][number]['action'],
  string
>;

const restartText = {
  none: undefined,
  ready: 'ready',
  peerRestarting: 'the neighbor restarts, its routes are kept',
  peerLongGone: 'the neighbor is long gone, its routes are kept as a last resort',
  weRestart: 'we restart, our routes are kept',
} as const satisfies Record<PeerStatus['gracefulRestart'], string | undefined>;

function sessionText(peer: PeerStatus): string {
  const words = [peer.peerType === 'iBGP' ? 'internal' : 'external'];
  if (peer.reflectorClient) words.push('route-reflector');
  if (peer.passive) words.push('passive');
  if (peer.gracefulShutdown) words.push('graceful-shutdown');
  return words.join(' ');
}
