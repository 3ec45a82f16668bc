/**
 * The pods that policy knows, and the selections over them, kept up to date change by change.
 * Holds: a change of one pod costs one match for each selection that could mean its namespace; a pod's change that policy
 * cannot see (its status, its annotations) costs nothing.
 * Leaves out as peers and as subjects: pods on the host's network (they are the node) and pods that have ended.
 */

import { canonicalAddress, families, familyOfText, type Family } from '../../bgp/ip.ts';
import type { Namespace } from '../resources/namespace.ts';
import type { Pod, Protocol } from '../resources/pod.ts';
import { objectName } from '../resources/resource.ts';
import type { Labels } from '../resources/selector.ts';
import type { PodSelector } from './selector.ts';

export interface PodEntry {
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  readonly namespace: string;
  readonly labels: Labels;
  /** Canonical texts; empty while the pod has no address. */
  readonly addresses: Readonly<Record<Family, readonly string[]>>;
  readonly nodeName: string | undefined;
  /** It runs on this node. */
  readonly local: boolean;
  /** Ports that carry a name, by portKey(). */
  readonly namedPorts: ReadonlyMap<string, readonly number[]>;
}

export type Exclusion = 'hostNetwork' | 'ended';

/** The pods a selector means now. */
export interface Selection {
  readonly selector: PodSelector;
  readonly members: ReadonlyMap<string, PodEntry>;
  /** Those of this node. */
  readonly localMembers: ReadonlyMap<string, PodEntry>;
  /** Grows with every change of the members or of what is known of them. */
  readonly version: number;
}

export function portKey(protocol: Protocol, name: string): string {
  return `${protocol.toLowerCase()}/${name}`;
}

/** The pods that have a port of this name, and a version that grows with their changes. */
export interface NamedPort {
  readonly pods: ReadonlyMap<string, PodEntry>;
  readonly version: number;
}

interface LiveSelection extends Selection {
  readonly members: Map<string, PodEntry>;
  readonly localMembers: Map<string, PodEntry>;
  version: number;
  users: number;
}

export class PodIndex {
  readonly #nodeName: string;
  readonly #pods = new Map<string, PodEntry>();
  readonly #excluded = new Map<string, Exclusion>();
  readonly #byNamespace = new Map<string, Map<string, PodEntry>>();
  readonly #byAddress = new Map<string, Map<string, PodEntry>>();
  readonly #namespaceLabels = new Map<string, Labels>();
  readonly #selections = new Map<string, LiveSelection>();
  /** Selections over one namespace by its name, and those over any. */
  readonly #selectionsIn = new Map<string, Set<LiveSelection>>();
  readonly #wideSelections = new Set<LiveSelection>();
  readonly #namedPorts = new Map<string, { pods: Map<string, PodEntry>; version: number }>();
  #version = 0;

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** Grows with every change that policy can see. */
  get version(): number {
    return this.#version;
  }

  pod(key: string): PodEntry | undefined {
    return this.#pods.get(key);
  }

  /** Why a pod that exists is left out. */
  exclusion(key: string): Exclusion | undefined {
    return this.#excluded.get(key);
  }

