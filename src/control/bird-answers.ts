/** From a command to the lines of its answer. The long ones are made while they are sent. */

import { unreachable } from '../unreachable.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyCode, ReplyLine } from './bird-protocol.ts';
import type { BirdForm } from './bird-form.ts';
import { helpLines } from './bird-commands.ts';
import { changeLines, configureLines } from './change-peers.ts';
import type { Command } from './bird-commands.ts';
import type { AgentStatus, ControlModel, MemoryLine, PolicyReport, ProtocolStatus, RouteReport } from './model.ts';
import { bfdSessionLines } from './show-bfd.ts';
import { placeOf } from './place-text.ts';
import { interfaceLines } from './show-interfaces.ts';
import { protocolLines, protocolName } from './show-protocols.ts';
import { routeLines } from './show-route.ts';
import { timeText } from './time-text.ts';

type Lines = readonly ReplyLine[];

/**
 * The answer in pieces; the last line of the last piece is `final`. An empty piece is a chance to rest.
 */
export async function* answer(
  command: Command,
  model: ControlModel,
  /** As it is now. */
  form: BirdForm,
  /** Milliseconds since the epoch. */
  now: number,
): AsyncGenerator<Lines> {
  switch (command.kind) {
    case 'showStatus':
      return yield statusLines(await model.status(), form, now);
    case 'showProtocols':
      return yield* protocolLines(
        await model.protocols(),
        command,
        command.all ? await model.bestPathCounts() : {},
        form,
      );
    case 'showRoute':
      return yield* routeLines(model, command, form);
    case 'showPolicy': {
      const report = await model.policy(command.pod);
      if (report !== undefined) return yield policyLines(report);
      return yield [{ code: replyCode.podNotFound, text: `Pod ${command.pod} not found`, final: true }];
    }
    case 'showWhy':
      return yield whyLines(await model.why(command.target));
    case 'showMemory':
      return yield memoryLines(await model.memory());
    case 'showBfdSessions':
      return yield bfdSessionLines(await model.protocols(), form);
    case 'showInterfaces':
      return yield interfaceLines(await model.interfaces(), command.summary, form);
    case 'showSymbols':
      return yield symbolLines(await model.protocols(), form);
    case 'changePeers':
      return yield await changeLines(model, command);
    case 'configure':
      return yield await configureLines(model, command.check);
    case 'echo':
      return yield [echoLine(command.on)];
    case 'help':
      return yield ended(helpLines(form.tables).map((text) => ({ code: replyCode.help, text })));
    case 'restrict':
      return yield [{ code: replyCode.accessRestricted, text: 'Access restricted', final: true }];
    case 'denied':
      return yield [{ code: replyCode.accessDenied, text: 'Access denied', final: true }];
    default:
      return unreachable(command);
  }
}

/** BIRD's clients may be sent its log messages; an agent writes its own to its own output. */
function echoLine(on: boolean): ReplyLine {
  return on
    ? { code: replyCode.runtimeError, text: "Log messages go to the agent's own output", final: true }
    : { code: replyCode.ok, text: '', final: true };
}

function symbolLines(protocols: readonly ProtocolStatus[], form: BirdForm): Lines {
  const tables = Object.keys(form.tables).map((name) => `${name.padEnd(8)}\trouting table`);
  const names = protocols.map((protocol) => `${protocolName(protocol).padEnd(8)}\tprotocol`);
  return ended(withCode(replyCode.symbols, [...tables, ...names]));
}

function ended(lines: ReplyLine[]): Lines {
  return [...lines, { code: replyCode.ok, text: '', final: true }];
}

function withCode(code: ReplyCode, texts: readonly string[]): ReplyLine[] {
  return texts.map((text) => ({ code, text }));
}

