/**
 * The plugin's work: attaches and detaches pods, one call at a time for a container.
 *
 *     ADD   pod's labels ─► addresses ─► ledger and policy ─► link, down ─► link up ─► published ─► result
 *
 * Holds: a pod's link is made when its policy is in the kernel and its record on disk; an ADD that fails takes back every step
 * it made; ADD of what is there is the same result again; DEL of what is not there is done.
 */

import { KernelError, type Clock, type PodLink } from '../../../dataplane/index.ts';
import { CniError, CniErrorCode } from '../../cni/cni-error.ts';
import type { AddRequest, AttachmentKey, CniRequest, PodName } from '../../cni/request.ts';
import { formatResult } from '../../cni/result.ts';
import type { AddressAllocator, Allocation, RangeUsage } from '../../ipam/address-allocator.ts';
import { ipAddressesAnnotation, parseAddressList } from '../../ipam/annotations.ts';
import type { Pod } from '../../resources/pod.ts';
import { unreachable } from '../../unreachable.ts';
import type { Log } from '../log.ts';
import { linkNamesOf, ownerOf, toPodLink, toResult, type Attachment } from './attachment.ts';
import type { AttachmentLedger } from './ledger.ts';
import type { PodAddressPublisher } from './publisher.ts';

/** The kernel's part; dataplane's PodNetwork is one. */
export interface PodLinks {
  prepare(link: PodLink): void;
  connect(link: PodLink): void;
  remove(hostName: string): Promise<boolean>;
  close(): void;
  differences(link: PodLink): readonly string[];
  hostLinks(): readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** Policy's part: resolves when the kernel judges the pod's packets. */
export interface PodPolicy {
  /** @throws CniError where policy cannot be put in force. */
  attach(attachment: Attachment, object: Pod | undefined): Promise<void>;
  detach(attachment: Attachment): Promise<void>;
  addressesOf(attachment: Attachment): readonly string[];
  /** Why it is not in force; undefined: it is. */
  problem(): string | undefined;
}

/** Decides which addresses a pod gets: of the Node's own ranges, or of blocks that it claims. */
export interface PodAddressing {
  allocate(request: AddressRequest): Promise<Allocation>;
  /** What a person must put right before a pod can have an address. */
  problem(): string | undefined;
  usage(): RangeUsage[];
}

export interface AddressRequest {
  readonly owner: string;
  readonly requested: readonly string[];
  /** Absent: no pod of Kubernetes. */
  readonly object: Pod | undefined;
}

/** What of the node an attachment depends on. */
export interface NodeNetwork {
  /** Of the Node object. */
  readonly podRanges: readonly string[];
  /** Addresses and CIDRs. */
  readonly reserved: readonly string[];
  readonly mtu: number;
  /** What a person must put right before a pod can have an address. */
  readonly problem: string | undefined;
}

export interface AddFailure {
  /** undefined: no pod of Kubernetes. */
  readonly pod: PodName | undefined;
  /** noNetwork: policy, the kernel or the disk refused. */
  readonly kind: 'noAddress' | 'noNetwork';
  readonly reason: string;
  /** What keeps every pod of the node from an address. */
  readonly nodeProblem: string | undefined;
}

export interface AttacherOptions {
  readonly bootId: string;
  readonly node: () => NodeNetwork;
  readonly findPod: (pod: PodName) => Promise<Pod>;
  /** Who has which address. */
  readonly allocator: AddressAllocator;
  readonly addressing: PodAddressing;
  readonly ledger: AttachmentLedger;
  readonly links: PodLinks;
  readonly policy: PodPolicy;
  readonly publisher: PodAddressPublisher;
  /** An ADD has failed for a reason that people may have to see to. */
  readonly onFailure?: (failure: AddFailure) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** The pod's own interface, as every runtime of Kubernetes calls it; others are further ones (Multus). */
const primaryInterface = 'eth0';

export class Attacher {
  readonly #options: AttacherOptions;
  readonly #attachments = new Map<string, Attachment>();
  /** Links without a record, by name; their addresses are held by `link NAME`. */
  readonly #strays = new Set<string>();
  /** By container id: the end of its last call. */
  readonly #turns = new Map<string, Promise<unknown>>();

