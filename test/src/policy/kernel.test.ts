/** NetworkPolicy on real packets: a node with its pods in network namespaces, the rendered table in its kernel. */

import { spawn } from 'node:child_process';
import * as fc from 'fast-check';
import koffi from 'koffi';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NftSocket, NftTable, type NftKernel } from '../../../dataplane/index.ts';
import { PolicyEngine } from '../../../src/policy/engine.ts';
import type { Flow } from '../../../src/policy/explain.ts';
import type { NetworkPolicy } from '../../../src/resources/network-policy.ts';
import type { Pod } from '../../../src/resources/pod.ts';
import type { Resource } from '../../../src/resources/resource.ts';
import { Endpoint } from '../../kit/endpoint.ts';
import { eventually } from '../../kit/eventually.ts';
import { TestNamespace } from '../../kit/netns.ts';
import { deletions, namespace, pod, policy, upserts } from './manifests.ts';
import { objectsOf, world } from './random-clusters.ts';

const hosts = {
  web: { ip: '10.9.0.1', ip6: 'fd09::1' },
  api: { ip: '10.9.0.2', ip6: 'fd09::2' },
  /** In namespace shop, on another node: the packets come in from outside. */
  db: { ip: '10.9.1.1', ip6: 'fd09:0:0:1::1' },
  /** No pod. */
  outside: { ip: '192.0.2.10', ip6: '2001:db8::10' },
} as const;
type Host = keyof typeof hosts;
const names = Object.keys(hosts) as Host[];
const ports = [80, 81, 8080, 8085];

const ips = (host: Host) => [hosts[host].ip, hosts[host].ip6];
const pods: Record<'web' | 'api' | 'db', Pod> = {
  web: pod('web', { labels: { app: 'web' }, ips: ips('web'), ports: [{ name: 'http', containerPort: 8080 }] }),
  api: pod('api', { labels: { app: 'api' }, ips: ips('api') }),
  db: pod('db', {
    namespace: 'shop',
    node: 'there',
    labels: { app: 'db' },
    ips: ips('db'),
    ports: [{ name: 'sql', containerPort: 81 }],
  }),
};
const cluster = upserts(...Object.values(pods), namespace('default', {}), namespace('shop', { team: 'shop' }));

let router: TestNamespace;
let namespaces: Record<Host, TestNamespace>;
let endpoints: Record<Host, Endpoint>;
let socket: NftSocket;
let kernel: NftKernel;
let transactions: number;
let engine: PolicyEngine;
let table: NftTable;
let drift: string[];

