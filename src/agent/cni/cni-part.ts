/**
 * The agent's CNI part, put together.
 *
 *     forwarder ──► CniServer ──► Attacher ──► PodNetwork (kernel), AddressAllocator, LedgerFolder
 *     source ──changes──► PodLookup, LocalPods ──changes with the addresses of here──► policy ◄── KeptPolicy ── Attacher
 *
 * Order: the ledger is read before policy hears of the first pod; the socket is served when policy is in force; the
 * configuration list, which makes the node Ready, is written last and stays when the agent ends.
 */

import {
  installSourceGuard,
  KernelError,
  NftError,
  PodNetwork,
  type Clock,
  type NftKernel,
  type Rtnetlink,
} from '../../../dataplane/index.ts';
import { formatConflist, type ChainedPlugin } from '../../cni/conflist.ts';
import type { CniVersion } from '../../cni/versions.ts';
import { AddressAllocator } from '../../ipam/address-allocator.ts';
import type { Pod } from '../../resources/pod.ts';
import type { ResourceChange } from '../../resources/resource.ts';
import type { Log } from '../log.ts';
import type { PolicyKeeper } from '../policy-keeper.ts';
import { NodeRanges } from '../ipam/node-ranges.ts';
import { Attacher, type AttacherOptions, type NodeNetwork, type PodAddressing, type PodLinks } from './attacher.ts';
import { findChain, withoutPlugins } from './chain.ts';
import { CniServer, type CniServerOptions } from './cni-server.ts';
import { writeConflist } from './host-files.ts';
import { KeptPolicy } from './kept-policy.ts';
import { LedgerFolder, type AttachmentLedger } from './ledger.ts';
import { LocalPods } from './local-pods.ts';
import { PodLookup } from './pod-lookup.ts';
import type { PodAddressPublisher } from './publisher.ts';

const checkMilliseconds = 60_000;
const conflistRetryMilliseconds = 1000;

export interface CniPartOptions {
  readonly nodeName: string;
  readonly bootId: string;
  readonly socket: string;
  /** Folder of the attachments' records. */
  readonly ledgerFolder: string;
  /** Folder of the runtime's network configuration; undefined: none is written. */
  readonly confDir: string | undefined;
  /** Folder of the runtime's plugins; undefined: it is not seen. */
  readonly binDir: string | undefined;
  readonly chain: readonly ChainedPlugin[];
  readonly version: CniVersion;
  readonly kernel: Rtnetlink;
  /** Path of the host's network namespace, where it is not the process's own. */
  readonly namespace?: string;
  readonly policy: PolicyKeeper | undefined;
  readonly nft: NftKernel;
  readonly pods: () => ReadonlyMap<string, Pod>;
  readonly node: () => NodeNetwork;
  readonly publisher: PodAddressPublisher;
  readonly onFailure?: AttacherOptions['onFailure'];
  readonly clock: Clock;
  readonly log: Log;
  readonly onCall?: CniServerOptions['onCall'];
  /** Milliseconds that an ADD waits for the pod's object. */
  readonly podPatienceMilliseconds?: number;
  readonly coolDownMilliseconds?: number;
  /** Where pods have addresses of blocks that the node claims; undefined: of the Node's own ranges. */
  readonly blocks?: { readonly allocator: AddressAllocator; readonly addressing: PodAddressing };
  /** In place of the kernel and of the folder. */
  readonly links?: PodLinks;
  readonly ledger?: AttachmentLedger;
}

export class CniPart {
  readonly #options: CniPartOptions;
  readonly #pods: LocalPods;
  readonly #lookup: PodLookup;
  readonly #attacher: Attacher;
  readonly #links: PodLinks;
  readonly #policy: KeptPolicy;
  readonly #addressing: PodAddressing;
  #server: CniServer | undefined;
  #cancelCheck: (() => void) | undefined;
  #cancelConflist: (() => void) | undefined;
  #missingPlugins: { readonly message: string; readonly since: number } | undefined;
  #closed = false;

