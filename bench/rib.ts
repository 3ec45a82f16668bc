/**
 * The RIB alone, without sockets: a table in, two reflector clients out; then many clients with few prefixes each.
 *
 *     node --expose-gc bench/rib.ts [prefixes] [clients]
 *
 * Prints seconds and memory. The whole speaker is timed by other means; this shows where its time goes.
 */

import { Rib } from '../bgp/rib/rib.ts';
import type { RibPeer } from '../bgp/rib/rib-types.ts';
import { random, updateBody } from './kit/updates.ts';

const [prefixCount = 500_000, clientCount = 500] = process.argv.slice(2).map(Number);

function peer(name: string, number: number): RibPeer {
  const address = `10.9.${1 + (number >> 8)}.${number & 255}`;
  return {
    name,
    address,
    localAddress: '10.9.0.1',
    remoteAs: 65000,
    localAs: 65000,
    peerType: 'iBGP',
    remoteRouterId: address,
    reflectorClient: true,
    families: ['ipv4'],
    fourOctetAs: true,
    extendedNextHop: false,
    ipv6NextHopForIpv4: false,
    maximumMessageSize: 4096,
    nextHopMode: 'auto',
    allowedOwnAs: 0,
  };
}

function megabytes(): string {
  return `${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`;
}

function report(what: string, start: number, detail: string): void {
  console.log(`${what.padEnd(34)} ${((performance.now() - start) / 1000).toFixed(3)} s   ${detail}   ${megabytes()}`);
}

/** Takes all output of the peers, a quarter of a MiB at a time. @returns bytes */
function drain(rib: Rib, peers: readonly number[]): number {
  let bytes = 0;
  for (let more = true; more;) {
    more = false;
    for (const id of peers) {
      for (const part of rib.takeOutput(id, 256 * 1024)) bytes += part.length;
      more ||= rib.hasOutput(id);
    }
  }
  return bytes;
}

function table(): void {
  const bodies: Uint8Array[] = [];
  for (let first = 0; first < prefixCount;) {
    const count = Math.min(1 + random(11), prefixCount - first);
    bodies.push(updateBody(first, count, 257, 1 + random(4) + random(4)));
    first += count;
  }
  globalThis.gc?.();
  console.log(`${prefixCount} prefixes in ${bodies.length} UPDATEs, before: ${megabytes()}`);
  const rib = new Rib({
    local: { asNumber: 65000, routerId: '10.9.0.1', clusterId: '10.9.0.1', maximumPaths: 1 },
    seed: 1,
  });
  const feeder = rib.openPeer(peer('feeder', 257));
  const sinks = [rib.openPeer(peer('sink1', 258)), rib.openPeer(peer('sink2', 259))];
  drain(rib, [feeder, ...sinks]);
  let start = performance.now();
  for (const body of bodies) rib.receiveUpdate(feeder, body);
  report('receive', start, `${rib.totals('ipv4').attributes} sets`);
  start = performance.now();
  const bytes = drain(rib, sinks);
  report('tell two sinks', start, `${(bytes / 2 ** 20).toFixed(1)} MiB`);
  start = performance.now();
  const late = rib.openPeer(peer('late', 260));
  drain(rib, [late]);
  report('tell a late third', start, '');
  start = performance.now();
  rib.closePeer(feeder, []);
  while (rib.work(() => false));
  report('feeder gone', start, '');
  start = performance.now();
  drain(rib, [...sinks, late]);
  while (rib.work(() => false));
  report('tell three, forget', start, `${rib.totals('ipv4').prefixes} prefixes left`);
}

function mesh(): void {
  const rib = new Rib({ local: { asNumber: 65000, routerId: '10.9.0.1', maximumPaths: 1 }, seed: 1 });
  const clients = Array.from({ length: clientCount }, (_, i) => rib.openPeer(peer(`client${i}`, i + 1)));
  drain(rib, clients);
  let start = performance.now();
  for (let i = 0; i < clientCount; i++) {
    rib.receiveUpdate(clients[i], updateBody(i * 4, 4, i + 1, 0));
    if (i % 20 === 0) drain(rib, clients);
  }
  drain(rib, clients);
  report(`mesh ${clientCount} x 4`, start, '');
  start = performance.now();
  const rounds = 100;
  const withdrawal = Uint8Array.of(0, 4, 24, 0, 0, 0, 0, 0);
  for (let i = 0; i < rounds; i++) {
    rib.receiveUpdate(clients[0], withdrawal);
    drain(rib, clients);
    rib.receiveUpdate(clients[0], updateBody(0, 1, 1, 0));
    drain(rib, clients);
  }
  console.log(`one change to all clients: ${((performance.now() - start) / rounds / 2).toFixed(3)} ms`);
}

table();
mesh();
