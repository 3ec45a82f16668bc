/** What of Godwit's is in a node's kernel and on its disk, asked by `ip`, `nft` and `ls`. */

import type { NetworkHost } from './host.ts';

/** Sorted lists of text. */
export interface NodeView {
  /** Links of pods. */
  readonly podLinks: readonly string[];
  /** Routes of pods, and routes learnt by BGP. */
  readonly podRoutes: readonly string[];
  readonly bgpRoutes: readonly string[];
  /** The records of pods' attachments. */
  readonly ledger: readonly string[];
  /** `SET: ELEMENT` of our tables. */
  readonly nftElements: readonly string[];
  readonly nftTables: readonly string[];
  readonly networkNamespaces: readonly string[];
  readonly files: readonly string[];
}

/** Routing-protocol numbers of ours: docs/cni.md, docs/architecture.md. */
const protocols = { podRoutes: '168', bgpRoutes: '167' } as const;

const folders = ['/etc/cni/net.d', '/opt/cni/bin', '/var/lib/godwit', '/run/godwit'];

export async function viewNode(host: NetworkHost): Promise<NodeView> {
  const json = async (words: string): Promise<Record<string, unknown>[]> => {
    const text = (await host.run(words.split(' '))).trim();
    return text === '' ? [] : (JSON.parse(text) as Record<string, unknown>[]);
  };
  const list = (words: string): Promise<string[]> =>
    host.run(words.split(' ')).then((text) => text.split('\n').filter(Boolean));
  const routesOf = async (protocol: string): Promise<string[]> => {
    const lists = await Promise.all(
      ['-4', '-6'].map((family) => json(`ip ${family} -j route show table all proto ${protocol}`)),
    );
    return lists
      .flat()
      .map(({ dst }) => String(dst))
      .sort();
  };
  const ruleset = JSON.parse(await host.run(['nft', '-j', 'list', 'ruleset'])) as {
    nftables: Record<string, NftObject>[];
  };
  const ours = ruleset.nftables
    .flatMap((entry) => Object.entries(entry))
    .filter(([kind, { name, table }]) => (kind === 'table' ? name : table)?.startsWith('godwit') === true);
  return {
    // For a link that the filter leaves out, `ip` prints an empty object.
    podLinks: (await json('ip -j link show group 26487')).flatMap(({ ifname }) => (ifname as string) ?? []).sort(),
    podRoutes: await routesOf(protocols.podRoutes),
    bgpRoutes: await routesOf(protocols.bgpRoutes),
    ledger: (await list('find /var/lib/godwit/cni -type f -printf %f\\n').catch(() => [])).sort(),
    nftElements: ours
      .flatMap(([, { name, elem }]) => (elem ?? []).map((element) => `${name}: ${JSON.stringify(element)}`))
      .sort(),
    nftTables: ours.filter(([kind]) => kind === 'table').map(([, { name }]) => name),
    networkNamespaces: (await list('ls /run/netns')).sort(),
    files: (await list(`find ${folders.join(' ')} -path */last-known -prune -o -type f -print`).catch(() => [])).sort(),
  };
}

interface NftObject {
  readonly name: string;
  readonly table?: string;
  readonly elem?: readonly unknown[];
}
