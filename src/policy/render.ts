/**
 * Compiled policies and the pods they isolate, as the table that the kernel shall hold.
 *
 *     base chain egress   ── initiator's address ──► verdict map egress-4/6  ─► egress-set-X  ─► egress/NS/POLICY … ─► egress-denied
 *     base chain ingress  ── responder's address ──► verdict map ingress-4/6 ─► ingress-set-X ─► ingress/NS/POLICY … ─► ingress-denied
 *
 * A packet passes both base chains; `accept` ends one of them only. A pod without policies has no element in the maps: the
 * packet costs one lookup a chain. Pods with the same policies share a set chain, rules with the same selector share a set.
 *
 * Every packet of a connection is judged, and both ways by the same rules: rules ask for the connection's initiator and
 * responder (its conntrack entry, after destination NAT and before source NAT), not for the packet's source and destination. So there is
 * no blanket "established": when a policy stops allowing a flow, the next packet of either side is dropped.
 *
 * Leaves out: the node's own traffic with its pods, which is never forwarded (Kubernetes: always allowed).
 * Holds: objects that did not change are the same objects as in the ruleset before.
 */

import {
  nftComment,
  plainElement,
  type KeyType,
  type NftChain,
  type NftElement,
  type NftField,
  type NftMatch,
  type NftRule,
  type NftSet,
  type Ruleset,
} from '../../dataplane/index.ts';
import { families, type Family } from '../../bgp/ip.ts';
import type { Protocol } from '../resources/pod.ts';
import { directions, type CompiledPolicy, type CompiledPorts, type CompiledRule, type Direction } from './compile.ts';
import { ObjectNames } from './object-names.ts';
import { portKey, type NamedPort, type PodEntry, type Selection } from './pod-index.ts';

/** A policy that isolates a pod of this node, with its peers' live selections by the selector's id. */
export interface ActivePolicy {
  readonly compiled: CompiledPolicy;
  readonly peers: ReadonlyMap<string, Selection>;
}

/** A pod of this node, and the keys of the policies that isolate it, sorted; absent: not isolated. */
export interface IsolatedPod {
  readonly entry: PodEntry;
  readonly policies: Readonly<Partial<Record<Direction, readonly string[]>>>;
}

export interface RenderInput {
  /** Sorted by key. */
  readonly policies: readonly ActivePolicy[];
  /** Sorted by key. */
  readonly pods: readonly IsolatedPod[];
  namedPort(key: string): NamedPort;
}

export interface RenderOptions {
  /** Writes denied packets to the kernel log, ten lines a second at most. */
  readonly logDenied?: boolean;
}

/** A set that a rule refers to; made when the ruleset is put together, since its elements change without the rule. */
interface SetUse {
  readonly name: string;
  make(before: NftSet | undefined): NftSet;
}

interface RenderedPolicy {
  readonly chains: Partial<Record<Direction, { readonly name: string; readonly chain: NftChain }>>;
  readonly sets: readonly SetUse[];
}

const addressType = { ipv4: 'ipv4_addr', ipv6: 'ipv6_addr' } as const satisfies Record<Family, KeyType>;
const suffix = { ipv4: '4', ipv6: '6' } as const satisfies Record<Family, string>;
const protocolName = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const satisfies Record<Protocol, string>;

/** IANA's numbers. */
const protocolNumber = { TCP: '6', UDP: '17', SCTP: '132' } as const satisfies Record<Protocol, string>;
const icmpNumbers = ['1', '58'] as const;

interface Sides {
  readonly subject: Readonly<Record<Family, NftField>>;
  readonly peer: Readonly<Record<Family, NftField>>;
  /** The packet's own header, where it has no connection. */
  readonly header: Readonly<Record<Family, NftField>>;
  readonly priority: number;
}

const initiator = { ipv4: 'initiator4', ipv6: 'initiator6' } as const;
const responder = { ipv4: 'responder4', ipv6: 'responder6' } as const;

const sides = {
  egress: {
    subject: initiator,
    peer: responder,
    header: { ipv4: 'source4', ipv6: 'source6' },
    priority: 0,
  },
  ingress: {
    subject: responder,
    peer: initiator,
    header: { ipv4: 'destination4', ipv6: 'destination6' },
    priority: 1,
  },
} as const satisfies Record<Direction, Sides>;