  /** The pods that have the address: one, but for moments in which it passes from one to the next. */
  podsAt(address: string): readonly PodEntry[] {
    return [...(this.#byAddress.get(address)?.values() ?? [])];
  }

  setPod(pod: Pod): void {
    const key = objectName(pod);
    const exclusion = exclusionOf(pod);
    if (exclusion === undefined) this.#excluded.delete(key);
    else this.#excluded.set(key, exclusion);
    const before = this.#pods.get(key);
    const after = exclusion === undefined ? toEntry(pod, key, this.#nodeName) : undefined;
    if (before === undefined ? after === undefined : after !== undefined && sameEntry(before, after)) return;
    this.#replace(key, pod.metadata.namespace, before, after);
  }

  removePod(key: string): void {
    this.#excluded.delete(key);
    const before = this.#pods.get(key);
    if (before !== undefined) this.#replace(key, before.namespace, before, undefined);
  }

  setNamespace(namespace: Namespace): void {
    this.#setNamespaceLabels(namespace.metadata.name, namespace.metadata.labels);
  }

  removeNamespace(name: string): void {
    this.#setNamespaceLabels(name, undefined);
  }

  /** @returns the live selection; whoever takes one gives it back with release() */
  select(selector: PodSelector): Selection {
    const known = this.#selections.get(selector.id);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    const selection: LiveSelection = { selector, members: new Map(), localMembers: new Map(), version: 0, users: 1 };
    const { namespace } = selector;
    for (const entry of typeof namespace === 'string' ? this.#in(namespace).values() : this.#pods.values()) {
      this.#update(selection, entry.key, entry);
    }
    this.#selections.set(selector.id, selection);
    if (typeof namespace !== 'string') this.#wideSelections.add(selection);
    else setFor(this.#selectionsIn, namespace, () => new Set()).add(selection);
    return selection;
  }

  release(selection: Selection): void {
    const { id, namespace } = selection.selector;
    const live = this.#selections.get(id);
    if (live !== selection || --live.users > 0) return;
    this.#selections.delete(id);
    if (typeof namespace !== 'string') {
      this.#wideSelections.delete(live);
      return;
    }
    const inNamespace = this.#selectionsIn.get(namespace);
    inNamespace?.delete(live);
    if (inNamespace?.size === 0) this.#selectionsIn.delete(namespace);
  }

  matches({ namespace, matchesPod }: PodSelector, entry: PodEntry): boolean {
    const inNamespace =
      typeof namespace === 'string' ? namespace === entry.namespace : namespace(this.#labelsOf(entry.namespace));
    return inNamespace && matchesPod(entry.labels);
  }

  /** How many pods a selector means now; for people, it walks over them. */
  count(selector: PodSelector): number {
    const known = this.#selections.get(selector.id);
    if (known !== undefined) return known.members.size;
    let count = 0;
    for (const entry of this.#pods.values()) if (this.matches(selector, entry)) count++;
    return count;
  }

  /** @param key by portKey() */
  namedPort(key: string): NamedPort {
    return setFor(this.#namedPorts, key, () => ({ pods: new Map(), version: 0 }));
  }

  #replace(key: string, namespace: string, before: PodEntry | undefined, after: PodEntry | undefined): void {
    this.#version++;
    put(this.#pods, key, after);
    const inNamespace = setFor(this.#byNamespace, namespace, () => new Map<string, PodEntry>());
    put(inNamespace, key, after);
    if (inNamespace.size === 0) this.#byNamespace.delete(namespace);
    for (const address of addressesOf(before)) {
      const at = this.#byAddress.get(address);
      at?.delete(key);
      if (at?.size === 0) this.#byAddress.delete(address);
    }
    for (const address of addressesOf(after)) setFor(this.#byAddress, address, () => new Map()).set(key, after!);
    for (const name of new Set([...(before?.namedPorts.keys() ?? []), ...(after?.namedPorts.keys() ?? [])])) {
      const port = setFor(this.#namedPorts, name, () => ({ pods: new Map<string, PodEntry>(), version: 0 }));
      put(port.pods, key, after?.namedPorts.has(name) ? after : undefined);
      port.version++;
    }
    for (const selection of this.#selectionsIn.get(namespace) ?? []) this.#update(selection, key, after);
    for (const selection of this.#wideSelections) this.#update(selection, key, after);
  }

  #setNamespaceLabels(name: string, labels: Labels | undefined): void {
    const before = this.#labelsOf(name);
    put(this.#namespaceLabels, name, labels);
    if (sameLabels(before, this.#labelsOf(name))) return;
    this.#version++;
    for (const selection of this.#wideSelections) {
      for (const entry of this.#in(name).values()) this.#update(selection, entry.key, entry);
    }
  }

  #update(selection: LiveSelection, key: string, entry: PodEntry | undefined): void {
    const before = selection.members.get(key);
    const after = entry !== undefined && this.matches(selection.selector, entry) ? entry : undefined;
    if (before === after) return;
    put(selection.members, key, after);
    put(selection.localMembers, key, after?.local ? after : undefined);
    selection.version++;
  }

  #in(namespace: string): ReadonlyMap<string, PodEntry> {
    return this.#byNamespace.get(namespace) ?? new Map();
  }

  /** A namespace that no object describes has its name as its only label: folders of manifests often leave it out. */
  #labelsOf(namespace: string): Labels {
    return this.#namespaceLabels.get(namespace) ?? { 'kubernetes.io/metadata.name': namespace };
  }
}

function exclusionOf(pod: Pod): Exclusion | undefined {
  if (pod.spec.hostNetwork) return 'hostNetwork';
  const { phase } = pod.status;
  // Its address may belong to another pod by now.
  return phase === 'Succeeded' || phase === 'Failed' ? 'ended' : undefined;
}

function toEntry(pod: Pod, key: string, ownNode: string): PodEntry {
  const addresses: Record<Family, string[]> = { ipv4: [], ipv6: [] };
  for (const { ip } of pod.status.podIPs) addresses[familyOfText(ip)].push(canonicalAddress(ip) ?? ip);
  const ports = new Map<string, number[]>();
  for (const { name, protocol, containerPort } of pod.spec.containers.flatMap((container) => container.ports)) {
    if (name === undefined) continue;
    const numbers = setFor(ports, portKey(protocol, name), () => []);
    if (!numbers.includes(containerPort)) numbers.push(containerPort);
  }
  const { namespace, labels } = pod.metadata;
  const { nodeName } = pod.spec;
  return { key, namespace, labels, addresses, nodeName, local: nodeName === ownNode, namedPorts: ports };
}

function sameEntry(a: PodEntry, b: PodEntry): boolean {
  return (
    a.nodeName === b.nodeName &&
    addressesOf(a).join() === addressesOf(b).join() &&
    sameLabels(a.labels, b.labels) &&
    a.namedPorts.size === b.namedPorts.size &&
    [...a.namedPorts].every(([key, numbers]) => b.namedPorts.get(key)?.join() === numbers.join())
  );
}

function sameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

function addressesOf(entry: PodEntry | undefined): readonly string[] {
  return entry === undefined ? [] : families.flatMap((family) => entry.addresses[family]);
}

function put<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function setFor<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