beforeAll(async () => {
  router = new TestNamespace();
  const made = names.map((name) => [name, new TestNamespace()] as const);
  namespaces = Object.fromEntries(made) as Record<Host, TestNamespace>;
  for (const ns of [router, ...Object.values(namespaces)]) {
    ns.exec('sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
  }
  // The kernel here has no SCTP: test packets carry no checksum.
  router.exec(
    'sysctl',
    '-qw',
    'net.ipv4.ip_forward=1',
    'net.ipv6.conf.all.forwarding=1',
    'net.netfilter.nf_conntrack_checksum=0',
  );
  for (const [name, ns] of made) {
    const { ip, ip6 } = hosts[name];
    router.ipBatch([
      `link add ${name} type veth peer name eth0 netns ${ns.name}`,
      `link set ${name} up`,
      `addr add 169.254.1.1/32 dev ${name}`,
      `addr add fe80::1/64 dev ${name} nodad`,
    ]);
    ns.ipBatch([
      'link set eth0 up',
      `addr add ${ip}/32 dev eth0`,
      `addr add ${ip6}/128 dev eth0 nodad`,
      'route add 169.254.1.1 dev eth0 scope link',
      'route add default via 169.254.1.1 dev eth0',
      'route add default via fe80::1 dev eth0',
    ]);
    router.ipBatch([`route add ${ip}/32 dev ${name}`, `route add ${ip6}/128 dev ${name}`]);
  }
  endpoints = Object.fromEntries(made.map(([name, ns]) => [name, new Endpoint(ns.name)])) as Record<Host, Endpoint>;
  await Promise.all(names.map((name) => endpoints[name].ready));
  await Promise.all(names.map((name) => endpoints[name].ask('listen', { ports })));
  socket = new NftSocket({ namespace: router.path });
  kernel = {
    commit: (name, commands) => {
      transactions++;
      return socket.commit(name, commands);
    },
    read: (name) => socket.read(name),
  };
});

beforeEach(async () => {
  await table?.remove();
  transactions = 0;
  drift = [];
  engine = new PolicyEngine({ nodeName: 'here' });
  engine.onChanges(cluster);
  table = new NftTable({ kernel, onDrift: (difference) => drift.push(difference) });
});

afterAll(() => {
  socket?.close();
  for (const endpoint of Object.values(endpoints ?? {})) endpoint.stop();
  for (const ns of [router, ...Object.values(namespaces ?? {})]) ns?.remove();
});

async function apply(...policies: readonly NetworkPolicy[]): Promise<void> {
  engine.onChanges(upserts(...policies));
  await table.apply(engine.render());
}

/** How many packets were denied to and from a host's addresses. */
async function denied(...involved: readonly Host[]): Promise<number> {
  const { elements } = await table.counters();
  const addresses = involved.flatMap((host) => ips(host));
  let packets = 0;
  for (const set of elements.values()) {
    for (const address of addresses) packets += set.get(address)?.packets ?? 0;
  }
  return packets;
}

let connections = 0;

/** Sends real packets and tells what became of them. A denied packet is known by its counter, not by silence. */
async function send(from: Host, to: Host, protocol: Flow['protocol'], port: number, six = false): Promise<string> {
  const before = await denied(from, to);
  const address = six ? hosts[to].ip6 : hosts[to].ip;
  const connection = ++connections;
  let answer: string | undefined;
  void attempt(from, protocol, address, port, connection).then((result) => (answer = result));
  const outcome = await eventually(
    async () => {
      if (answer === undefined && (await denied(from, to)) === before) throw new Error('neither yet');
      return answer ?? 'denied';
    },
    { reason: `${from} to ${to} ${protocol}/${port} passes or is denied` },
  );
  if (protocol === 'TCP') await endpoints[from].ask('abort', { connection });
  return outcome;
}

function attempt(from: Host, protocol: Flow['protocol'], address: string, port: number, connection: number) {
  switch (protocol) {
    case 'TCP':
      return endpoints[from].ask('connect', { address, port, connection });
    case 'UDP':
      return endpoints[from].ask('datagram', { address, port });
    case 'ICMP':
      return ping(from, address);
    case 'SCTP':
      throw new Error('SCTP has no sockets in this kernel: sendSctp');
  }
}

function ping(from: Host, address: string): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn('ip', ['netns', 'exec', namespaces[from].name, 'ping', '-c', '1', '-W', '2', address]);
    // Without an answer the counter has told already.
    child.on('exit', (code) => code === 0 && resolve('echoed'));
  });
}

interface Probe {
  readonly from: Host;
  readonly to: Host;
  readonly protocol: 'TCP' | 'UDP' | 'ICMP';
  readonly port: number;
}

const passed = { TCP: 'connected', UDP: 'echoed', ICMP: 'echoed' } as const;

function flowBetween(from: Host, to: Host, protocol: Flow['protocol'], port: number, six: boolean): Flow {
  return { from: six ? hosts[from].ip6 : hosts[from].ip, to: six ? hosts[to].ip6 : hosts[to].ip, protocol, port };
}

/** `web>api TCP/80 +`: passes. `-`: denied. Both families, and explainFlow says the same. */
async function check(...texts: readonly string[]): Promise<void> {
  const told: string[] = [];
  const explained: string[] = [];
  for (const text of texts) {
    const { from, to, protocol, port } = parseProbe(text);
    for (const six of [false, true]) {
      const outcome = await send(from, to, protocol, port, six);
      const sign = outcome === passed[protocol] ? '+' : outcome === 'denied' ? '-' : outcome;
      told.push(text.replace(/[+-]$/, sign));
      const verdict = engine.explainFlow(flowBetween(from, to, protocol, port, six));
      explained.push(text.replace(/[+-]$/, verdict.kind === 'judged' && verdict.allowed ? '+' : '-'));
    }
  }
  const expected = texts.flatMap((text) => [text, text]);
  expect(told).toEqual(expected);
  expect(explained).toEqual(expected);
}

function parseProbe(text: string): Probe {
  const [, from, to, protocol, port] = /^(\w+)>(\w+) (\w+)(?:\/(\d+))? [+-]$/.exec(text)!;
  return {
    from: from as Host,
    to: to as Host,
    protocol: protocol as Probe['protocol'],
    port: Number(port ?? 0),
  };
}

