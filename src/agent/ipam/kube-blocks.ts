/**
 * IPAMBlocks at the API server. Creating one is the compare-and-swap: the name is made of the CIDR, and the server lets one succeed.
 * Holds: what is deleted or lent is the object that was looked at (its uid and resourceVersion are the precondition).
 */

import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';
import { godwitApiVersion } from '../../resources/define.ts';
import { ipamBlockName, lentByAnnotation, type IpamBlock } from '../../resources/ipam-block.ts';

export type Claim =
  | { readonly kind: 'claimed' }
  | { readonly kind: 'taken'; readonly node: string | undefined }
  /** The server did not answer, or refused. The block may be ours all the same: the watch will tell. */
  | { readonly kind: 'failed'; readonly reason: string };

/** Where blocks are claimed and given back. */
export interface BlockRegistry {
  claim(spec: IpamBlock['spec']): Promise<Claim>;
  /**
   * Deletes the block of a node, if it is still that node's.
   * @returns why not; undefined: it is gone
   */
  release(cidr: string, node: string): Promise<string | undefined>;
  /**
   * Writes on a block of one address, if it is still that node's, that it is lent to it.
   * @returns why not; undefined: it is written
   */
  lend(cidr: string, node: string, lender: string): Promise<string | undefined>;
}

interface StoredBlock {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
  readonly spec?: { readonly node?: string };
}

const collection = `/apis/${godwitApiVersion}/ipamblocks`;

export class KubeBlocks implements BlockRegistry {
  readonly #client: KubeClient;
  /** Milliseconds; a pod waits for it. */
  readonly #idle: number;

  constructor(client: KubeClient, idle = 5000) {
    this.#client = client;
    this.#idle = idle;
  }

  async claim(spec: IpamBlock['spec']): Promise<Claim> {
    const name = ipamBlockName(spec.cidr);
    const body = { apiVersion: godwitApiVersion, kind: 'IPAMBlock', metadata: { name }, spec };
    try {
      await this.#client.request('POST', collection, { body, idle: this.#idle });
      return { kind: 'claimed' };
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.kind !== 'alreadyExists') return { kind: 'failed', reason: error.message };
    }
    try {
      const node = (await this.#read(name))?.spec?.node;
      // An answer that was lost: the block has been ours since.
      return node === spec.node ? { kind: 'claimed' } : { kind: 'taken', node };
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      return { kind: 'failed', reason: error.message };
    }
  }

  async release(cidr: string, node: string): Promise<string | undefined> {
    const name = ipamBlockName(cidr);
    try {
      const stored = await this.#read(name);
      if (stored === undefined) return undefined;
      if (stored.spec?.node !== node) return `it is of node ${stored.spec?.node}`;
      const { uid, resourceVersion } = stored.metadata;
      await this.#client.request('DELETE', `${collection}/${name}`, {
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
        idle: this.#idle,
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      return error.kind === 'notFound' ? undefined : error.message;
    }
  }

  async lend(cidr: string, node: string, lender: string): Promise<string | undefined> {
    const name = ipamBlockName(cidr);
    try {
      const stored = await this.#read(name);
      if (stored?.spec?.node !== node) return 'it is asked for no more';
      const { uid, resourceVersion } = stored.metadata;
      await this.#client.request('PATCH', `${collection}/${name}`, {
        body: { metadata: { uid, resourceVersion, annotations: { [lentByAnnotation]: lender } } },
        contentType: 'application/merge-patch+json',
        idle: this.#idle,
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      return error.message;
    }
  }

  async #read(name: string): Promise<StoredBlock | undefined> {
    try {
      return (await this.#client.request('GET', `${collection}/${name}`, { idle: this.#idle })) as StoredBlock;
    } catch (error) {
      if (error instanceof KubeError && error.kind === 'notFound') return undefined;
      throw error;
    }
  }
}