  #refusals = 0;

  constructor(options: AttacherOptions) {
    this.#options = options;
  }

  /** How often no address was left. */
  get refusals(): number {
    return this.#refusals;
  }

  /**
   * Takes over what the run before attached, as far as the kernel still has it.
   * @throws the system's error where the ledger cannot be read, KernelError
   */
  async restore(): Promise<void> {
    const { ledger, links, log, bootId, allocator } = this.#options;
    const { attachments, problems } = await ledger.read();
    for (const problem of problems) log.error({ problem }, 'a record of an attachment cannot be read');
    const present = new Map(links.hostLinks().map((link) => [link.name, link]));
    for (const attachment of attachments) {
      // After a reboot the links are gone; in this boot a link goes with its pod's namespace.
      if (attachment.bootId !== bootId || !present.delete(attachment.hostName)) {
        log.info({ container: attachment.containerId, addresses: attachment.addresses }, 'an attachment is no more');
        await ledger.remove(attachment);
        continue;
      }
      this.#attachments.set(ownerOf(attachment), attachment);
      allocator.restore(ownerOf(attachment), attachment.addresses);
    }
    for (const { name, addresses } of present.values()) {
      log.warn({ name, addresses }, 'a link of a pod has no record; its addresses are not given away');
      this.#strays.add(name);
      allocator.restore(strayOwner(name), addresses);
    }
  }

  attachments(): readonly Attachment[] {
    return [...this.#attachments.values()];
  }

  /** @returns what the runtime is to read; undefined: nothing. @throws CniError, or an error of ours */
  handle(request: CniRequest): Promise<object | undefined> {
    switch (request.command) {
      case 'ADD':
        return this.#inTurn(request, () => this.#add(request));
      case 'DEL':
        return this.#inTurn(request, () => this.#delete(request));
      case 'CHECK':
        return this.#inTurn(request, async () => this.#check(request, request.previousAddresses));
      case 'GC':
        return this.#collect(request.network, request.valid);
      case 'STATUS':
        return this.#status();
      default:
        return unreachable(request);
    }
  }

  /** Forgets attachments whose link the kernel no longer has: a namespace that ended without a DEL. @throws KernelError */
  async collectLeaks(): Promise<void> {
    const { links, allocator, clock, log } = this.#options;
    const present = new Set(links.hostLinks().map(({ name }) => name));
    for (const name of this.#strays) {
      if (present.has(name)) continue;
      this.#strays.delete(name);
      allocator.release(strayOwner(name), clock.now());
    }
    for (const attachment of this.attachments()) {
      if (present.has(attachment.hostName)) continue;
      await this.#inTurn(attachment, async () => {
        // Between the question and our turn it may have been deleted or made anew.
        if (this.#attachments.get(ownerOf(attachment)) !== attachment) return;
        if (links.hostLinks().some(({ name }) => name === attachment.hostName)) return;
        log.info({ container: attachment.containerId }, 'an attachment whose namespace ended is forgotten');
        await this.#detach(attachment);
      });
    }
  }

