import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { godwitMetric } from '../../dataplane/ownership.ts';
import { RouteTable } from '../../dataplane/route-table.ts';
import type { KernelNextHop, KernelRoute } from '../../dataplane/types.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { clockWithoutRetries } from '../kit/real-clock.ts';

const prefixes = ['10.9.0.0/24', '10.9.1.0/24', '10.8.0.0/16', 'fd09::/64', 'fd09:1::/64'];
const isSix = (prefix: string) => prefix.includes(':');
const gateways = (prefix: string) =>
  isSix(prefix) ? ['fd00::2', 'fd00::3', 'fd00::4'] : ['10.0.0.2', '10.0.0.3', '10.0.0.4'];

const hops = (prefix: string): fc.Arbitrary<KernelNextHop[]> =>
  fc
    .subarray(gateways(prefix), { minLength: 1 })
    .map((chosen) => chosen.map((gateway) => ({ gateway, interfaceName: 'eth0' })));

const metric = fc.constantFrom(undefined, undefined, 77, 5000);

const route: fc.Arbitrary<KernelRoute> = fc.tuple(fc.constantFrom(...prefixes), metric).chain(([prefix, metric]) =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: hops(prefix).map((nextHops): KernelRoute => ({ prefix, kind: 'unicast', nextHops, metric })),
    },
    { weight: 1, arbitrary: fc.constant<KernelRoute>({ prefix, kind: 'blackhole', nextHops: [], metric }) },
  ),
);

/** Somebody else's hand: deletes ours, changes ours, adds strangers beside ours and something under our mark. */
const interference = fc.constantFrom(...prefixes).chain((prefix) => {
  const ip = isSix(prefix) ? '-6 route' : 'route';
  const [gateway] = gateways(prefix);
  return fc.constantFrom(
    `${ip} del ${prefix} metric 1670`,
    `${ip} change ${prefix} via ${gateway} metric 1670`,
    `${ip} replace ${prefix} via ${gateway} metric 1670 proto 167`,
    `${ip} del ${prefix} metric 77`,
    `${ip} replace ${prefix} via ${gateway} metric 77 proto 167`,
    `${ip} add ${prefix} via ${gateway} metric 5000 proto 167`,
    `${ip} replace ${prefix} via ${gateway} metric 7 proto static`,
    `${ip} flush proto 167`,
    'link set eth0 down',
    'link set eth0 up',
  );
});

type Step = { set: KernelRoute } | { remove: string } | { interfere: string } | { turn: true };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: route.map((set) => ({ set })) },
  { weight: 2, arbitrary: fc.constantFrom(...prefixes).map((remove) => ({ remove })) },
  { weight: 3, arbitrary: interference.map((interfere) => ({ interfere })) },
  { weight: 1, arbitrary: fc.constant<Step>({ turn: true }) },
);

function describeRoute(prefix: string, type: string, metric: number, nextHops: readonly string[]): string {
  return `${type} ${prefix} metric ${metric} ${[...nextHops].sort().join(' ')}`.trim();
}

/** What carries our protocol, in the words of `ip -j`. */
function listed(namespace: TestNamespace): string[] {
  const all = [...namespace.ipJson('-d -4 route show proto 167'), ...namespace.ipJson('-d -6 route show proto 167')];
  return all
    .map((entry) => {
      const { type, dst, metric, gateway, nexthops } = entry as {
        type: string;
        dst: string;
        metric: number;
        gateway?: string;
        nexthops?: { gateway: string }[];
      };
      const gateways = nexthops?.map((hop) => hop.gateway) ?? (gateway === undefined ? [] : [gateway]);
      return describeRoute(dst, type, metric, gateways);
    })
    .sort();
}

test('whatever the order of wishes and of others’ interference, the kernel ends with what is desired', async () => {
  const namespace = new TestNamespace();
  const peer = new TestNamespace();
  const kernel = new Rtnetlink({ namespace: namespace.path });
  const links = new LinkMonitor({ kernel, clock: clockWithoutRetries });
  try {
    connectNamespaces(namespace, 'eth0', peer, 'eth0');
    // Addresses of an IPv6 link go with it: these stay.
    namespace.exec('sysctl', '-qw', 'net.ipv6.conf.eth0.keep_addr_on_down=1');
    namespace.ip('addr add 10.0.0.1/24 dev eth0');
    namespace.ip('addr add fd00::1/64 dev eth0 nodad');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const table = new RouteTable({ kernel, links, clock: clockWithoutRetries });
        const desired = new Map<string, KernelRoute>();
        try {
          table.adopt();
          table.releaseAdopted();
          for (const each of steps) {
            if ('set' in each) {
              table.setDesired(each.set);
              desired.set(each.set.prefix, each.set);
              table.apply();
            } else if ('remove' in each) {
              table.removeDesired(each.remove);
              desired.delete(each.remove);
              table.apply();
            } else if ('interfere' in each) {
              try {
                namespace.ip(each.interfere);
              } catch {
                // There was nothing to delete or change, or the link is down: nothing happened.
                continue;
              }
            } else {
              await new Promise(setImmediate);
            }
          }
          namespace.ip('link set eth0 up');
          table.apply();
          const expected = [...desired.values()]
            .map(({ prefix, kind, nextHops, metric = godwitMetric }) =>
              describeRoute(
                prefix,
                kind,
                metric,
                nextHops.map((hop) => hop.gateway ?? ''),
              ),
            )
            .sort();
          await eventually(() => expect(listed(namespace)).toEqual(expected), {
            reason: 'the desired table',
          });
          await eventually(() => expect(table.failures()).toEqual([]), { reason: 'no failures' });
        } finally {
          table.close();
          namespace.ip('route flush proto static');
          namespace.ip('-6 route flush proto static');
          // A stranger's change of a route that we no longer wanted stands at our metric.
          namespace.ip('route flush proto boot');
          namespace.ip('-6 route flush proto boot');
        }
      }),
      { numRuns: 25, endOnFailure: true },
    );
  } finally {
    links.close();
    kernel.close();
    namespace.remove();
    peer.remove();
  }
});