const web = { matchLabels: { app: 'web' } };
const denyIngress = policy('deny', { podSelector: {} });

describe('what passes', () => {
  test('without a policy everything passes', async () => {
    await apply();
    await check('api>web TCP/80 +', 'web>db UDP/80 +', 'outside>web ICMP +');
  });

  test('a policy without rules isolates: nothing comes in, everything goes out', async () => {
    await apply(denyIngress);
    await check(
      'api>web TCP/80 -',
      'outside>web UDP/80 -',
      'db>api ICMP -',
      'web>db TCP/80 +',
      'api>outside UDP/80 +',
      'web>outside ICMP +',
    );
  });

  test('podSelector means pods of the policy’s own namespace', async () => {
    await apply(
      policy('allow', {
        podSelector: web,
        ingress: [
          { from: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['api', 'db'] }] } }] },
        ],
      }),
    );
    await check('api>web TCP/80 +', 'api>web ICMP +', 'db>web TCP/80 -', 'outside>web TCP/80 -', 'db>api TCP/80 +');
  });

  test('namespaceSelector means pods of other namespaces, with podSelector only some of them', async () => {
    const shop = { matchLabels: { team: 'shop' } };
    await apply(
      policy('allow', { podSelector: web, ingress: [{ from: [{ namespaceSelector: shop }], ports: [{ port: 80 }] }] }),
      policy('none', {
        podSelector: web,
        ingress: [{ from: [{ namespaceSelector: shop, podSelector: web }], ports: [{ port: 81 }] }],
      }),
    );
    await check('db>web TCP/80 +', 'db>web TCP/81 -', 'db>web UDP/80 -', 'api>web TCP/80 -');
  });

  test('ipBlock means addresses, without its exceptions', async () => {
    await apply(
      policy('allow', {
        podSelector: web,
        ingress: [
          {
            from: [
              { ipBlock: { cidr: '0.0.0.0/0', except: ['10.9.0.2/32', '10.9.1.0/24'] } },
              { ipBlock: { cidr: '::/0', except: ['fd09::2/128', 'fd09:0:0:1::/64'] } },
            ],
          },
        ],
      }),
    );
    await check('outside>web UDP/80 +', 'api>web UDP/80 -', 'db>web UDP/80 -', 'outside>web ICMP +');
  });

  test('ports: numbers, ranges, names of the destination, protocols', async () => {
    await apply(
      policy('allow', {
        podSelector: web,
        ingress: [
          {
            ports: [
              { port: 'http' },
              { port: 81, protocol: 'UDP' },
              { port: 8084, endPort: 8090 },
              { port: 90, endPort: 95 },
            ],
          },
        ],
      }),
    );
    await check(
      'api>web TCP/8080 +',
      'api>web UDP/8080 -',
      'api>web UDP/81 +',
      'api>web TCP/81 -',
      'api>web TCP/8085 +',
      'api>web TCP/80 -',
      'api>web ICMP -',
    );
  });

  test('egress: of the pod that begins, to pods, ports by name and addresses', async () => {
    await apply(
      policy('out', {
        podSelector: web,
        policyTypes: ['Egress'],
        egress: [
          { to: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'db' } } }], ports: [{ port: 'sql' }] },
          {
            to: [{ ipBlock: { cidr: '192.0.2.0/24' } }, { ipBlock: { cidr: '2001:db8::/32' } }],
            ports: [{ protocol: 'UDP' }],
          },
        ],
      }),
    );
    await check(
      'web>db TCP/81 +',
      'web>db TCP/80 -',
      'web>outside UDP/80 +',
      'web>outside TCP/80 -',
      'web>api ICMP -',
      'api>web TCP/80 +',
      'outside>web ICMP +',
    );
  });

  test('both ends are judged on one packet', async () => {
    const toApi = {
      podSelector: web,
      policyTypes: ['Egress'],
      egress: [{ to: [{ podSelector: { matchLabels: { app: 'api' } } }] }],
    };
    const fromWeb = (port: number) => ({
      podSelector: { matchLabels: { app: 'api' } },
      ingress: [{ from: [{ podSelector: web }], ports: [{ port }] }],
    });
    await apply(policy('out', toApi), policy('in', fromWeb(80)));
    await check('web>api TCP/80 +', 'web>api TCP/81 -', 'web>db TCP/80 -');
  });

  test('SCTP is judged by its ports', async () => {
    await apply(
      policy('allow', { podSelector: web, ingress: [{ ports: [{ protocol: 'SCTP', port: 80, endPort: 85 }] }] }),
    );
    await sendSctp('api', 'web', 81);
    await eventually(async () => (await table.counters()).rules.get('default/allow ingress[0]')?.packets === 1, {
      reason: 'SCTP to port 81 is allowed',
    });
    await sendSctp('api', 'web', 86);
    await eventually(async () => (await denied('web')) === 1, { reason: 'SCTP to port 86 is denied' });
  });

  test('ICMP errors about an allowed connection pass, to and from isolated pods', async () => {
    const closed = policy('closed', {
      podSelector: { matchLabels: { app: 'api' } },
      ingress: [{ ports: [{ port: 9, protocol: 'UDP' }] }],
    });
    await apply(denyIngress, closed);
    expect(await send('web', 'api', 'UDP', 9)).toBe('ECONNREFUSED');
    expect(await send('web', 'api', 'UDP', 9, true)).toBe('ECONNREFUSED');
    expect(await send('web', 'db', 'UDP', 9)).toBe('ECONNREFUSED');
  });

  test('the node reaches its own pods, and they it', async () => {
    await apply(policy('deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
    expect(router.exec('ping', '-c', '1', '-W', '5', hosts.web.ip)).toContain('1 received');
    expect(namespaces.web.exec('ping', '-c', '1', '-W', '5', '169.254.1.1')).toContain('1 received');
    expect(await send('api', 'web', 'TCP', 80)).toBe('denied');
  });
});