function statusLines(status: AgentStatus, form: BirdForm, now: number): Lines {
  const { source, kernel, policy } = status;
  const texts = [
    status.routerId === undefined ? 'Router ID is not known yet' : `Router ID is ${status.routerId}`,
    `Hostname is ${status.nodeName}`,
    `Current server time is ${timeText(now)}`,
    `Last reboot on ${timeText(status.startedAt)}`,
    `Last reconfiguration on ${timeText(status.configuredAt ?? status.startedAt)}`,
    status.asNumber === undefined ? 'No configuration for this node yet' : `Local AS is ${status.asNumber}`,
  ];
  if (status.clusterId !== undefined) texts.push(`Route reflector, cluster ID is ${status.clusterId}`);
  texts.push(`Roles: ${status.roles.join(' ')}`);
  texts.push(`Source: ${source.text} (${source.synced ? 'synced' : 'not synced yet'})`);
  for (const problem of source.problems) texts.push(`  Problem: ${placeOf(problem)}${problem.reason}`);
  if (kernel !== undefined) {
    texts.push(
      `Kernel routes: ${kernel.routes} installed, ${kernel.pending ?? 0} pending, ${kernel.failures.length} failed`,
    );
    for (const failure of kernel.failures) texts.push(`  Failed: ${failure.prefix}: ${failure.message}`);
    for (const route of kernel.unroutable) texts.push(`  Unroutable: ${route.prefix}: ${route.reason}`);
    for (const tunnel of kernel.tunnels) {
      const local = tunnel.local === undefined ? '' : ` local ${tunnel.local}`;
      const reason = tunnel.reason === undefined ? '' : `: ${tunnel.reason}`;
      texts.push(`Tunnel ${tunnel.name} (${tunnel.kind})${local}: ${tunnel.state}${reason}`);
    }
  }
  if (policy !== undefined) {
    const size = policy.policies === undefined ? '' : `, ${policy.policies} policies for ${policy.pods ?? 0} pods`;
    texts.push(`Network policy: ${policyWords[policy.state]}${size}`);
    if (policy.lastError !== undefined) texts.push(`  Error: ${policy.lastError}`);
  }
  for (const condition of status.conditions) {
    const object = condition.object === undefined ? '' : ` ${condition.object}`;
    texts.push(`Condition ${condition.type}${object}: ${condition.message}`);
  }
  const lines: ReplyLine[] = [
    { code: replyCode.version, text: form.program(status.version) },
    ...withCode(replyCode.uptime, texts),
  ];
  if (status.restart.inProgress) {
    lines.push({ code: replyCode.gracefulRestart, text: 'Graceful restart recovery in progress' });
  }
  lines.push({ code: replyCode.statusReport, text: 'Daemon is up and running', final: true });
  return lines;
}

const policyWords = {
  inForce: 'in force',
  pending: 'not in force yet',
  failed: 'the last change failed',
} as const;

function policyLines(report: PolicyReport): Lines {
  const at = report.interfaceName === undefined ? '' : `, interface ${report.interfaceName}`;
  const node = report.nodeName === undefined ? 'no node yet' : `node ${report.nodeName}`;
  const texts = [
    `Pod ${report.pod}`,
    `  Addresses:      ${report.addresses.join(' ') || 'none yet'}`,
    `  Runs on:        ${node}${at}${report.local ? '' : ' (its policy is enforced there, not here)'}`,
  ];
  for (const [label, side] of [
    ['Ingress', report.ingress],
    ['Egress', report.egress],
  ] as const) {
    if (!side.isolated) {
      texts.push(`  ${label}: no policy selects the pod, all traffic may pass`);
      continue;
    }
    texts.push(`  ${label}: only what is allowed here by ${side.policies.join(', ')}`);
    texts.push(...(side.allows.length === 0 ? ['nothing'] : side.allows).map((allow) => `    allow ${allow}`));
  }
  texts.push(...report.notes.map((note) => `  Note: ${note}`));
  return ended(withCode(replyCode.policy, texts));
}

const outcomeMark = { ok: ' ', note: ' ', problem: '!' } as const;

function whyLines(report: RouteReport): Lines {
  const about = report.prefix === undefined ? 'no route' : report.prefix === report.target ? '' : report.prefix;
  const texts = [about === '' ? report.target : `${report.target}: ${about}`];
  if (report.steps.length === 0 && report.paths.length === 0) texts.push('! no peer tells a route for it');
  const width = Math.max(0, ...report.steps.map((step) => step.subject.length));
  for (const step of report.steps) {
    texts.push(`${outcomeMark[step.outcome]} ${step.subject.padEnd(width)}  ${step.text}`);
  }
  for (const path of report.paths) {
    const verdict = path.selected === 'no' ? `not used: ${path.lostAt ?? 'unknown'}` : pathWords[path.selected];
    const rule = path.rule === undefined ? '' : `, rule ${path.rule}`;
    texts.push(`  path via ${path.nextHop} from ${path.peerName}, AS path [${path.asPath}]: ${verdict}${rule}`);
  }
  return ended(withCode(replyCode.why, texts));
}

const pathWords = { best: 'best', multipath: 'used beside the best' } as const;

function memoryLines(lines: readonly MemoryLine[]): Lines {
  const width = Math.max(17, ...lines.map((line) => line.name.length + 1));
  const texts = lines.map((line) => `${`${line.name}:`.padEnd(width)} ${sizeText(line.bytes).padStart(9)}`);
  return ended(withCode(replyCode.memory, ['Memory usage', ...texts]));
}

function sizeText(bytes: number): string {
  const units = ['  B', ' kB', ' MB', ' GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return value.toFixed(1) + units[unit];
}