/** Where packets denied to or from a pod are counted: a set with an element for each address. */
export function deniedSet(direction: Direction, family: Family): string {
  return `denied-${direction}-${suffix[family]}`;
}

/** How rules of a policy are marked in the kernel; the identity of their counters. */
export function ruleComment(rule: CompiledRule): string {
  return nftComment(rule.id);
}

export class Renderer {
  readonly #options: RenderOptions;
  readonly #names = new ObjectNames();
  readonly #rendered = new WeakMap<ActivePolicy, RenderedPolicy>();
  readonly #elements = new WeakMap<object, Map<string, { version: number; set: NftSet }>>();
  readonly #fixedChains: ReadonlyMap<string, NftChain>;
  #before: Ruleset = { sets: new Map(), chains: new Map() };

  constructor(options: RenderOptions) {
    this.#options = options;
    this.#fixedChains = new Map(
      directions.flatMap((direction) => [
        [direction, baseChain(direction)],
        [`${direction}-denied`, deniedChain(direction, this.#options)],
      ]),
    );
  }

  render(input: RenderInput): Ruleset {
    const sets = new Map<string, NftSet>(podSets(input.pods));
    const chains = new Map<string, NftChain>(this.#fixedChains);
    const chainOf = new Map<string, string>();
    for (const active of input.policies) {
      const rendered = this.#policy(active, input);
      for (const use of rendered.sets) {
        if (!sets.has(use.name)) sets.set(use.name, use.make(this.#before.sets.get(use.name)));
      }
      for (const direction of directions) {
        const own = rendered.chains[direction];
        if (own === undefined) continue;
        chains.set(own.name, own.chain);
        chainOf.set(`${direction} ${active.compiled.key}`, own.name);
      }
    }
    for (const direction of directions) {
      const maps = { ipv4: new Map<string, NftElement>(), ipv6: new Map<string, NftElement>() };
      for (const { entry, policies } of input.pods) {
        const keys = policies[direction];
        if (keys === undefined) continue;
        const name = this.#names.nameOf(`${direction}-set`, JSON.stringify(keys));
        if (!chains.has(name)) {
          chains.set(name, this.#before.chains.get(name) ?? setChain(direction, keys, chainOf));
        }
        for (const family of families) addElements(maps[family], entry, family, { kind: 'goto', chain: name });
      }
      for (const family of families) {
        sets.set(mapName(direction, family), {
          keyTypes: [addressType[family]],
          verdicts: true,
          elements: maps[family],
        });
      }
    }
    this.#before = { sets, chains };
    this.#names.keepOnly((name) => sets.has(name) || chains.has(name));
    return this.#before;
  }

  #policy(active: ActivePolicy, input: RenderInput): RenderedPolicy {
    const known = this.#rendered.get(active);
    if (known !== undefined) return known;
    const sets: SetUse[] = [];
    const chains: RenderedPolicy['chains'] = {};
    for (const direction of directions) {
      const rules = active.compiled.rules[direction];
      if (rules === undefined) continue;
      chains[direction] = {
        name: this.#policyChainName(direction, active.compiled.key),
        chain: { rules: rules.flatMap((rule) => this.#rule(direction, rule, active, input, sets)) },
      };
    }
    const rendered = { chains, sets };
    this.#rendered.set(active, rendered);
    return rendered;
  }

  #policyChainName(direction: Direction, key: string): string {
    const plain = `${direction}/${key}`;
    // The kernel takes 255 bytes; the longest namespace and name together have 317.
    return plain.length <= 200 ? plain : this.#names.nameOf(`${direction}/${key.slice(0, 150)}`, key);
  }

  /** One rule of the policy becomes a rule for each way in which it can match: peers × ports, by family. */
  #rule(direction: Direction, rule: CompiledRule, active: ActivePolicy, input: RenderInput, sets: SetUse[]): NftRule[] {
    const use = (set: SetUse): string => {
      sets.push(set);
      return set.name;
    };
    const peers = this.#peerMatches(direction, rule, active, use);
    const ports = this.#portMatches(direction, rule.ports, input, use);
    return peers.flatMap((peer) =>
      ports
        .filter((port) => !peer.family || !port.family || peer.family === port.family)
        .map((port) => ({
          matches: [...port.matches, ...peer.matches],
          counter: true,
          verdict: { kind: 'accept' as const },
          comment: ruleComment(rule),
        })),
    );
  }

  #peerMatches(
    direction: Direction,
    rule: CompiledRule,
    active: ActivePolicy,
    use: (set: SetUse) => string,
  ): Alternative[] {
    if (rule.peers === 'all') return [{ matches: [] }];
    const { pods, ranges } = rule.peers;
    const inSet = (family: Family, set: string): Alternative => ({
      family,
      matches: [{ kind: 'inSet', fields: [sides[direction].peer[family]], set }],
    });
    return families.flatMap((family) => [
      ...pods.map((selector) => inSet(family, use(this.#podSet(family, active.peers.get(selector.id)!)))),
      ...(ranges[family].length > 0 ? [inSet(family, use(this.#rangeSet(family, ranges[family])))] : []),
    ]);
  }

  #portMatches(
    direction: Direction,
    ports: 'all' | CompiledPorts,
    input: RenderInput,
    use: (set: SetUse) => string,
  ): Alternative[] {
    if (ports === 'all') return [{ matches: [] }];
    const alternatives: Alternative[] = [];
    for (const [protocol, numbers] of ports.numbers) {
      const matches = [isProtocol(protocol)];
      if (numbers !== 'all') {
        matches.push(
          numbers.length === 1 && !numbers[0].includes('-')
            ? { kind: 'equals', field: 'responderPort', value: numbers[0] }
            : { kind: 'inSet', fields: ['responderPort'], set: use(this.#numberSet(numbers)) },
        );
      }
      alternatives.push({ matches });
    }
    for (const { protocol, name } of ports.names) {
      for (const family of families) {
        const set = use(this.#namedPortSet(direction, family, protocol, name, input));
        alternatives.push({
          family,
          matches: [isProtocol(protocol), { kind: 'inSet', fields: [responder[family], 'responderPort'], set }],
        });
      }
    }
    return alternatives;
  }

  #podSet(family: Family, selection: Selection): SetUse {
    return {
      name: this.#names.nameOf(`pods-${suffix[family]}`, selection.selector.id),
      make: () =>
        this.#whileVersion(selection, family, () => {
          const elements = new Map<string, NftElement>();
          for (const { addresses } of selection.members.values()) {
            for (const address of addresses[family]) elements.set(address, plainElement);
          }
          return { keyTypes: [addressType[family]], comment: nftComment(selection.selector.text), elements };
        }),
    };
  }

  #rangeSet(family: Family, ranges: readonly string[]): SetUse {
    const name = this.#names.nameOf(`blocks-${suffix[family]}`, ranges.join());
    return { name, make: (before) => before ?? intervalSet(addressType[family], ranges) };
  }

  #numberSet(ranges: readonly string[]): SetUse {
    const name = this.#names.nameOf('ports', ranges.join());
    return { name, make: (before) => before ?? intervalSet('inet_service', ranges) };
  }

  /** The addresses and numbers behind a port's name: of pods here where they are the destination, else of all pods. */
  #namedPortSet(direction: Direction, family: Family, protocol: Protocol, name: string, input: RenderInput): SetUse {
    const scope = direction === 'ingress' ? 'local' : 'cluster';
    const key = portKey(protocol, name);
    const port = input.namedPort(key);
    return {
      name: this.#names.nameOf(`${scope}-port-${suffix[family]}-${protocolName[protocol]}`, name),
      make: () =>
        this.#whileVersion(port, `${scope} ${family}`, () => {
          const elements = new Map<string, NftElement>();
          for (const entry of port.pods.values()) {
            if (scope === 'local' && !entry.local) continue;
            for (const address of entry.addresses[family]) {
              for (const number of entry.namedPorts.get(key)!) elements.set(`${address} . ${number}`, plainElement);
            }
          }
          return {
            keyTypes: [addressType[family], 'inet_service'],
            comment: nftComment(`${scope} pods' port ${key}`),
            elements,
          };
        }),
    };
  }

  #whileVersion(source: { readonly version: number }, part: string, make: () => NftSet): NftSet {
    let parts = this.#elements.get(source);
    if (parts === undefined) this.#elements.set(source, (parts = new Map()));
    const known = parts.get(part);
    if (known?.version === source.version) return known.set;
    const set = make();
    parts.set(part, { version: source.version, set });
    return set;
  }
}

/** One way in which a rule can match; where a family is given, only packets of that family. */
interface Alternative {
  readonly family?: Family;
  readonly matches: readonly NftMatch[];
}

function isProtocol(protocol: Protocol): NftMatch {
  return { kind: 'equals', field: 'protocol', value: protocolNumber[protocol] };
}

function intervalSet(type: KeyType, ranges: readonly string[]): NftSet {
  return { keyTypes: [type], interval: true, elements: new Map(ranges.map((range) => [range, plainElement])) };
}

function mapName(direction: Direction, family: Family): string {
  return `${direction}-${suffix[family]}`;
}

function selfSet(family: Family): string {
  return `self-${suffix[family]}`;
}

function baseChain(direction: Direction): NftChain {
  const { subject, header, priority } = sides[direction];
  const lookUp = (field: NftField, family: Family, matches: readonly NftMatch[] = []): NftRule => ({
    matches,
    verdict: { kind: 'verdictMap', field, map: mapName(direction, family) },
  });
  // Without a connection no rule about its ends can match: the packet of an isolated pod ends in the denied chain.
  const unconnected: NftMatch = { kind: 'hasState', states: ['invalid', 'untracked'] };
  return {
    hook: { name: 'forward', priority },
    rules: [
      ...families.map((family) => lookUp(subject[family], family)),
      ...families.map((family) => lookUp(header[family], family, [unconnected])),
    ],
  };
}

function setChain(direction: Direction, keys: readonly string[], chainOf: ReadonlyMap<string, string>): NftChain {
  return {
    rules: [
      ...keys.map((key) => ({
        matches: [],
        verdict: { kind: 'jump' as const, chain: chainOf.get(`${direction} ${key}`)! },
      })),
      { matches: [], verdict: { kind: 'goto', chain: `${direction}-denied` } },
    ],
  };
}

/** What no policy allows. The exceptions stand here and not before the policies: so they cost allowed packets nothing. */
function deniedChain(direction: Direction, { logDenied }: RenderOptions): NftChain {
  const { subject } = sides[direction];
  return {
    rules: [
      ...families.map((family): NftRule => ({
        matches: [{ kind: 'inSet', fields: [initiator[family], responder[family]], set: selfSet(family) }],
        verdict: { kind: 'accept' },
        comment: 'a pod reaches itself, also by way of a service',
      })),
      ...icmpNumbers.map((value): NftRule => ({
        matches: [
          { kind: 'hasState', states: ['related'] },
          { kind: 'equals', field: 'protocol', value },
        ],
        verdict: { kind: 'accept' },
        comment: 'ICMP errors about a connection that was allowed',
      })),
      ...(logDenied ? [{ matches: [], log: { prefix: `godwit denied ${direction}: `, perSecond: 10 } }] : []),
      ...families.map((family): NftRule => ({
        matches: [{ kind: 'inSet', fields: [subject[family]], set: deniedSet(direction, family) }],
        verdict: { kind: 'drop' },
        comment: 'counted by pod',
      })),
      { matches: [], counter: true, verdict: { kind: 'drop' }, comment: `${direction} without a connection` },
    ],
  };
}

/** Sets with an element for each isolated pod: its denials, and itself. */
function* podSets(pods: readonly IsolatedPod[]): Generator<[string, NftSet]> {
  for (const family of families) {
    const type = addressType[family];
    for (const direction of directions) {
      const elements = new Map<string, NftElement>();
      for (const { entry, policies } of pods) {
        if (policies[direction] !== undefined) addElements(elements, entry, family);
      }
      yield [deniedSet(direction, family), { keyTypes: [type], counter: true, elements }];
    }
    const itself = new Map<string, NftElement>();
    for (const { entry } of pods) {
      for (const address of entry.addresses[family]) itself.set(`${address} . ${address}`, plainElement);
    }
    yield [selfSet(family), { keyTypes: [type, type], elements: itself }];
  }
}

/** Where two pods have one address for a moment, the first by name holds it; both are isolated. */
function addElements(
  elements: Map<string, NftElement>,
  entry: PodEntry,
  family: Family,
  verdict?: NftElement['verdict'],
): void {
  for (const address of entry.addresses[family]) {
    if (!elements.has(address)) elements.set(address, { ...(verdict && { verdict }), comment: nftComment(entry.key) });
  }
}