  private constructor(options: CniPartOptions) {
    const { nodeName, pods, clock, kernel, namespace, policy, log, bootId, node, publisher } = options;
    this.#options = options;
    this.#pods = new LocalPods(nodeName);
    this.#lookup = new PodLookup({ nodeName, pods, clock, patienceMilliseconds: options.podPatienceMilliseconds });
    this.#links = options.links ?? new PodNetwork({ kernel, namespace });
    this.#policy = new KeptPolicy(this.#pods, policy);
    const allocator =
      options.blocks?.allocator ?? new AddressAllocator({ coolDownMilliseconds: options.coolDownMilliseconds });
    this.#addressing = options.blocks?.addressing ?? new NodeRanges(allocator, node, clock);
    this.#attacher = new Attacher({
      bootId,
      node,
      findPod: (pod) => this.#lookup.find(pod),
      allocator,
      addressing: this.#addressing,
      ledger: options.ledger ?? new LedgerFolder(options.ledgerFolder),
      links: this.#links,
      policy: this.#policy,
      publisher,
      onFailure: options.onFailure,
      clock,
      log,
    });
  }

  /**
   * Takes over what the run before attached.
   * @returns the part, and what policy is to be told before anything else
   * @throws the system's error where the state folder cannot be read, KernelError
   */
  static async restore(options: CniPartOptions): Promise<{ part: CniPart; changes: ResourceChange[] }> {
    const part = new CniPart(options);
    await part.#attacher.restore();
    return { part, changes: part.#attacher.attachments().flatMap((attachment) => part.#pods.attach(attachment)) };
  }

  /** The source's changes, when ClusterState has them. */
  onSourceChanges(changes: readonly ResourceChange[]): void {
    this.#lookup.onChanges(changes);
  }

  /** The changes as policy shall see them. */
  translate(changes: readonly ResourceChange[]): ResourceChange[] {
    return this.#pods.translate(changes);
  }

  /** Policy is in force: calls are taken. @throws SocketFileError where another agent answers on the socket */
  async serve(): Promise<void> {
    const { socket, log, onCall } = this.#options;
    await this.#guardSources();
    this.#server = await CniServer.start({
      path: socket,
      handle: (request) => this.#attacher.handle(request),
      onCall,
      log,
    });
    this.#checkLater();
    await this.#writeConflist();
  }

  /** How many calls are under way. */
  calls(): number {
    return this.#server?.calls ?? 0;
  }

  /** How full the node's ranges are. */
  usage() {
    return this.#addressing.usage();
  }

  /** Plugins that were to be chained and are not there; since: milliseconds of the epoch. */
  get missingPlugins(): { readonly message: string; readonly since: number } | undefined {
    return this.#missingPlugins;
  }

  /** How often a pod was refused because no address was left. */
  get refusals(): number {
    return this.#attacher.refusals;
  }

  /** Pods keep their network; the configuration list stays, so that the node is Ready over a restart. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelCheck?.();
    this.#cancelConflist?.();
    this.#lookup.close();
    await this.#server?.close();
    this.#links.close();
  }

  #checkLater(): void {
    this.#cancelCheck = this.#options.clock.after(checkMilliseconds, () => void this.#check());
  }

  async #check(): Promise<void> {
    try {
      await this.#attacher.collectLeaks();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#options.log.error({ error: error.message }, "the pods' links cannot be listed");
    }
    // Someone may have flushed the rules of the host.
    await this.#guardSources();
    // Plugins may have been installed since, or the file taken away.
    if (this.#cancelConflist === undefined) await this.#writeConflist();
    if (!this.#closed) this.#checkLater();
  }

  async #guardSources(): Promise<void> {
    try {
      await installSourceGuard(this.#options.nft);
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      this.#options.log.error({ error: error.message }, 'pods can send from addresses of others');
    }
  }

  async #writeConflist(): Promise<void> {
    this.#cancelConflist = undefined;
    const { confDir, binDir, version, socket, log } = this.#options;
    if (confDir === undefined) return;
    const problem = this.#policy.problem();
    if (problem !== undefined) {
      log.error({ problem }, 'policy is not in force: the network configuration is not written yet');
      this.#writeConflistLater();
      return;
    }
    const { present, missing } = await findChain(this.#options.chain, binDir);
    this.#setMissing(missing.length === 0 ? undefined : withoutPlugins(missing, binDir));
    try {
      if (await writeConflist(confDir, formatConflist({ version, socket, chain: present }))) {
        log.info({ folder: confDir, chain: present }, 'network configuration written: the node can be Ready');
      }
    } catch (error) {
      log.error({ error: String(error), folder: confDir }, 'the network configuration cannot be written');
      this.#writeConflistLater();
    }
  }

  #setMissing(message: string | undefined): void {
    if (message === this.#missingPlugins?.message) return;
    this.#missingPlugins = message === undefined ? undefined : { message, since: Date.now() };
    if (message !== undefined) this.#options.log.warn({ plugins: message }, 'plugins are not there to be chained');
  }

  #writeConflistLater(): void {
    if (this.#closed) return;
    this.#cancelConflist = this.#options.clock.after(conflistRetryMilliseconds, () => void this.#writeConflist());
  }
}
