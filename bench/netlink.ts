/**
 * The route table against `ip -batch`, in a network namespace of its own: adds, replaces, deletes and dumps of IPv4 routes.
 * Usage: node bench/netlink.ts [ROUTES]; wants root. Ratios above 1 say how many times faster we are.
 */

import { LinkMonitor } from '../dataplane/links.ts';
import { Rtnetlink } from '../dataplane/netlink/rtnetlink.ts';
import { RouteTable } from '../dataplane/route-table.ts';
import { connectNamespaces, TestNamespace } from '../test/kit/netns.ts';
import { realClock } from '../test/kit/real-clock.ts';

const count = Number(process.argv[2] ?? 50_000);
const prefixes = Array.from({ length: count }, (_, i) => `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`);
const here = new TestNamespace();
const there = new TestNamespace();
connectNamespaces(here, 'eth0', there, 'eth0');
here.ip('addr add 10.0.0.1/24 dev eth0');
const kernel = new Rtnetlink({ namespace: here.path });
const links = new LinkMonitor({ kernel, clock: realClock });

function milliseconds(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

const results = new Map<string, { ip: number; ours: number }>();

function record(name: string, who: 'ip' | 'ours', time: number): void {
  const before = results.get(name) ?? { ip: Infinity, ours: Infinity };
  results.set(name, { ...before, [who]: Math.min(before[who], time) });
}

function setAll(table: RouteTable, gateway: string): void {
  for (const prefix of prefixes) {
    table.setDesired({ prefix, kind: 'unicast', nextHops: [{ gateway, interfaceName: 'eth0' }] });
  }
  while (table.apply());
}

for (let round = 0; round < 3; round++) {
  const line = (verb: string, gateway: string) =>
    prefixes.map((prefix) => `route ${verb} ${prefix} ${gateway} proto 99`);
  const [adds, replaces, deletes] = [
    line('add', 'via 10.0.0.2 dev eth0'),
    line('replace', 'via 10.0.0.3 dev eth0'),
    line('del', ''),
  ];
  record(
    'add',
    'ip',
    milliseconds(() => here.ipBatch(adds)),
  );
  record(
    'replace',
    'ip',
    milliseconds(() => here.ipBatch(replaces)),
  );
  record(
    'dump',
    'ip',
    milliseconds(() => here.ip('-4 route show proto 99')),
  );
  record(
    'delete',
    'ip',
    milliseconds(() => here.ipBatch(deletes)),
  );

  const table = new RouteTable({ kernel, links, clock: realClock });
  table.adopt();
  record(
    'add',
    'ours',
    milliseconds(() => setAll(table, '10.0.0.2')),
  );
  record(
    'replace',
    'ours',
    milliseconds(() => setAll(table, '10.0.0.3')),
  );
  record(
    'dump',
    'ours',
    milliseconds(() => table.adopt()),
  );
  record(
    'delete',
    'ours',
    milliseconds(() => {
      for (const prefix of prefixes) table.removeDesired(prefix);
      while (table.apply());
    }),
  );
  if (table.failures().length > 0 || table.totals().actual !== 0) throw new Error('the bench itself is broken');
  table.close();
}

console.log(`${count} IPv4 routes, best of 3; ours from setDesired to the last acknowledgement, dump with comparison`);
for (const [name, { ip, ours }] of results) {
  console.log(`${name.padEnd(8)} ip ${ip.toFixed(0)} ms  ours ${ours.toFixed(0)} ms  ratio ${(ip / ours).toFixed(2)}`);
}
links.close();
kernel.close();
here.remove();
there.remove();
