/**
 * What the control sockets answer, gathered from the running parts.
 * Leaves out: the words of either protocol (src/control).
 */

import type { BestPathCounts, PeerAction, RouteStatus, Speaker } from '../../bgp/index.ts';
import {
  canonicalPrefix,
  families,
  familyOfText,
  parseAddress,
  parsePrefix,
  prefixContains,
  type Family,
} from '../../bgp/ip.ts';
import type { HostRoutes, LinkMonitor, ResolvedNextHop } from '../../dataplane/index.ts';
import type {
  AgentStatus,
  ControlModel,
  InterfaceStatus,
  MemoryLine,
  PeerChange,
  PeerChangeOutcome,
  PolicyDirection,
  PolicyReport,
  ProtocolStatus,
  RouteDetail,
  RouteQuery,
  RouteReport,
  RouteReportStep,
  StatusCondition,
} from '../control/model.ts';
import type { RangeUsage } from '../ipam/address-allocator.ts';
import type { DirectionExplanation, RuleExplanation } from '../policy/explain.ts';
import type { Condition } from '../topology/condition.ts';
import type { SpeakerConfig } from '../topology/speaker-config.ts';
import type { PolicyKeeper } from './policy-keeper.ts';
import type { RouteKeeper } from './route-keeper.ts';

/** What runs now; parts that a role leaves out are absent. */
export interface RunningAgent {
  readonly nodeName: string;
  readonly version: string;
  readonly roles: readonly string[];
  readonly startedAt: number;
  configuredAt(): number;
  config(): SpeakerConfig;
  restartInProgress(): boolean;
  sourceStatus(): AgentStatus['source'];
  policyCounts(): { policies: number; pods: number };
  /** Why the agent could not do something of its own, beyond the conditions of objects. */
  ownConditions(): readonly StatusCondition[];
  /** undefined without the role cni. */
  addresses(): { readonly usage: readonly RangeUsage[]; readonly refusals: number } | undefined;
  readonly speaker: Speaker;
  readonly routes: RouteKeeper | undefined;
  readonly policy: PolicyKeeper | undefined;
  readonly hostRoutes: HostRoutes | undefined;
  readonly links: LinkMonitor | undefined;
  rereadSource(): Promise<AgentStatus['source']['problems']>;
}

/** Routes passed over between two rests. */
const restEvery = 1000;

export class AgentControlModel implements ControlModel {
  readonly #agent: RunningAgent;

  constructor(agent: RunningAgent) {
    this.#agent = agent;
  }

  status(): AgentStatus {
    const agent = this.#agent;
    const { settings, conditions } = agent.config();
    return {
      nodeName: agent.nodeName,
      version: agent.version,
      routerId: settings.routerId,
      asNumber: settings.asNumber,
      ...(settings.clusterId !== undefined && { clusterId: settings.clusterId }),
      ...(settings.listenPort !== undefined && { listenPort: settings.listenPort }),
      startedAt: agent.startedAt,
      configuredAt: agent.configuredAt(),
      roles: agent.roles,
      source: agent.sourceStatus(),
      restart: { inProgress: agent.restartInProgress() },
      ...(agent.routes && { kernel: agent.routes.status() }),
      ...(agent.policy && { policy: agent.policy.status(agent.policyCounts()) }),
      conditions: [
        ...agent.ownConditions(),
        ...[...conditions, ...(agent.routes?.conditions() ?? [])]
          .filter(({ status }) => !status)
          .map(toStatusCondition),
      ],
    };
  }

  protocols(): readonly ProtocolStatus[] {
    const { startedAt, routes, speaker } = this.#agent;
    const { settings, origins } = this.#agent.config();
    const { originated } = settings;
    const others: ProtocolStatus[] = [
      { kind: 'other', name: 'device1', protocol: 'Device', state: 'up', since: startedAt },
    ];
    if (routes !== undefined) {
      const { routes: count, failures } = routes.status();
      for (const [name, table, family] of [
        ['kernel4', 'master4', 'ipv4'],
        ['kernel6', 'master6', 'ipv6'],
      ] as const) {
        others.push({
          kind: 'other',
          name,
          protocol: 'Kernel',
          table,
          families: [family],
          state: 'up',
          since: startedAt,
          ...(failures.length > 0 && { info: `${failures.length} of ${count + failures.length} routes refused` }),
        });
      }
    }
    for (const source of new Set(originated.map((route) => route.source))) {
      const prefixes = originated.filter((route) => route.source === source).map(({ prefix }) => prefix);
      others.push({
        kind: 'other',
        name: source,
        protocol: 'Static',
        state: 'up',
        since: startedAt,
        families: families.filter((family) => prefixes.some((prefix) => familyOfText(prefix) === family)),
        details: prefixes,
      });
    }
    const peers = speaker.peers().map((peer) => {
      const origin = origins.get(peer.range ?? peer.name);
      return { kind: 'bgp' as const, peer, ...(origin !== undefined && { origin }) };
    });
    return [...others, ...peers];
  }