describe('services', () => {
  const service = '10.96.0.1';

  beforeEach(() => {
    router.exec('nft', 'add table ip services');
    router.exec('nft', 'add chain ip services pre { type nat hook prerouting priority -100; }');
    router.exec('nft', 'add chain ip services post { type nat hook postrouting priority 100; }');
    router.exec('nft', `add rule ip services pre ip daddr ${service} tcp dport 80 dnat to ${hosts.web.ip}:8080`);
    router.exec('nft', `add rule ip services post ct status dnat masquerade`);
  });

  afterEach(() => void router.exec('nft', 'delete table ip services'));

  async function askService(from: Host): Promise<string> {
    const connection = ++connections;
    const before = await denied('web', 'api');
    let answer: string | undefined;
    void endpoints[from].ask('connect', { address: service, port: 80, connection }).then((result) => (answer = result));
    await eventually(async () => answer !== undefined || (await denied('web', 'api')) > before, {
      reason: `${from} is answered by the service or denied`,
    });
    if (answer === 'connected') {
      await endpoints[from].ask('write', { connection, text: 'hello' });
      const received = () => endpoints[from].ask('received', { connection });
      await eventually(async () => (await received()) === 'hello', { reason: 'the echo comes through the service' });
    }
    await endpoints[from].ask('abort', { connection });
    return answer ?? 'denied';
  }

  test('behind a service, the pod that answers and the pod that asks are judged', async () => {
    const both = (port: number) => [
      policy('in', {
        podSelector: web,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }], ports: [{ port }] }],
      }),
      policy('out', {
        podSelector: { matchLabels: { app: 'api' } },
        policyTypes: ['Egress'],
        egress: [{ to: [{ podSelector: web }], ports: [{ port }] }],
      }),
    ];
    await apply(...both(8080));
    expect(await askService('api')).toBe('connected');
    await apply(...both(80));
    expect(await askService('api')).toBe('denied');
  });

  test('a pod reaches itself by way of a service, whatever isolates it', async () => {
    await apply(policy('deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
    expect(await askService('web')).toBe('connected');
    expect(await askService('api')).toBe('denied');
  });
});