  async #add(request: AddRequest): Promise<object> {
    const { links, findPod } = this.#options;
    const before = this.#attachments.get(ownerOf(request));
    if (before !== undefined) {
      if (before.namespace === request.namespace && links.differences(toPodLink(before)).length === 0) {
        return formatResult(toResult(before), request.version);
      }
      await links.remove(before.hostName);
    } else await this.#removeStray(linkNamesOf(request).hostName);
    const object = request.pod && (await findPod(request.pod));
    const attachment = await this.#telling(request, 'noAddress', () => this.#plan(request, object));
    await this.#telling(request, 'noNetwork', async () => {
      try {
        await this.#attach(attachment, object);
      } catch (error) {
        await this.#takeBack(attachment);
        throw toCniError(error);
      }
    });
    return formatResult(toResult(attachment), request.version);
  }

  async #telling<T>({ pod }: AddRequest, kind: AddFailure['kind'], work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CniError) {
        const reason = kind === 'noAddress' ? (error.details ?? error.message) : describeError(error);
        this.#options.onFailure?.({ pod, kind, reason, nodeProblem: this.#nodeProblem() });
      }
      throw error;
    }
  }

  #nodeProblem(): string | undefined {
    const { node, addressing } = this.#options;
    return node().problem ?? addressing.problem();
  }

  /** Everything that is decided before anything is made. @throws CniError */
  async #plan(request: AddRequest, object: Pod | undefined): Promise<Attachment> {
    const { addressing, node, clock, bootId } = this.#options;
    const { containerId, ifName, network, namespace, pod, routes } = request;
    const { problem } = node();
    if (problem !== undefined) throw new CniError(CniErrorCode.tryAgainLater, 'no address for the pod', problem);
    const names = linkNamesOf(request);
    const allocation = await addressing.allocate({
      owner: ownerOf(request),
      requested: requestedAddresses(request, object),
      object,
    });
    if (allocation.kind === 'refused') {
      if (allocation.exhausted !== undefined) this.#refusals++;
      const code = allocation.passing ? CniErrorCode.tryAgainLater : CniErrorCode.invalidConfig;
      throw new CniError(code, 'no address for the pod', allocation.reason);
    }
    return {
      bootId,
      network,
      containerId,
      ifName,
      namespace,
      ...(pod !== undefined && {
        pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid, labels: { ...object?.metadata.labels } },
      }),
      addresses: [...allocation.addresses],
      ...names,
      podMac: request.requestedMac ?? names.podMac,
      // A block that was claimed for this pod may be the first that travels in a tunnel.
      mtu: request.mtu ?? node().mtu,
      defaultRoute: ifName === primaryInterface,
      routes: [...routes],
      attachedAt: clock.now(),
    };
  }

  async #attach(attachment: Attachment, object: Pod | undefined): Promise<void> {
    const { ledger, policy, links, publisher } = this.#options;
    const link = toPodLink(attachment);
    this.#attachments.set(ownerOf(attachment), attachment);
    // Both are waited for: what is taken back must not be under way.
    const steps = await Promise.allSettled([ledger.write(attachment), policy.attach(attachment, object)]);
    for (const step of steps) if (step.status === 'rejected') throw step.reason;
    links.prepare(link);
    links.connect(link);
    if (attachment.pod !== undefined) publisher.publish(toPodName(attachment), policy.addressesOf(attachment));
  }

  /** What fails here is told and passed over: the call has failed already, and DEL comes. */
  async #takeBack(attachment: Attachment): Promise<void> {
    const { allocator, log } = this.#options;
    // Nobody has seen the addresses.
    allocator.forget(ownerOf(attachment));
    try {
      await this.#detach(attachment);
    } catch (error) {
      log.error({ error: String(error), container: attachment.containerId }, 'a failed ADD could not be taken back');
    }
  }

  async #delete(key: AttachmentKey): Promise<undefined> {
    const attachment = this.#attachments.get(ownerOf(key));
    try {
      if (attachment !== undefined) await this.#detach(attachment);
      else {
        await this.#removeStray(linkNamesOf(key).hostName);
        await this.#removeRecord(key);
      }
    } catch (error) {
      throw toCniError(error);
    }
  }

  /** @throws KernelError */
  async #removeStray(hostName: string): Promise<void> {
    const { links, allocator, clock } = this.#options;
    if (!this.#strays.has(hostName)) return;
    await links.remove(hostName);
    this.#strays.delete(hostName);
    allocator.release(strayOwner(hostName), clock.now());
  }

  /** @throws KernelError */
  async #detach(attachment: Attachment): Promise<void> {
    const { links, allocator, policy, clock } = this.#options;
    await links.remove(attachment.hostName);
    this.#attachments.delete(ownerOf(attachment));
    allocator.release(ownerOf(attachment), clock.now());
    await policy.detach(attachment);
    await this.#removeRecord(attachment);
  }

  async #removeRecord(key: AttachmentKey): Promise<void> {
    const { ledger, log } = this.#options;
    try {
      await ledger.remove(key);
    } catch (error) {
      // The next start finds a record without a link, and drops it.
      log.error({ error: String(error) }, 'the record of an attachment cannot be removed');
    }
  }

  #check(key: AttachmentKey, previousAddresses: readonly string[]): undefined {
    const attachment = this.#attachments.get(ownerOf(key));
    if (attachment === undefined) {
      throw new CniError(CniErrorCode.unknownContainer, `no attachment of ${ownerOf(key)} is known`);
    }
    const lost = previousAddresses.filter((address) => !attachment.addresses.includes(address));
    const differences = [
      ...lost.map((address) => `${address} is not an address of the attachment`),
      ...this.#options.links.differences(toPodLink(attachment)),
    ];
    if (differences.length === 0) return;
    throw new CniError(CniErrorCode.notAsMade, "the pod's network is not as it was made", differences.join('; '));
  }

  /** Detaches what the runtime no longer knows of the network. */
  async #collect(network: string, valid: readonly AttachmentKey[]): Promise<undefined> {
    const known = new Set(valid.map(ownerOf));
    const failures: string[] = [];
    for (const attachment of this.attachments()) {
      const owner = ownerOf(attachment);
      if (attachment.network !== network || known.has(owner)) continue;
      try {
        await this.#inTurn(attachment, async () => {
          if (this.#attachments.get(owner) === attachment) await this.#detach(attachment);
        });
      } catch (error) {
        failures.push(`${owner}: ${toCniError(error).message}`);
      }
    }
    if (failures.length > 0) throw new CniError(CniErrorCode.ioFailure, 'not everything is gone', failures.join('; '));
  }

  async #status(): Promise<undefined> {
    const problem = this.#options.policy.problem();
    if (problem !== undefined) throw new CniError(CniErrorCode.notAvailable, 'policy is not in force', problem);
    const reason = this.#nodeProblem();
    if (reason !== undefined) throw new CniError(CniErrorCode.notAvailable, 'no pod can have an address', reason);
  }

  #inTurn<T>({ containerId }: AttachmentKey, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(containerId) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(containerId, turn);
    const end = () => {
      if (this.#turns.get(containerId) === turn) this.#turns.delete(containerId);
    };
    turn.then(end, end);
    return turn;
  }
}