  *routes(query: RouteQuery): Generator<RouteDetail | undefined, void> {
    const { protocol, primary, notExportedTo, refusedToo, ...asked } = query;
    const told = notExportedTo === undefined ? undefined : new Set<string>();
    let passed = 0;
    for (const route of told === undefined ? [] : this.#agent.speaker.routes({ exportedTo: notExportedTo })) {
      told!.add(sourceOf(route));
      if (++passed % restEvery === 0) yield undefined;
    }
    const theirs = notExportedTo === undefined ? undefined : this.#familiesOf(notExportedTo);
    for (const filtered of refusedToo ? [false, true] : [asked.filtered]) {
      for (const route of this.#agent.speaker.routes({ ...asked, filtered, peer: protocol })) {
        const isMissing =
          told === undefined || (isBest(route) && theirs!.has(route.family) && !told.has(sourceOf(route)));
        const isWanted =
          (!primary || isBest(route)) && isMissing && (told === undefined || route.peerName !== notExportedTo);
        if (isWanted) yield this.#detail(route);
        else if (++passed % restEvery === 0) yield undefined;
      }
    }
  }

  async policy(pod: string): Promise<PolicyReport | undefined> {
    const explanation = await this.#agent.policy?.explain(pod);
    if (explanation === undefined) return undefined;
    const { addresses, local, nodeName, excluded } = explanation;
    const interfaces = this.#agent.hostRoutes?.interfaces();
    const interfaceName = addresses.map((address) => interfaces?.get(address)).find((name) => name !== undefined);
    return {
      pod: explanation.pod,
      ...(nodeName !== undefined && { nodeName }),
      addresses,
      local,
      ...(interfaceName !== undefined && { interfaceName }),
      ingress: toPolicyDirection(explanation.ingress, 'from'),
      egress: toPolicyDirection(explanation.egress, 'to'),
      notes: excluded === undefined ? [] : [`no policy applies to it: ${excluded}`],
    };
  }

  why(target: string): RouteReport {
    const { speaker, routes } = this.#agent;
    const prefix = this.#prefixOf(target);
    if (prefix === undefined) {
      const text = 'no peer tells a route for it; the kernel uses its own routes, if any';
      return { target, prefix: undefined, steps: [{ subject: 'path', outcome: 'problem', text }], paths: [] };
    }
    const paths = [...speaker.routes({ prefix }), ...speaker.routes({ prefix, filtered: true })];
    const steps: RouteReportStep[] = routes === undefined ? [] : [...routes.why(prefix, paths)];
    if (routes?.decide(prefix).route !== undefined) steps.push(this.#installedStep(routes, prefix));
    return { target, prefix, steps, paths: paths.map((path) => this.#detail(path)) };
  }

  interfaces(): readonly InterfaceStatus[] {
    return (this.#agent.links?.links() ?? []).map(({ index, name, up, mtu, addresses }) => ({
      index,
      name,
      up,
      mtu,
      addresses,
    }));
  }

  async bestPathCounts(): Promise<BestPathCounts> {
    const counting = this.#agent.speaker.countBestPaths();
    for (;;) {
      const step = counting.next();
      if (step.done) return step.value;
      await rest();
    }
  }

  changePeers(change: PeerChange, names: readonly string[], text: string): readonly PeerChangeOutcome[] {
    const { speaker } = this.#agent;
    const disabled = new Map(speaker.peers().map((peer) => [peer.name, peer.disabled]));
    return names.map((name): PeerChangeOutcome => {
      const isDisabled = disabled.get(name) ?? false;
      if (isDisabled !== (change === 'enable')) return { name, outcome: 'unchanged' };
      try {
        for (const action of peerActions[change]) speaker.peerAction(name, action, text);
        return { name, outcome: 'done' };
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        return { name, outcome: 'failed', reason: error.message };
      }
    });
  }

  rereadSource(): Promise<AgentStatus['source']['problems']> {
    return this.#agent.rereadSource();
  }

  memory(): readonly MemoryLine[] {
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    return [
      { name: 'Heap', bytes: heapUsed },
      { name: 'Routing tables', bytes: arrayBuffers },
      { name: 'Other buffers', bytes: external - arrayBuffers },
      { name: 'Total', bytes: rss },
    ];
  }

  /** Of an established session; what is not carried is not kept back either. */
  #familiesOf(name: string): ReadonlySet<Family> {
    const peer = this.#agent.speaker.peers().find((candidate) => candidate.name === name);
    return new Set(peer?.families.flatMap(({ family, negotiated }) => (negotiated ? [family] : [])));
  }