describe('changes', () => {
  test('an established connection is cut both ways when a policy stops allowing it', async () => {
    const allow = policy('web', { podSelector: web, ingress: [{ ports: [{ port: 80 }] }] });
    await apply(allow);
    const connection = ++connections;
    await endpoints.api.ask('connect', { address: hosts.web.ip, port: 80, connection });
    await endpoints.api.ask('write', { connection, text: 'one' });
    const received = () => endpoints.api.ask('received', { connection });
    await eventually(async () => (await received()) === 'one', { reason: 'the echo comes' });

    await apply(policy('web', { podSelector: web, ingress: [{ ports: [{ port: 81 }] }] }));
    await endpoints.web.ask('push', { text: 'two' });
    await eventually(async () => (await denied('web')) > 0, { reason: 'the reply is denied' });
    const replies = await denied('web');
    await endpoints.web.ask('abortAccepted');
    await endpoints.api.ask('write', { connection, text: 'three' });
    await eventually(async () => (await denied('web')) > replies, { reason: 'the request is denied' });
    expect(await received()).toBe('one');
    await endpoints.api.ask('abort', { connection });
  });

  test('a change is one transaction where it can be, and the counters of other policies go on', async () => {
    await apply(
      policy('one', { podSelector: web, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }] }] }),
      policy('two', { podSelector: { matchLabels: { app: 'api' } }, ingress: [{ ports: [{ port: 80 }] }] }),
    );
    expect(await send('api', 'web', 'UDP', 80)).toBe('echoed');
    expect(await send('db', 'web', 'UDP', 80)).toBe('denied');
    const before = await table.counters();
    expect(before.rules.get('default/one ingress[0]')?.packets).toBe(2);
    transactions = 0;

    engine.onChanges(upserts(policy('two', { podSelector: { matchLabels: { app: 'api' } } })));
    expect(await table.apply(engine.render())).toMatchObject({ kind: 'changed' });
    // A new pod that the first policy's selector means: one element more.
    engine.onChanges(upserts(pod('api-2', { labels: { app: 'api' }, node: 'there', ips: ['10.9.1.7'] })));
    expect(await table.apply(engine.render())).toEqual({ kind: 'changed', commands: 1, transactions: 1 });
    expect(await table.apply(engine.render())).toEqual({ kind: 'unchanged' });
    expect(transactions).toBe(2);
    const after = await table.counters();
    expect(after.rules.get('default/one ingress[0]')).toEqual(before.rules.get('default/one ingress[0]'));
    expect(await denied('web')).toBe(1);
    await check('web>api TCP/80 -', 'api>web TCP/80 +');
  });

  test('the last policy’s end ends the isolation', async () => {
    await apply(denyIngress);
    await check('api>web TCP/80 -');
    engine.onChanges(deletions(denyIngress));
    await table.apply(engine.render());
    await check('api>web TCP/80 +');
  });

  test('another process takes over without a moment without rules', async () => {
    await apply(denyIngress);
    await endpoints.api.ask('flood', { address: hosts.web.ip, port: 8085 });
    for (let i = 0; i < 40; i++) {
      const takenOver = new NftTable({ kernel });
      expect(await takenOver.apply(engine.render())).toEqual({ kind: 'replaced' });
    }
    expect(await endpoints.api.ask<number>('endFlood')).toBeGreaterThan(10);
    expect(await endpoints.web.ask<number>('datagrams', { port: 8085 })).toBe(0);
  });
});

test('a pod that goes from one set of policies to another is judged by one of them at every moment', async () => {
  const sets = ['one', 'two'].map((name) => policy(name, { podSelector: web, ingress: [{ ports: [{ port: 81 }] }] }));
  await apply(sets[0]);
  await endpoints.api.ask('flood', { address: hosts.web.ip, port: 8085 });
  for (let i = 1; i <= 2000; i++) {
    engine.onChanges([...upserts(sets[i % 2]), ...deletions(sets[(i + 1) % 2])]);
    expect(await table.apply(engine.render())).toMatchObject({ kind: 'changed', transactions: 3 });
  }
  expect(await endpoints.api.ask<number>('endFlood')).toBeGreaterThan(10_000);
  expect(await endpoints.web.ask<number>('datagrams', { port: 8085 })).toBe(0);
});

test('random clusters: the kernel takes every table, step by step, and lists it as it was written', async () => {
  const steps = fc.sample(world, { numRuns: 12, seed: 7 });
  const random = new PolicyEngine({ nodeName: 'here', logDenied: true });
  let before: Resource[] = [];
  for (const step of steps) {
    random.onChanges([...deletions(...before), ...upserts(...objectsOf(step))]);
    before = objectsOf(step);
    await table.apply(random.render());
    expect(await table.verify()).toBe('intact');
  }
  expect(drift).toEqual([]);
});

