/**
 * From changes of resources to the ruleset that the kernel shall hold, incrementally.
 * Leaves out: the kernel (dataplane/nft) and when to flush: the caller renders once a turn.
 * Holds: the ruleset depends on the objects only, not on the order in which they came.
 */

import type { NftCounters, Ruleset } from '../../dataplane/index.ts';
import type { NetworkPolicy } from '../resources/network-policy.ts';
import { objectName, type ResourceChange } from '../resources/resource.ts';
import { compilePolicy, directions, type CompiledPolicy, type Direction } from './compile.ts';
import { explainFlow, explainPod, type Flow, type FlowVerdict, type PolicyExplanation } from './explain.ts';
import { PodIndex, type PodEntry, type Selection } from './pod-index.ts';
import { Renderer, type ActivePolicy, type IsolatedPod, type RenderOptions } from './render.ts';

export interface PolicyEngineOptions extends RenderOptions {
  /** The node whose pods are isolated here. */
  readonly nodeName: string;
}

interface PolicyState {
  readonly spec: NetworkPolicy['spec'];
  readonly compiled: CompiledPolicy;
  readonly subjects: Selection;
  /** While it isolates a pod of this node. */
  active: ActivePolicy | undefined;
}

export class PolicyEngine {
  readonly #index: PodIndex;
  readonly #renderer: Renderer;
  readonly #policies = new Map<string, PolicyState>();
  readonly #nodeAddresses = new Map<string, readonly string[]>();
  #sortedPolicies: readonly PolicyState[] | undefined;
  #ruleset: Ruleset | undefined;
  #renderedVersion = -1;

  constructor(options: PolicyEngineOptions) {
    this.#index = new PodIndex(options.nodeName);
    this.#renderer = new Renderer(options);
  }

  /** Takes changes of any kinds; those that policy does not read are ignored. */
  onChanges(changes: readonly ResourceChange[]): void {
    for (const { kind, object } of changes) {
      const gone = kind === 'delete';
      switch (object.kind) {
        case 'Pod':
          if (gone) this.#index.removePod(objectName(object));
          else this.#index.setPod(object);
          break;
        case 'Namespace':
          if (gone) this.#index.removeNamespace(object.metadata.name);
          else this.#index.setNamespace(object);
          break;
        case 'NetworkPolicy':
          if (gone) this.#removePolicy(objectName(object));
          else this.#setPolicy(object);
          break;
        case 'Node':
          if (gone) this.#nodeAddresses.delete(object.metadata.name);
          else
            this.#nodeAddresses.set(
              object.metadata.name,
              object.status.addresses.map(({ address }) => address),
            );
          break;
        default:
          // BGP's kinds and address pools do not judge packets.
          break;
      }
    }
  }

  /** The whole table. @returns the same object where nothing changed that policy can see */
  render(): Ruleset {
    if (this.#ruleset !== undefined && this.#renderedVersion === this.#index.version) return this.#ruleset;
    const pods = this.#isolate();
    const policies = this.#sorted().flatMap(({ active }) => (active === undefined ? [] : [active]));
    this.#ruleset = this.#renderer.render({ policies, pods, namedPort: (key) => this.#index.namedPort(key) });
    this.#renderedVersion = this.#index.version;
    return this.#ruleset;
  }

  /**
   * @param key `NAMESPACE/NAME` of a pod, on any node
   * @param counters of the kernel's table, to tell how often each rule allowed and how much was denied
   * @returns undefined where there is no such pod
   */
  explain(key: string, counters?: NftCounters): PolicyExplanation | undefined {
    return explainPod(this.#world(), key, counters);
  }

  /** Would the flow's first packet pass, and because of what? Pods of any node; judged by the same compiled rules. */
  explainFlow(flow: Flow): FlowVerdict {
    return explainFlow(this.#world(), flow);
  }

  #world() {
    return {
      index: this.#index,
      policies: this.#sorted().map(({ compiled, subjects }) => ({ compiled, subjects })),
      nodeAddresses: this.#nodeAddresses,
    };
  }

  #setPolicy(policy: NetworkPolicy): void {
    const key = objectName(policy);
    const before = this.#policies.get(key);
    if (before !== undefined && JSON.stringify(before.spec) === JSON.stringify(policy.spec)) return;
    const compiled = compilePolicy(policy);
    const subjects = this.#index.select(compiled.subjects);
    this.#removePolicy(key);
    this.#policies.set(key, { spec: policy.spec, compiled, subjects, active: undefined });
    this.#forgetRendered();
  }

  #removePolicy(key: string): void {
    const state = this.#policies.get(key);
    if (state === undefined) return;
    this.#policies.delete(key);
    this.#deactivate(state);
    this.#index.release(state.subjects);
    this.#forgetRendered();
  }

  #forgetRendered(): void {
    this.#sortedPolicies = undefined;
    this.#renderedVersion = -1;
  }

  /** Finds the pods of this node that policies isolate, and wakes just those policies. */
  #isolate(): IsolatedPod[] {
    const isolated = new Map<string, { entry: PodEntry; policies: Partial<Record<Direction, string[]>> }>();
    for (const state of this.#sorted()) {
      if (state.subjects.localMembers.size === 0) {
        this.#deactivate(state);
        continue;
      }
      state.active ??= this.#activate(state.compiled);
      for (const entry of state.subjects.localMembers.values()) {
        let pod = isolated.get(entry.key);
        if (pod === undefined) isolated.set(entry.key, (pod = { entry, policies: {} }));
        for (const direction of directions) {
          if (state.compiled.rules[direction]) (pod.policies[direction] ??= []).push(state.compiled.key);
        }
      }
    }
    return [...isolated.keys()].sort().map((key) => isolated.get(key)!);
  }

  #activate(compiled: CompiledPolicy): ActivePolicy {
    const peers = new Map<string, Selection>();
    for (const { peers: wanted } of directions.flatMap((direction) => compiled.rules[direction] ?? [])) {
      if (wanted === 'all') continue;
      for (const selector of wanted.pods) {
        if (!peers.has(selector.id)) peers.set(selector.id, this.#index.select(selector));
      }
    }
    return { compiled, peers };
  }

  #deactivate(state: PolicyState): void {
    for (const selection of state.active?.peers.values() ?? []) this.#index.release(selection);
    state.active = undefined;
  }

  #sorted(): readonly PolicyState[] {
    this.#sortedPolicies ??= [...this.#policies.keys()].sort().map((key) => this.#policies.get(key)!);
    return this.#sortedPolicies;
  }
}
