/**
 * BIRD's socket as Calico's programs read it: `calicoctl node status`, the readiness probes of calico-node, and its reports of CalicoNodeStatus.
 * They send a command without waiting for the greeting, wait 2 s for each line, tell lines apart by the code in front, and give up where one has
 * none that they know. What is not of the form that they know they leave out, so that a test has to say what must be there.
 */

import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Family } from '../../bgp/ip.ts';

export interface CalicoPeer {
  readonly name: string;
  readonly type: 'global' | 'node-to-node mesh' | 'node specific';
  readonly address: string;
  readonly state: string;
  readonly since: string;
  readonly bgpState: string;
  readonly info: string;
}

export interface CalicoRoute {
  readonly destination: string;
  readonly gateway: string;
  readonly interface: string;
  readonly learnedFrom: string;
  readonly source: 'kernel' | 'static' | 'direct' | 'mesh' | 'peer';
  readonly primary: boolean;
}

export interface CalicoStatus {
  readonly ready: boolean;
  readonly version: string;
  readonly routerId: string;
  readonly serverTime: string;
  readonly lastBoot: string;
  readonly lastReconfiguration: string;
}

const headings = 'name proto table state since info';

const peerTypes = { Global: 'global', Mesh: 'node-to-node mesh', Node: 'node specific' } as const;

/** Kind and address are in the name; between the parts of an address there is `_`. */
function nameParts(name: string, family: Family): { type: CalicoPeer['type']; address: string } | undefined {
  const [, word, rest] = /^(Global|Node|Mesh)_(.+)$/.exec(name) ?? [];
  if (word === undefined) return undefined;
  const address = rest.replaceAll('_', family === 'ipv4' ? '.' : ':');
  return { type: peerTypes[word as keyof typeof peerTypes], address };
}

/** The lines up to the one with the code `last`, which is left out. */
async function* linesOf(socket: string, command: string, last: string): AsyncGenerator<string> {
  const connection = connect({ path: socket });
  connection.setTimeout(2000, () => connection.destroy(new Error(`'${command}': no line in 2 s`)));
  connection.write(`${command}\n`);
  try {
    for await (const line of createInterface({ input: connection })) {
      if (line.startsWith(last)) return;
      yield line;
    }
    throw new Error(`'${command}': no line ${last}`);
  } finally {
    connection.destroy();
  }
}

export async function readPeers(socket: string, family: Family): Promise<CalicoPeer[]> {
  const peers: CalicoPeer[] = [];
  for await (const line of linesOf(socket, 'show protocols', '0000')) {
    if (line.startsWith('0001')) continue;
    if (line.startsWith('2002')) {
      const found = line.slice(5).trim().split(/\s+/).join(' ');
      if (found !== headings) throw new Error(`the columns are ${found}`);
      continue;
    }
    if (!line.startsWith('1002') && !line.startsWith(' ')) throw new Error(`not expected: '${line}'`);
    const columns = line
      .slice(line.startsWith(' ') ? 1 : 5)
      .trim()
      .split(/\s+/);
    const [name, protocol, , state, since, bgpState, ...info] = columns;
    const parts = columns.length < 6 || protocol !== 'BGP' ? undefined : nameParts(name, family);
    if (parts !== undefined) peers.push({ name, ...parts, state, since, bgpState, info: info.join(' ') });
  }
  return peers;
}

/** What calico-node asks besides of each peer that it found. */
export async function readPeer(socket: string, name: string): Promise<{ bgpState: string; address: string }> {
  const found = { bgpState: '', address: '' };
  for await (const line of linesOf(socket, `show protocols all ${name}`, '0000')) {
    const [, label, value] = /(BGP state|Neighbor address):(.*)$/.exec(line) ?? [];
    if (label !== undefined) found[label === 'BGP state' ? 'bgpState' : 'address'] = value.trim();
  }
  return found;
}

export async function readStatus(socket: string): Promise<CalicoStatus> {
  const lines: string[] = [];
  for await (const line of linesOf(socket, 'show status', '0013')) {
    if (!/^(?:0001|1000|1011)|^ /.test(line)) throw new Error(`not expected: '${line}'`);
    lines.push(line.slice(line.startsWith(' ') ? 1 : 5));
  }
  const after = (beginning: string) => lines.find((line) => line.startsWith(beginning))?.slice(beginning.length) ?? '';
  return {
    ready: lines.some((line) => line.includes('BIRD') && line.includes('ready')),
    version: lines.find((line) => line.startsWith('BIRD v') && !line.includes('ready'))?.slice(5) ?? '',
    routerId: after('Router ID is '),
    serverTime: after('Current server time is '),
    lastBoot: after('Last reboot on '),
    lastReconfiguration: after('Last reconfiguration on '),
  };
}

export async function readRoutes(socket: string, family: Family): Promise<CalicoRoute[]> {
  const routes: CalicoRoute[] = [];
  for await (const line of linesOf(socket, 'show route', '0000')) {
    if (line.startsWith('0001')) continue;
    if (!line.startsWith('1007') && !line.startsWith(' ')) throw new Error(`not expected: '${line}'`);
    routes.push(routeOf(line.slice(line.startsWith(' ') ? 1 : 5), family, routes.at(-1)?.destination));
  }
  return routes;
}

/** @param before the prefix of the line above: a further path of it has none of its own. */
function routeOf(line: string, family: Family, before: string | undefined): CalicoRoute {
  const [, prefix, way, learnedFrom] =
    /^(\S*)\s*(via \S+ on .+|dev .+|blackhole|unreachable) \[(\S+) [^\]]*\]/.exec(line) ?? [];
  if (way === undefined) throw new Error(`no route: '${line}'`);
  const destination = prefix === '' ? before : prefix;
  if (destination === undefined) throw new Error(`of which prefix? '${line}'`);
  const [word, gateway, , via] = way.split(' ');
  return {
    destination,
    gateway: word === 'via' ? gateway : 'N/A',
    interface: word === 'via' ? via : word === 'dev' ? gateway : word,
    learnedFrom,
    source: sourceOf(learnedFrom, family),
    primary: line.includes('] *'),
  };
}

/** One name that is not known, and calico-node reports no route at all. */
function sourceOf(name: string, family: Family): CalicoRoute['source'] {
  for (const word of ['kernel', 'static', 'direct'] as const) if (name.startsWith(word)) return word;
  const parts = nameParts(name, family);
  if (parts === undefined) throw new Error(`a route of ${name}`);
  return parts.type === 'node-to-node mesh' ? 'mesh' : 'peer';
}

/**
 * @param isNew calico-node has just been started: every peer must be established, and no graceful restart may be going on; later one peer is enough.
 * @returns why the probe fails; undefined: ready
 */
export async function whyNotReady(socket: string, family: Family, isNew: boolean): Promise<string | undefined> {
  const peers = await readPeers(socket, family);
  const down = peers.filter(({ bgpState }) => bgpState !== 'Established').map(({ address }) => address);
  if (peers.length === 0) return undefined;
  if (down.length > 0 && (isNew || down.length === peers.length)) return `BGP not established with ${down.join(',')}`;
  return isNew && (await isRestarting(socket)) ? 'graceful restart in progress' : undefined;
}

async function isRestarting(socket: string): Promise<boolean> {
  for await (const line of linesOf(socket, 'show status', '0013')) {
    if (line.startsWith('0024')) return true;
    if (!/^(?:0001|1000|1011)|^ /.test(line)) throw new Error(`not expected: '${line}'`);
  }
  return false;
}