function strayOwner(name: string): string {
  return `link ${name}`;
}

function toPodName({ pod }: Attachment): PodName {
  return { namespace: pod!.namespace, name: pod!.name, uid: pod!.uid };
}

function describeError({ message, details }: CniError): string {
  return details === undefined ? message : `${message}: ${details}`;
}

/** The runtime's wish, else the pod's annotation, which means its own interface. @throws CniError */
function requestedAddresses({ requestedAddresses: wanted, ifName }: AddRequest, object: Pod | undefined) {
  const text = object?.metadata.annotations[ipAddressesAnnotation];
  if (wanted.length > 0 || text === undefined || ifName !== primaryInterface) return wanted;
  const list = parseAddressList(text);
  if ('addresses' in list) return list.addresses;
  throw new CniError(CniErrorCode.invalidConfig, `the annotation ${ipAddressesAnnotation} is invalid`, list.reason);
}

/** The world's refusals as the runtime shall read them; our own errors stay as they are. */
function toCniError(error: unknown): Error {
  if (error instanceof CniError) return error;
  if (error instanceof KernelError) {
    const namespace = error.operation.startsWith('open(');
    const code = namespace ? CniErrorCode.invalidNamespace : CniErrorCode.tryAgainLater;
    return new CniError(code, "the kernel refused the pod's network", error.message);
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && /^E[A-Z]+$/.test(code)) {
    return new CniError(CniErrorCode.tryAgainLater, 'the attachment cannot be recorded', message);
  }
  return error instanceof Error ? error : new Error(String(error));
}
