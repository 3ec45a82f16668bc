/**
 * Why packets to a prefix go where they go, in the order of the way: told, owned, resolved, programmed.
 * Leaves out: whether the kernel has taken the route (the route table knows).
 */

import type { RouteStatus } from '../../bgp/index.ts';
import { parsePrefix } from '../../bgp/ip.ts';
import type { KernelNextHop, KernelRoute } from '../../dataplane/index.ts';
import type { Inventory, Pool } from '../topology/inventory.ts';
import { unreachable } from '../unreachable.ts';
import type { Merged } from './floor.ts';
import { unroutableReason, type Forwarding, type HopDecision } from './kernel-route.ts';

/** Everything that decides about one prefix, and what comes of it. */
export interface RouteDecision {
  readonly prefix: string;
  /** own: a pod range of this node. */
  readonly source: Merged['source'] | 'own';
  readonly pool: Pool | undefined;
  /** undefined: there is nothing to forward by. */
  readonly forwarding: Forwarding | undefined;
  readonly route: KernelRoute | undefined;
}

export interface RouteStep {
  /** The place that decided. */
  readonly subject: 'path' | 'origin' | 'pool' | 'next hop' | 'kernel';
  readonly outcome: 'ok' | 'problem' | 'note';
  readonly text: string;
}

/** @param paths all paths of the RIB to the prefix, the refused ones among them */
export function explainRoute(
  decision: RouteDecision,
  paths: readonly RouteStatus[],
  inventory: Inventory,
): readonly RouteStep[] {
  return [
    ...paths.map(pathStep),
    ...sourceSteps(decision, paths),
    ...ownerSteps(decision, inventory),
    ...(decision.forwarding?.decisions.map(hopStep) ?? []),
    kernelStep(decision),
  ];
}

function pathStep(path: RouteStatus): RouteStep {
  const subject = 'path';
  const stale = path.stale ? ', kept from before the restart of its peer' : '';
  const who =
    path.peerType === 'local'
      ? `our own (${path.peerName})`
      : `from ${path.peerName}, next hop ${path.nextHop}${stale}`;
  if (path.lostAt === 'filtered')
    return { subject, outcome: 'problem', text: `${who}: refused by ${path.rule ?? 'a filter'}` };
  switch (path.selected) {
    case 'best':
      return { subject, outcome: 'ok', text: `${who}: the best path${metricText(path)}` };
    case 'multipath':
      return { subject, outcome: 'ok', text: `${who}: as good as the best path, shares the traffic` };
    case 'no':
      return {
        subject,
        outcome: 'note',
        text: `${who}: not chosen${path.lostAt === undefined ? '' : `, lost at ${path.lostAt}`}`,
      };
    default:
      return unreachable(path.selected);
  }
}

/** Only the best path's counts. */
function metricText({ fibMetric, rule }: RouteStatus): string {
  return fibMetric === undefined ? '' : `; ${rule ?? 'a filter'} gives its route the metric ${fibMetric}`;
}

function sourceSteps({ source }: RouteDecision, paths: readonly RouteStatus[]): readonly RouteStep[] {
  const subject = 'path';
  switch (source) {
    case 'bgp':
      return [];
    case 'own':
      return [{ subject, outcome: 'note', text: 'a pod range of this node' }];
    case 'floor':
      return [
        {
          subject,
          outcome: 'note',
          text: 'no session has spoken for it yet: by way of the Node object, until one does',
        },
      ];
    case 'none':
      return paths.length > 0 ? [] : [{ subject, outcome: 'problem', text: 'no peer tells this prefix' }];
    default:
      return unreachable(source);
  }
}

function ownerSteps({ prefix, pool }: RouteDecision, inventory: Inventory): readonly RouteStep[] {
  const owner = inventory.ownerOf(parsePrefix(prefix)!);
  const steps: RouteStep[] = [];
  if (owner !== undefined)
    steps.push({ subject: 'origin', outcome: 'note', text: `in the pod range of node ${owner.name}` });
  if (pool !== undefined) steps.push({ subject: 'pool', outcome: 'note', text: `in pool ${pool.name}` });
  return steps;
}

function hopStep({ nextHop, node, encapsulation, because, hop }: HopDecision): RouteStep {
  const subject = 'next hop';
  const who = node === undefined ? nextHop : `${nextHop} (node ${node})`;
  if ('problem' in hop) return { subject, outcome: 'problem', text: hop.problem };
  const how = encapsulation === 'direct' ? 'directly' : 'through a tunnel';
  return { subject, outcome: 'ok', text: `${who}: ${how}, ${formatHop(hop)}; ${because}` };
}

function kernelStep({ prefix, forwarding, route }: RouteDecision): RouteStep {
  const subject = 'kernel';
  if (route === undefined) {
    return forwarding === undefined
      ? { subject, outcome: 'note', text: 'no route of ours' }
      : { subject, outcome: 'problem', text: `unroutable: ${unroutableReason(forwarding)}` };
  }
  if (route.kind === 'blackhole') {
    return { subject, outcome: 'ok', text: `blackhole ${prefix}: each pod has a longer route of its own` };
  }
  const source = route.preferredSource === undefined ? '' : ` src ${route.preferredSource}`;
  const metric = route.metric === undefined ? '' : ` metric ${route.metric}`;
  return { subject, outcome: 'ok', text: `${prefix} ${route.nextHops.map(formatHop).join(', ')}${source}${metric}` };
}

function formatHop({ gateway, interfaceName, weight }: KernelNextHop): string {
  const words = [gateway && `via ${gateway}`, interfaceName && `dev ${interfaceName}`, weight && `weight ${weight}`];
  return words.filter(Boolean).join(' ');
}
