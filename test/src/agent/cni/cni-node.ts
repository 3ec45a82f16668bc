/** A node for stories of the CNI: its network namespace, policy in its nftables, the CNI part behind a real socket. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NftSocket, NftTable, PodNetwork, Rtnetlink } from '../../../../dataplane/index.ts';
import { CniPart, type CniPartOptions } from '../../../../src/agent/cni/cni-part.ts';
import type { PodAddressPublisher } from '../../../../src/agent/cni/publisher.ts';
import type { Log } from '../../../../src/agent/log.ts';
import { PolicyKeeper } from '../../../../src/agent/policy-keeper.ts';
import { PolicyEngine } from '../../../../src/policy/engine.ts';
import { applyChange, emptyClusterState } from '../../../../src/resources/cluster-state.ts';
import { validateManifest, type ResourceChange } from '../../../../src/resources/resource.ts';
import { Forwarder, type PluginCall } from '../../../kit/cni-forwarder.ts';
import { TestNamespace } from '../../../kit/netns.ts';
import { realClock } from '../../../kit/real-clock.ts';

export const nodeName = 'n1';

/** What a test tells apart from the usual. */
export type NodeOptions = Partial<CniPartOptions> & {
  readonly ranges?: readonly string[];
  readonly beforeServe?: () => void;
};

export class CniNode {
  readonly host = new TestNamespace();
  readonly kernel = new Rtnetlink({ namespace: this.host.path });
  readonly links = new PodNetwork({ kernel: this.kernel, namespace: this.host.path });
  readonly folder = mkdtempSync(join(tmpdir(), 'godwit-cni-node-'));
  readonly forwarder: Forwarder;
  readonly state = emptyClusterState();
  readonly published: string[] = [];
  readonly logged: string[] = [];
  /** Runs what waits for the slow check of leaks. */
  checkLeaks: (() => void) | undefined;
  readonly #nft = new NftSocket({ namespace: this.host.path });
  policy: PolicyKeeper;
  #part: CniPart | undefined;
  #agents = 0;
  readonly #policies: PolicyKeeper[] = [];
  readonly #pods: TestNamespace[] = [];

  constructor(forwarder: Forwarder) {
    this.forwarder = forwarder;
    this.policy = this.#newPolicy();
    this.host.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    this.host.ip('addr add 192.0.2.11/32 dev lo');
    this.host.ip('addr add 2001:db8::11/128 dev lo nodad');
  }

  get part(): CniPart {
    if (this.#part === undefined) throw new Error('no agent runs');
    return this.#part;
  }

  get socket(): string {
    return join(this.folder, `cni-${this.#agents}.sock`);
  }

  /** Another life of the agent: what the one before knew is only on disk and in the kernel. */
  async startAgent(options: NodeOptions = {}): Promise<void> {
    this.#agents++;
    this.policy = this.#newPolicy();
    const publisher: PodAddressPublisher = {
      publish: (pod, addresses) => this.published.push(`${pod.namespace}/${pod.name} ${addresses.join(' ')}`),
    };
    const { ranges = ['10.244.1.0/24', 'fd00:1::/64'] } = options;
    const { part, changes } = await CniPart.restore({
      nodeName,
      bootId: 'boot 1',
      socket: this.socket,
      ledgerFolder: this.ledgerFolder,
      confDir: join(this.folder, 'net.d'),
      binDir: undefined,
      chain: [],
      version: '1.0.0',
      kernel: this.kernel,
      namespace: this.host.path,
      policy: this.policy,
      nft: this.#nft,
      pods: () => this.state.pods,
      node: () => ({ podRanges: ranges, reserved: [], mtu: 1400, problem: undefined }),
      publisher,
      clock: {
        ...realClock,
        after: (milliseconds, callback) => {
          if (milliseconds !== 60_000) return realClock.after(milliseconds, callback);
          this.checkLeaks = callback;
          return () => {};
        },
      },
      log: this.#log(),
      podPatienceMilliseconds: 200,
      ...options,
    });
    this.#part = part;
    this.policy.onChanges(changes);
    const objects = [...this.state.pods.values(), ...this.state.networkPolicies.values()];
    this.policy.onChanges(part.translate(objects.map((object) => ({ kind: 'upsert', object }))));
    await this.policy.flush();
    options.beforeServe?.();
    await part.serve();
  }

  get ledgerFolder(): string {
    return join(this.folder, 'state', 'cni');
  }

  async stopAgent(): Promise<void> {
    await this.#part?.close();
    this.#part = undefined;
  }

  /** As the source would tell it. */
  async apply(kind: ResourceChange['kind'], manifest: object): Promise<void> {
    const validation = validateManifest(manifest);
    if (validation.kind !== 'valid') throw new Error(JSON.stringify(validation));
    const changes = [{ kind, object: validation.resource }];
    applyChange(this.state, changes[0]);
    this.#part?.onSourceChanges(changes);
    this.policy.onChanges(this.#part?.translate(changes) ?? changes);
    await this.policy.flush();
  }

  /** A pod's network namespace, as the runtime makes it. */
  sandbox(): TestNamespace {
    const namespace = new TestNamespace();
    this.#pods.push(namespace);
    return namespace;
  }

  call(call: PluginCall) {
    return this.forwarder.call(call, this.socket);
  }

  /** ADD, which must succeed. @returns the addresses */
  async add(call: Omit<PluginCall, 'command'>): Promise<string[]> {
    const { status, output } = await this.call({ ...call, command: 'ADD' });
    if (status !== 0) throw new Error(JSON.stringify(output));
    return (output!['ips'] as { address: string }[]).map(({ address }) => address.slice(0, address.indexOf('/')));
  }

  nft(): string {
    return this.host.exec('nft', 'list', 'ruleset');
  }

  /** Everything on the host that an attachment may leave: links, routes, neighbours, policy. */
  traces(): string {
    return [
      ...this.host.ipJson('link show').map(({ ifname }) => String(ifname)),
      this.host.ip('route show table all'),
      this.host.ip('-6 route show table all'),
      this.host.ip('neigh'),
      this.nft().replaceAll(/packets \d+ bytes \d+/g, ''),
    ].join('\n');
  }

  async close(): Promise<void> {
    await this.stopAgent();
    for (const policy of this.#policies) policy.close();
    this.links.close();
    this.#nft.close();
    this.kernel.close();
    for (const pod of this.#pods) pod.remove();
    this.host.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #newPolicy(): PolicyKeeper {
    const policy = new PolicyKeeper({
      engine: new PolicyEngine({ nodeName }),
      table: new NftTable({ kernel: this.#nft }),
      clock: realClock,
      log: this.#log(),
    });
    this.#policies.push(policy);
    return policy;
  }

  #log(): Log {
    const write = (fields: object, message: string) => this.logged.push(`${message} ${JSON.stringify(fields)}`);
    return { debug() {}, info: write, warn: write, error: write } as unknown as Log;
  }
}

export function podManifest(name: string, labels: Record<string, string>, changes: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { nodeName, containers: [] },
    ...changes,
  };
}

/** Only pods with app=CLIENT reach those with app=SERVER. */
export function onlyFrom(client: string, server: string): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `only-${client}` },
    spec: {
      podSelector: { matchLabels: { app: server } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: client } } }] }],
    },
  };
}

export function pings(from: TestNamespace, to: string): boolean {
  try {
    from.exec('ping', '-c', '1', '-W', '1', to);
    return true;
  } catch {
    return false;
  }
}
