/** `show protocols` and `show protocols all`, as BIRD 2 lays them out. */

import type { PeerStatus } from '../../bgp/index.ts';
import type { Family } from '../../bgp/ip.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import { nameMatcher } from './bird-commands.ts';
import type { ProtocolsCommand } from './bird-commands.ts';
import type { ProtocolStatus } from './model.ts';
import { bfdText } from './show-bfd.ts';
import { timeText } from './time-text.ts';

const stateText = {
  idle: 'Idle',
  connect: 'Connect',
  active: 'Active',
  openSent: 'OpenSent',
  openConfirm: 'OpenConfirm',
  established: 'Established',
} as const satisfies Record<PeerStatus['state'], string>;

const tableName = { ipv4: 'master4', ipv6: 'master6' } as const satisfies Record<Family, string>;

export function protocolName(protocol: ProtocolStatus): string {
  return protocol.kind === 'bgp' ? protocol.peer.name : protocol.name;
}

/** One list of lines for each protocol, so that a long answer can be cut between them. */
export function* protocolLines(
  protocols: readonly ProtocolStatus[],
  command: ProtocolsCommand,
  /** Of `all`: how many best paths each peer has. */
  preferred: Readonly<Record<string, Readonly<Record<Family, number>>>>,
): Generator<readonly ReplyLine[]> {
  const matches = nameMatcher(command.pattern);
  const shown = protocols.filter((protocol) => matches(protocolName(protocol)));
  if (shown.length === 0 && command.pattern !== undefined) {
    return yield [{ code: replyCode.noProtocolsMatch, text: 'No protocols match', final: true }];
  }
  // BIRD's column, wider where a name would push the others out of line.
  const width = shown.reduce((widest, protocol) => Math.max(widest, protocolName(protocol).length), 10);
  if (shown.length > 0) {
    const header = row(width, 'Name', 'Proto', 'Table', 'State', 'Since', 'Info');
    yield [{ code: replyCode.protocolHeader, text: header }];
  }
  for (const protocol of shown) {
    const line: ReplyLine = { code: replyCode.protocolList, text: protocolRow(protocol, width) };
    yield command.all ? [line, ...detailLines(protocol, preferred)] : [line];
  }
  yield [{ code: replyCode.ok, text: '', final: true }];
}

function row(width: number, ...[name, protocol, table, state, since, info]: readonly string[]): string {
  const left = `${name.padEnd(width)} ${protocol.padEnd(10)} ${table.padEnd(10)} ${state.padEnd(6)}`;
  return `${left} ${since.padEnd(12)}  ${info}`;
}

function protocolRow(protocol: ProtocolStatus, width: number): string {
  if (protocol.kind === 'other') {
    const { name, table, state, since, info } = protocol;
    return row(width, name, protocol.protocol, table ?? '---', state, timeText(since), info ?? '');
  }
  const { peer } = protocol;
  const error = peer.state === 'established' ? '' : (peer.lastError ?? '');
  const info = stateText[peer.state].padEnd(14) + error;
  const state = peer.state === 'established' ? 'up' : peer.disabled ? 'down' : 'start';
  return row(width, peer.name, 'BGP', '---', state, timeText(peer.since), info);
}

function detailLines(
  protocol: ProtocolStatus,
  preferred: Readonly<Record<string, Readonly<Record<Family, number>>>>,
): readonly ReplyLine[] {
  const texts =
    protocol.kind === 'bgp'
      ? peerDetails(protocol.peer, preferred[protocol.peer.name])
      : (protocol.details ?? []).map((line) => `  ${line}`);
  return [...texts, ''].map((text) => ({ code: replyCode.protocolDetails, text }));
}

function peerDetails(peer: PeerStatus, preferred: Readonly<Record<Family, number>> | undefined): string[] {
  const lines: string[] = [];
  // Where values begin; two columns earlier within a channel.
  let column = 22;
  const add = (depth: number, label: string, value: string | number | undefined): void => {
    if (value !== undefined) lines.push(('  '.repeat(depth) + `${label}:`).padEnd(column) + value);
  };
  add(1, 'Description', peer.description);
  add(1, 'BGP state', stateText[peer.state]);
  add(2, 'Neighbor address', peer.address);
  add(2, 'Neighbor port', peer.port === 179 ? undefined : peer.port);
  add(2, 'Neighbor range', peer.range);
  add(2, 'Neighbor AS', peer.remoteAs);
  add(2, 'Local AS', peer.localAs);
  if (peer.state === 'established') {
    add(2, 'Neighbor ID', peer.remoteRouterId);
    lines.push('    Local capabilities', ...peer.localCapabilities.map((text) => `      ${text}`));
    lines.push('    Neighbor capabilities', ...peer.remoteCapabilities.map((text) => `      ${text}`));
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
  column = 20;
  for (const family of peer.families) {
    lines.push(`  Channel ${family.family}`);
    add(2, 'State', peer.state === 'established' && family.negotiated ? 'UP' : 'DOWN');
    add(2, 'Table', tableName[family.family]);
    for (const { kind, maximum, action, state, discarded } of family.limits) {
      add(
        2,
        kind === 'receive' ? 'Receive limit' : 'Import limit',
        `${maximum}${state === 'exceeded' ? ' [HIT]' : ''}`,
      );
      add(3, 'Action', limitActions[action]);
      add(3, 'Discarded', discarded || undefined);
    }
    const { imported, filtered, exported, stale } = family;
    const counts = [`${imported} imported`, filtered > 0 ? `${filtered} filtered` : '', `${exported} exported`];
    counts.push(`${preferred?.[family.family] ?? 0} preferred`);
    if (stale > 0) counts.push(`${stale} stale`);
    add(2, 'Routes', counts.filter((text) => text !== '').join(', '));
    if (peer.state !== 'established') continue;
    add(2, 'Route refresh', family.refreshing ? 'the neighbor tells its table again' : undefined);
    add(2, 'End-of-RIB', `${family.endOfRibReceived ? '' : 'not '}received, ${family.endOfRibSent ? '' : 'not '}sent`);
  }
  return lines;
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