describe('repair', () => {
  const foreignHands: readonly (readonly [string, string])[] = [
    ['the whole ruleset is flushed', 'flush ruleset'],
    ['our table is flushed', 'flush table inet godwit'],
    ['a verdict map is flushed', 'flush map inet godwit ingress-4'],
    ['an element is added', 'add element inet godwit self-4 { 10.9.0.1 . 10.9.0.2 }'],
    ['a rule is inserted', 'insert rule inet godwit ingress accept'],
    ['a chain is added', 'add chain inet godwit mine'],
    ['the table is put to sleep', 'add table inet godwit { flags dormant; }'],
    ['an element for all the rest is added', 'add element inet godwit denied-ingress-4 { * }'],
    ['the policy of a base chain is another', 'chain inet godwit ingress { policy drop; }'],
    [
      'a map sends a pod elsewhere',
      'delete element inet godwit ingress-4 { 10.9.0.1 }; add element inet godwit ingress-4 { 10.9.0.1 comment "default/web" : accept }',
    ],
  ];

  test.each(foreignHands)('%s: found and put back', async (_what, command) => {
    await apply(denyIngress);
    expect(await table.verify()).toBe('intact');
    router.exec('nft', command);
    expect(await table.verify()).toBe('repaired');
    expect(drift).toHaveLength(1);
    expect(await table.verify()).toBe('intact');
    expect(await send('api', 'web', 'UDP', 80)).toBe('denied');
  });

  test.each([
    ['another port', 'meta l4proto 6 ct reply proto-src 81 accept'],
    ['another protocol', 'meta l4proto 17 ct reply proto-src 80 counter accept'],
    ['another verdict', 'meta l4proto 6 ct reply proto-src 80 counter drop'],
    ['another set', 'meta l4proto 6 ct reply ip saddr @denied-ingress-4 counter accept'],
    ['one question less', 'meta l4proto 6 counter accept'],
    ['another direction', 'meta l4proto 6 ct original proto-src 80 counter accept'],
  ])('a rule edited under its comment, %s: found, told and put back', async (_what, words) => {
    await apply(policy('allow', { podSelector: web, ingress: [{ ports: [{ port: 80 }] }] }));
    const listing = router.exec('nft', '-a', 'list', 'chain', 'inet', 'godwit', 'ingress/default/allow');
    const [, comment, handle] = /comment "(.*)" # handle (\d+)/.exec(listing)!;
    router.exec('nft', `replace rule inet godwit ingress/default/allow handle ${handle} ${words} comment "${comment}"`);
    expect(await table.verify()).toBe('repaired');
    expect(drift).toEqual([
      'chain ingress/default/allow has another rule in place of number 1, meta l4proto 6 ct reply proto-src 80 counter accept comment "default/allow ingress[0]"',
    ]);
    expect(await table.verify()).toBe('intact');
    await check('api>web TCP/80 +', 'api>web UDP/80 -');
  });

  test('a change after a flush puts back everything', async () => {
    await apply(denyIngress);
    router.exec('nft', 'flush ruleset');
    engine.onChanges(upserts(policy('more', { podSelector: web, ingress: [{ ports: [{ port: 80 }] }] })));
    expect(await table.apply(engine.render())).toEqual({ kind: 'replaced' });
    expect(drift).toEqual(['the table is gone']);
    await check('api>web TCP/80 +', 'api>web TCP/81 -', 'web>api TCP/80 -');
  });

  test('other tables are left alone', async () => {
    router.exec('nft', 'add table inet strangers');
    await apply(denyIngress);
    await table.remove();
    expect(router.exec('nft', 'list tables').trim()).toBe('table inet strangers');
  });
});

/** An INIT chunk (RFC 9260 §3.3.2) from a raw socket: enough for a connection's entry. */
async function sendSctp(from: Host, to: Host, port: number): Promise<void> {
  const packet = Buffer.alloc(12 + 20);
  packet.writeUInt16BE(40000 + port, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(1, 16);
  packet.writeUInt32BE(65536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  const library = koffi.load(null);
  const socket = library.func('int socket(int, int, int)');
  const sendto = library.func('int64_t sendto(int, const void*, size_t, int, const void*, uint32_t)');
  const close = library.func('int close(int)');
  const target = Buffer.from([2, 0, 0, 0, ...hosts[to].ip.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);
  const descriptor: number = namespaces[from].inside(() => socket(2, 3, 132));
  expect(Number(sendto(descriptor, packet, packet.length, 0, target, target.length))).toBe(packet.length);
  close(descriptor);
}