  #installedStep(routes: RouteKeeper, prefix: string): RouteReportStep {
    if (routes.isInstalled(prefix)) return { subject: 'kernel', outcome: 'ok', text: 'the kernel has it so' };
    const failure = routes.failures().find((candidate) => candidate.prefix === prefix);
    const text = failure === undefined ? 'not in the kernel yet' : `the kernel refuses it: ${failure.message}`;
    return { subject: 'kernel', outcome: 'problem', text };
  }

  /** The prefix itself, or the longest one that we know which holds the address. */
  #prefixOf(target: string): string | undefined {
    const address = parseAddress(target);
    if (address === undefined) return canonicalPrefix(target);
    const [best] = this.#agent.speaker.routes({ for: target });
    if (best !== undefined) return best.prefix;
    // Filtered paths are no match for forwarding, but they are what the question is about.
    for (const { prefix } of this.#agent.speaker.routes({ family: familyOfText(target), filtered: true })) {
      if (prefixContains(parsePrefix(prefix)!, address)) return prefix;
    }
    return undefined;
  }

  /** Of a path that is not used: where its next hop lies. */
  #wayTo(route: RouteStatus): ResolvedNextHop | undefined {
    if (route.peerType === 'local' || this.#agent.routes === undefined) return undefined;
    return this.#agent.links?.resolve(route.linkLocalNextHop ?? route.nextHop);
  }

  #detail(route: RouteStatus): RouteDetail {
    const hop =
      route.selected === 'no' ? this.#wayTo(route) : this.#agent.routes?.decide(route.prefix).route?.nextHops[0];
    if (hop === undefined) return route;
    return {
      ...route,
      ...(hop.interfaceName !== undefined && { interfaceName: hop.interfaceName }),
      ...(hop.gateway !== undefined && hop.gateway !== route.nextHop && { gateway: hop.gateway }),
    };
  }
}

/** Everything else goes on meanwhile. */
function rest(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Whose route it is: of several paths of a prefix a peer may be told another's. */
function sourceOf({ prefix, peerName }: RouteDetail): string {
  return `${prefix} ${peerName}`;
}

function isBest({ selected }: RouteStatus): boolean {
  return selected === 'best';
}

const peerActions = {
  enable: ['enable'],
  disable: ['disable'],
  restart: ['restart'],
  reload: ['refreshIn', 'refreshOut'],
  reloadIn: ['refreshIn'],
  reloadOut: ['refreshOut'],
} as const satisfies Record<PeerChange, readonly PeerAction[]>;

export function toStatusCondition({ object, reason, message }: Condition): StatusCondition {
  return { type: reason, object: `${object.kind}/${object.name}`, message };
}

function toPolicyDirection(direction: DirectionExplanation, preposition: 'from' | 'to'): PolicyDirection {
  return {
    isolated: direction.isolated,
    policies: direction.policies.map(({ policy }) => policy),
    allows: direction.policies.flatMap(({ rules }) => rules.map((rule) => formatRule(rule, preposition))),
  };
}

function formatRule({ rule, peers, ports, allowed }: RuleExplanation, preposition: 'from' | 'to'): string {
  const what = ports === 'all' ? 'everything' : ports.join(', ');
  const whom =
    peers === 'all'
      ? 'anyone'
      : [
          ...peers.pods.map(({ selector, count }) => `${selector} (${count} ${count === 1 ? 'pod' : 'pods'})`),
          ...peers.blocks.map(({ cidr, except }) => (except.length === 0 ? cidr : `${cidr} but ${except.join(', ')}`)),
        ].join('; ') || 'no one';
  const packets = allowed === undefined ? '' : `, ${allowed.packets} packets`;
  return `${what} ${preposition} ${whom} (${rule}${packets})`;
}
