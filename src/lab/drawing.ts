/** The lab as text: the core above, a column for each rack, what happened below. Pure. */

import { styleText } from 'node:util';
import type { LabEvent } from './event-log.ts';
import { daemonTitle } from './routers/switch.ts';
import type { RunningLab } from './run-folder.ts';
import { snapshotProblems } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';
import { pad, visibleWidth } from './table.ts';
import type { LabNode, LabSegment, LabSwitch, LabTopology } from './topology.ts';

export interface DrawingOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Columns and rows of the terminal. */
  readonly width: number;
  readonly height: number;
  /** Commands worth trying. */
  readonly hints: readonly string[];
}

/** Terminals with fewer rows get no empty lines. */
const roomyHeight = 32;

/** @returns lines no wider than the terminal, where that has at least 80 columns. */
export function drawLab(
  { topology, record }: RunningLab,
  snapshot: Snapshot,
  events: readonly LabEvent[],
  { now, width, height, hints }: DrawingOptions,
): string[] {
  const racks = topology.segments.filter(({ name }) => topology.nodes.some(({ segment }) => segment === name));
  const columnWidth = Math.min(56, Math.floor((width - 2) / racks.length));
  const roomy = height >= roomyHeight;
  const columns = racks.map((rack) => drawRack(topology, rack, snapshot).filter((line) => roomy || line !== spacer));
  const rows = Math.max(...columns.map((lines) => lines.length));
  const cores = topology.switches.filter(({ name }) => !racks.some((rack) => rack.switch === name));
  const problems = snapshotProblems(snapshot);
  const title = `${styleText('bold', `godwit lab ${topology.name}`)}   up ${duration(now - record.startedAt)}`;
  return [
    `${title}   ${styleText('dim', 'Ctrl-C takes it away')}`,
    ...(roomy ? [''] : []),
    ...cores.map((core) =>
      centred(`${deviceText(core)}  ${dots(snapshot.switches.get(core.name))}`, columnWidth * racks.length),
    ),
    tree(racks.length, columnWidth),
    ...Array.from({ length: rows }, (_, row) =>
      columns
        .map((lines) => pad(lines[row] ?? '', columnWidth))
        .join('')
        .trimEnd(),
    ),
    '',
    problems.length === 0
      ? styleText('green', 'All sessions are established, all pod CIDRs are in every kernel.')
      : styleText('red', `${problems.length} not as it should be; the first: ${problems[0]}`),
    ...events.map(({ at, text, good }) => `${styleText('dim', clock(at))} ${styleText(good ? 'green' : 'red', text)}`),
    '',
    styleText('dim', 'Try it in another terminal:'),
    ...hints.map((hint) => styleText('dim', `  ${hint}`)),
  ];
}

const spacer = '│';

function drawRack(topology: LabTopology, rack: LabSegment, snapshot: Snapshot): string[] {
  const device = topology.switches.find(({ name }) => name === rack.switch) as LabSwitch;
  const nodes = topology.nodes.filter(({ segment }) => segment === rack.name);
  const reflectors = topology.reflectors.filter(({ segment }) => segment === rack.name);
  const ownSegments = topology.segments.filter((segment) => segment.switch === rack.switch).map(({ name }) => name);
  const hosts = topology.hosts.filter(({ segment }) => ownSegments.includes(segment));
  return [
    `${deviceText(device)}  ${dots(snapshot.switches.get(device.name))}`,
    ...nodes.flatMap((node) => drawNode(topology, node, snapshot)),
    ...reflectors.flatMap((reflector) => [
      spacer,
      `├─ ${styleText('bold', reflector.name)} ${styleText('dim', `${reflector.ipv4} reflector`)}  ${agentDots(snapshot, reflector.name)}`,
    ]),
    spacer,
    ...hosts.map(
      ({ name, ipv4 }, index) => `${index === hosts.length - 1 ? '└' : '├'}─ ${name} ${styleText('dim', ipv4)}`,
    ),
  ];
}

function drawNode(topology: LabTopology, node: LabNode, snapshot: Snapshot): string[] {
  const pods = topology.pods.filter((pod) => pod.node === node.name);
  const routes = snapshot.podRoutes.get(node.name);
  const counts =
    routes === undefined
      ? ''
      : [
          styleText('green', `${routes.direct.length} direct`),
          styleText('cyan', `${routes.tunnelled.length} tunnelled`),
          ...(routes.missing.length > 0 ? [styleText('red', `${routes.missing.length} missing`)] : []),
        ].join(', ');
  return [
    spacer,
    `├─ ${styleText('bold', node.name)} ${styleText('dim', node.ipv4)}  ${agentDots(snapshot, node.name)}`,
    `│    pod routes: ${counts}`,
    `│    pods: ${pods.map(({ name }) => name).join(', ')}`,
  ];
}

function deviceText(device: LabSwitch): string {
  return `${styleText('bold', device.name)} ${styleText('dim', `${daemonTitle(device)}, AS ${device.asNumber}`)}`;
}

/** One dot a session: filled where it is established. */
function dots(sessions: readonly { readonly established: boolean }[] | string | undefined): string {
  if (sessions === undefined || typeof sessions === 'string') return styleText('red', 'does not answer');
  return sessions.map(({ established }) => (established ? styleText('green', '●') : styleText('red', '○'))).join('');
}

function agentDots({ agents }: Snapshot, name: string): string {
  const agent = agents.get(name);
  return dots(agent?.kind === 'answering' ? agent.sessions : undefined);
}

/** The core's cables to the racks. */
function tree(racks: number, columnWidth: number): string {
  if (racks < 2) return '│';
  const inner = `${'─'.repeat(columnWidth - 1)}┬`.repeat(racks - 2);
  const line = `┌${inner}${'─'.repeat(columnWidth - 1)}┐`;
  const middle = Math.floor(line.length / 2);
  return `${line.slice(0, middle)}┴${line.slice(middle + 1)}`;
}

function centred(text: string, width: number): string {
  return ' '.repeat(Math.max(0, Math.floor((width - visibleWidth(text)) / 2))) + text;
}

function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
