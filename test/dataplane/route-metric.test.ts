/** Routes with a metric of their own: to the kernel a route is its prefix and its metric, so that another metric is another route. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { RouteTable } from '../../dataplane/route-table.ts';
import type { KernelRoute } from '../../dataplane/types.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { clockWithoutRetries } from '../kit/real-clock.ts';

let here: TestNamespace;
let there: TestNamespace;
let kernel: Rtnetlink;
let links: LinkMonitor;
let table: RouteTable;
let tables: RouteTable[];

beforeEach(() => {
  here = new TestNamespace();
  there = new TestNamespace();
  connectNamespaces(here, 'eth0', there, 'eth0');
  here.ip('addr add 10.0.0.1/24 dev eth0');
  here.ip('addr add fd00::1/64 dev eth0 nodad');
  kernel = new Rtnetlink({ namespace: here.path });
  links = new LinkMonitor({ kernel, clock: clockWithoutRetries });
  tables = [];
  table = openTable();
});

afterEach(() => {
  for (const each of tables) each.close();
  links.close();
  kernel.close();
  here.remove();
  there.remove();
});

function openTable(): RouteTable {
  const opened = new RouteTable({ kernel, links, clock: clockWithoutRetries });
  tables.push(opened);
  return opened;
}

const four = '10.9.0.0/16';
const six = 'fd09::/48';

/** @param hosts last numbers of the gateways */
function route(prefix: string, metric: number | undefined, ...hosts: readonly number[]): KernelRoute {
  const gateway = (host: number) => (prefix === six ? `fd00::${host}` : `10.0.0.${host}`);
  return {
    prefix,
    kind: 'unicast',
    nextHops: hosts.map((host) => ({ gateway: gateway(host), interfaceName: 'eth0' })),
    ...(metric !== undefined && { metric }),
  };
}

function applyAll(): void {
  while (table.apply());
}

/** `METRIC GATEWAY…` of what the kernel has for the prefix under our protocol, the one in force first. */
function held(prefix: string, protocol = '167'): string[] {
  interface Listed {
    readonly metric: number;
    readonly gateway?: string;
    readonly nexthops?: readonly { readonly gateway: string }[];
  }
  const words = `${prefix === six ? '-6 ' : ''}route show ${prefix} proto ${protocol}`;
  const routes = here.ipJson(words) as unknown as Listed[];
  return routes
    .sort((a, b) => a.metric - b.metric)
    .map(({ metric, gateway, nexthops }) => [metric, ...(nexthops?.map((hop) => hop.gateway) ?? [gateway])].join(' '));
}

const gatewayOf = (prefix: string, host: number) => (prefix === six ? `fd00::${host}` : `10.0.0.${host}`);

