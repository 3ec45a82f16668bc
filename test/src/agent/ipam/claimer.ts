/** A node that claims blocks at a fake API server: its keeper, and a watch of its own over real HTTP that tells it of them. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { BlockKeeper, type BlockTimes } from '../../../../src/agent/ipam/block-keeper.ts';
import { KubeBlocks } from '../../../../src/agent/ipam/kube-blocks.ts';
import type { Log } from '../../../../src/agent/log.ts';
import { AddressAllocator, type Allocation } from '../../../../src/ipam/address-allocator.ts';
import { Reflector } from '../../../../src/kube/reflector.ts';
import { applyChange, emptyClusterState } from '../../../../src/resources/cluster-state.ts';
import { ipamBlockName } from '../../../../src/resources/ipam-block.ts';
import type { Pod } from '../../../../src/resources/pod.ts';
import { validateManifest, type Resource } from '../../../../src/resources/resource.ts';
import { trimmed } from '../../../../src/source/kube-kinds.ts';
import { ApiServer } from '../../../kit/api-server.ts';
import type { StoredObject } from '../../../kit/api-store.ts';
import { ours } from '../../../kit/cluster.ts';
import { realClock } from '../../../kit/real-clock.ts';
import { clientOf, quickTimes } from '../../kube/kit.ts';

const blocksPath = '/apis/godwit.dev/v1/ipamblocks';

/** With the definition of IPAMBlock installed. */
export async function startServer(): Promise<ApiServer> {
  const server = new ApiServer();
  await server.start();
  const crd = new URL('../../../../deploy/crds/godwit.dev_ipamblocks.yaml', import.meta.url);
  server.store.put(parse(readFileSync(fileURLToPath(crd), 'utf8')) as object);
  return server;
}

/** CIDR → node, as the server has them. */
export function ownersAt(server: ApiServer): Map<string, string> {
  const blocks = server.store.list(server.store.typeOf('godwit.dev/v1', 'IPAMBlock'));
  return new Map(
    blocks.map((block) => {
      const { cidr, node } = (block as StoredObject & { spec: { cidr: string; node: string } }).spec;
      return [cidr, node];
    }),
  );
}

export function deleteBlock(server: ApiServer, cidr: string): void {
  server.store.delete(server.store.typeOf('godwit.dev/v1', 'IPAMBlock'), undefined, ipamBlockName(cidr));
}

export function putBlock(server: ApiServer, cidr: string, node: string): void {
  server.store.put(ours('IPAMBlock', ipamBlockName(cidr), `{ cidr: "${cidr}", node: ${node}, pool: pods }`));
}

export interface ClaimerOptions {
  readonly times?: Partial<BlockTimes>;
  readonly coolDownMilliseconds?: number;
  /** The source is a folder: nothing is claimed. */
  readonly folder?: boolean;
  readonly reserved?: readonly string[];
  readonly persist?: () => Promise<void>;
  /** Held by pods from the life before. */
  readonly restored?: Readonly<Record<string, readonly string[]>>;
}

export class Claimer {
  readonly name: string;
  readonly state = emptyClusterState();
  readonly allocator: AddressAllocator;
  readonly keeper: BlockKeeper;
  readonly logged: string[] = [];
  readonly #reflector: Reflector<object>;
  readonly #blocks = new Map<string, Resource>();

  /** @param manifests of pools, nodes and namespaces */
  constructor(server: ApiServer, name: string, manifests: readonly object[], options: ClaimerOptions = {}) {
    this.name = name;
    for (const manifest of manifests) this.put(manifest);
    this.allocator = new AddressAllocator({ coolDownMilliseconds: options.coolDownMilliseconds });
    for (const [owner, addresses] of Object.entries(options.restored ?? {})) this.allocator.restore(owner, addresses);
    const client = clientOf(server);
    const write = (fields: object, message: string) => this.logged.push(`${message} ${JSON.stringify(fields)}`);
    this.keeper = new BlockKeeper({
      nodeName: name,
      state: () => this.state,
      node: () => ({ podRanges: [], reserved: options.reserved ?? [], mtu: 1500, problem: undefined }),
      allocator: this.allocator,
      registry: options.folder ? undefined : new KubeBlocks(client, 60_000),
      ...(options.persist && { persist: options.persist }),
      clock: realClock,
      log: { info: write, warn: write, error: write } as unknown as Log,
      times: { patience: 5000, check: 30, ...options.times },
    });
    this.#reflector = new Reflector<object>({
      client,
      path: blocksPath,
      read: (object) => trimmed('IPAMBlock', object),
      onEvents: (events) => {
        for (const event of events) {
          if (event.kind === 'upsert') this.#blocks.set(event.key, this.put(event.object));
          else {
            applyChange(this.state, { kind: 'delete', object: this.#blocks.get(event.key)! });
            this.#blocks.delete(event.key);
          }
        }
        this.keeper.onBlocksChanged();
      },
      onListed: () => this.#onListed?.(),
      onFault: () => {},
      times: quickTimes,
    });
  }

  #onListed: (() => void) | undefined;

  /** Resolves when the blocks were listed and the keeper was started. */
  async start(): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#onListed = resolve;
      this.#reflector.start();
    });
    this.keeper.start();
    return this;
  }

  put(manifest: object): Resource {
    const validation = validateManifest(manifest);
    if (validation.kind !== 'valid') throw new Error(JSON.stringify(validation));
    applyChange(this.state, { kind: 'upsert', object: validation.resource });
    return validation.resource;
  }

  drop(manifest: object): void {
    const validation = validateManifest(manifest);
    if (validation.kind === 'valid') applyChange(this.state, { kind: 'delete', object: validation.resource });
  }

  /** Of this node, as the watch has told. */
  blocks(): string[] {
    return [...this.state.ipamBlocks.values()]
      .map(({ spec }) => spec)
      .flatMap((s) => (s.node === this.name ? [s.cidr] : []));
  }

  allocate(owner: string, requested: readonly string[] = [], object?: Pod): Promise<Allocation> {
    return this.keeper.allocate({ owner, requested, object });
  }

  /** @returns the addresses, or the reason why there are none */
  async text(owner: string, requested: readonly string[] = [], object?: Pod): Promise<string> {
    const allocation = await this.allocate(owner, requested, object);
    return allocation.kind === 'allocated' ? allocation.addresses.join(' ') : `refused: ${allocation.reason}`;
  }

  /** The process ends: what it had in memory is gone. */
  stop(): void {
    this.keeper.close();
    this.#reflector.stop();
  }
}