/** What `ip monitor` tells of the prefix while the block runs, as `add METRIC` and `delete METRIC`. */
async function changesDuring(prefix: string, block: () => void): Promise<string[]> {
  const monitor = spawn('ip', ['-n', here.name, '-o', 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines: string[] = [];
  createInterface({ input: monitor.stdout }).on('line', (line) => lines.push(line));
  /** It has told everything of before once it tells a route that comes and goes for it. */
  const toldAll = () => {
    const before = lines.length;
    return eventually(
      () => {
        for (const word of ['add', 'del']) here.ip(`route ${word} blackhole 198.51.100.77`);
        return lines.slice(before).some((line) => line.includes('198.51.100.77'));
      },
      { reason: 'ip monitor tells' },
    );
  };
  await toldAll();
  block();
  await toldAll();
  const ended = once(monitor, 'exit');
  monitor.kill();
  await ended;
  return lines
    .filter((line) => line.includes(prefix))
    .map((line) => `${line.startsWith('Deleted') ? 'delete' : 'add'} ${/metric (\d+)/.exec(line)?.[1]}`);
}

describe.each([four, six])('%s', (prefix) => {
  const gateway = (host: number) => gatewayOf(prefix, host);

  test('has the metric that it is given, and another one beside ours is no other route of ours', () => {
    table.setDesired(route(prefix, 50, 2, 3));
    applyAll();
    expect(held(prefix)).toEqual([`50 ${gateway(2)} ${gateway(3)}`]);
    expect(table.isInstalled(prefix)).toBe(true);
    expect(table.adopt()).toBe(1);
    expect(table.totals()).toEqual({ desired: 1, actual: 1, adopted: 0, pending: 0, failures: 0 });
    table.removeDesired(prefix);
    applyAll();
    expect(held(prefix)).toEqual([]);
  });

  test.each<[number | undefined, number | undefined, string[]]>([
    [undefined, 50, ['add 50', 'delete 1670']],
    [50, undefined, ['add 1670', 'delete 50']],
    [50, 60, ['add 60', 'delete 50']],
    [60, 50, ['add 50', 'delete 60']],
  ])('from metric %s to %s: the new route comes before the old one goes', async (from, to, expected) => {
    table.setDesired(route(prefix, from, 2));
    applyAll();
    const changes = await changesDuring(prefix, () => {
      table.setDesired(route(prefix, to, 3, 4));
      do expect(held(prefix)).not.toEqual([]);
      while (table.apply(1));
    });
    expect(changes.filter((change, i) => change !== changes[i - 1])).toEqual(expected);
    expect(held(prefix)).toEqual([`${to ?? 1670} ${gateway(3)} ${gateway(4)}`]);
    expect(table.totals()).toEqual({ desired: 1, actual: 1, adopted: 0, pending: 0, failures: 0 });
  });

  test('there and back before anything was applied is nothing', async () => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    const changes = await changesDuring(prefix, () => {
      table.setDesired(route(prefix, undefined, 2));
      table.removeDesired(prefix);
      table.setDesired(route(prefix, 50, 2));
      applyAll();
    });
    expect(changes).toEqual([]);
  });

  test('where the kernel refuses the new one, the old one stays until it takes it', async () => {
    table.setDesired(route(prefix, undefined, 2));
    applyAll();
    const { gateway: missing } = { gateway: prefix === six ? 'fd07::2' : '10.0.7.2' };
    table.setDesired({ ...route(prefix, 50), nextHops: [{ gateway: missing, interfaceName: 'eth0' }] });
    applyAll();
    table.adopt();
    applyAll();
    expect(held(prefix)).toEqual([`1670 ${gateway(2)}`]);
    expect(table.failures()).toMatchObject([{ prefix }]);
    expect(table.isInstalled(prefix)).toBe(false);
    here.ip(`addr add ${prefix === six ? 'fd07::1/64' : '10.0.7.1/24'} dev eth0${prefix === six ? ' nodad' : ''}`);
    await eventually(() => expect(held(prefix)).toEqual([`50 ${missing}`]), { reason: 'the new one alone' });
    expect(table.failures()).toEqual([]);
  });

  test('a stranger at that metric stays, and packets go its way: ours goes from where it was, and comes when it can', async () => {
    here.ip(`route add ${prefix} via ${gateway(9)} metric 50 proto static`);
    table.setDesired(route(prefix, undefined, 2));
    applyAll();
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    await eventually(() => expect(held(prefix)).toEqual([]), { reason: 'ours is gone' });
    const message = 'a route of another owner has this prefix and metric 50';
    expect(table.failures()).toMatchObject([{ prefix, errno: 'EEXIST', message }]);
    expect(held(prefix, 'static')).toEqual([`50 ${gateway(9)}`]);
    table.removeDesired(prefix);
    table.setDesired(route(prefix, 50, 3));
    applyAll();
    expect(held(prefix, 'static')).toEqual([`50 ${gateway(9)}`]);
    here.ip(`route del ${prefix} via ${gateway(9)} metric 50`);
    await eventually(() => expect(held(prefix)).toEqual([`50 ${gateway(3)}`]), { reason: 'ours takes the place' });
  });

  test('a stranger that takes a chosen metric from us keeps it; without ours it is told', async () => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    here.ip(`route replace ${prefix} via ${gateway(9)} metric 50 proto static`);
    await eventually(() => expect(table.failures()).toMatchObject([{ prefix, errno: 'EEXIST' }]), { reason: 'seen' });
    table.setDesired(route(prefix, 50, 3));
    applyAll();
    expect(held(prefix, 'static')).toEqual([`50 ${gateway(9)}`]);
  });

  test.each([
    'route del PREFIX metric 50',
    'route replace PREFIX via GATEWAY metric 50 proto 167',
    'route add PREFIX via GATEWAY metric 1670 proto 167',
    'route add PREFIX via GATEWAY metric 60 proto 167',
    'route flush proto 167',
  ])('after `ip %s` by another it is repaired', async (words) => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    const family = prefix === six ? '-6 ' : '';
    here.ip(family + words.replace('PREFIX', prefix).replace('GATEWAY', gateway(9)));
    await eventually(() => expect(held(prefix)).toEqual([`50 ${gateway(2)}`]), { reason: 'repair' });
    expect(table.failures()).toEqual([]);
  });

  test('an agent that starts again keeps it untouched', async () => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    table.close();
    const changes = await changesDuring(prefix, () => {
      table = openTable();
      expect(table.adopt()).toBe(1);
      expect([...table.adoptedPrefixes()]).toEqual([prefix]);
      table.setDesired(route(prefix, 50, 2));
      applyAll();
      table.releaseAdopted();
      applyAll();
    });
    expect(changes).toEqual([]);
    expect(held(prefix)).toEqual([`50 ${gateway(2)}`]);
  });

  test('where the metric changed while no agent ran, the old one goes as soon as the new one is there', async () => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    table.close();
    table = openTable();
    table.adopt();
    applyAll();
    expect(held(prefix)).toEqual([`50 ${gateway(2)}`]);
    const changes = await changesDuring(prefix, () => {
      table.setDesired(route(prefix, undefined, 3));
      applyAll();
    });
    expect(changes).toEqual(['add 1670', 'delete 50']);
    expect(held(prefix)).toEqual([`1670 ${gateway(3)}`]);
    expect(table.totals()).toEqual({ desired: 1, actual: 1, adopted: 0, pending: 0, failures: 0 });
  });

  test('what no peer tells again after a restart goes with the release', () => {
    table.setDesired(route(prefix, 50, 2));
    applyAll();
    table.close();
    table = openTable();
    table.adopt();
    table.releaseAdopted();
    applyAll();
    expect(held(prefix)).toEqual([]);
  });
});

test('two routes of ours to one prefix, found at the start: the desired one stays, the other goes', () => {
  here.ip(`route add ${four} via 10.0.0.2 metric 1670 proto 167`);
  here.ip(`route add ${four} via 10.0.0.9 metric 50 proto 167`);
  table.adopt();
  table.setDesired(route(four, undefined, 2));
  applyAll();
  expect(held(four)).toEqual(['1670 10.0.0.2']);
});
