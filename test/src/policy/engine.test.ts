/** What the engine renders and explains, story by story. */

import { describe, expect, test } from 'vitest';
import { printRule } from '../../../dataplane/nft/print.ts';
import type { Ruleset } from '../../../dataplane/index.ts';
import { PolicyEngine } from '../../../src/policy/engine.ts';
import { ObjectNames } from '../../../src/policy/object-names.ts';
import type { Resource } from '../../../src/resources/resource.ts';
import { deletions, namespace, node, pod, policy, upserts } from './manifests.ts';

function engineWith(...objects: readonly Resource[]): PolicyEngine {
  const engine = new PolicyEngine({ nodeName: 'here' });
  engine.onChanges(upserts(...objects));
  return engine;
}

const web = { matchLabels: { app: 'web' } };
const rulesOf = (ruleset: Ruleset, chain: string) => ruleset.chains.get(chain)?.rules.map(printRule);
const verdicts = (ruleset: Ruleset, map: string) =>
  [...(ruleset.sets.get(map)?.elements ?? [])].map(([key, { verdict }]) => [
    key,
    verdict && 'chain' in verdict && verdict.chain,
  ]);
const addressesBySelector = (ruleset: Ruleset) =>
  Object.fromEntries(
    [...ruleset.sets.values()]
      .filter(({ comment, keyTypes }) => comment?.includes('pods:') && keyTypes[0] === 'ipv4_addr')
      .map(({ comment, elements }) => [comment, [...elements.keys()]]),
  );

describe('the table', () => {
  test('pods with the same policies share one chain; pods of other nodes have none', () => {
    const many = Array.from({ length: 100 }, (_, i) =>
      pod(`web-${i}`, { labels: { app: 'web' }, ips: [`10.0.0.${i}`] }),
    );
    const ruleset = engineWith(
      ...many,
      pod('far', { labels: { app: 'web' }, node: 'there', ips: ['10.0.1.1'] }),
      pod('free', { ips: ['10.0.0.200'] }),
      policy('a', { podSelector: web, ingress: [{ ports: [{ port: 80 }] }] }),
      policy('b', { podSelector: web }),
    ).render();
    const chains = new Set(verdicts(ruleset, 'ingress-4').map(([, chain]) => chain));
    expect(verdicts(ruleset, 'ingress-4')).toHaveLength(100);
    expect(chains.size).toBe(1);
    expect(rulesOf(ruleset, [...chains][0] as string)).toEqual([
      'jump ingress/default/a',
      'jump ingress/default/b',
      'goto ingress-denied',
    ]);
    expect(rulesOf(ruleset, 'ingress/default/a')).toEqual([
      'meta l4proto 6 ct reply proto-src 80 counter accept comment "default/a ingress[0]"',
    ]);
    expect(verdicts(ruleset, 'egress-4')).toEqual([]);
  });

  test('a policy that selects no pod of this node leaves nothing in the table', () => {
    const policies = Array.from({ length: 50 }, (_, i) =>
      policy(`other/p${i}`, { ingress: [{ from: [{ podSelector: web }] }] }),
    );
    const far = pod('far', { namespace: 'other', node: 'there', ips: ['10.0.1.1'] });
    const empty = engineWith().render();
    const ruleset = engineWith(...policies, far).render();
    expect([...ruleset.chains.keys()]).toEqual([...empty.chains.keys()]);
    expect([...ruleset.sets.keys()]).toEqual([...empty.sets.keys()]);
  });

  test('rules of several policies with the same selector share one set', () => {
    const from = [{ podSelector: web }];
    const ruleset = engineWith(
      pod('web', { labels: { app: 'web' }, ips: ['10.0.0.1'] }),
      policy('a', { ingress: [{ from }] }),
      policy('b', { ingress: [{ from, ports: [{ port: 80 }] }] }),
    ).render();
    expect(addressesBySelector(ruleset)).toEqual({ 'namespace=default pods: app=web': ['10.0.0.1'] });
  });

  test('a change that policy cannot see renders the same object', () => {
    const engine = engineWith(pod('web', { ips: ['10.0.0.1'] }), policy('a', {}));
    const before = engine.render();
    engine.onChanges(upserts(pod('web', { ips: ['10.0.0.1'] }), node('here', ['192.0.2.1']), policy('a', {})));
    expect(engine.render()).toBe(before);
  });

  test('what a change does not touch stays the same object', () => {
    const engine = engineWith(
      pod('web', { labels: { app: 'web' }, ips: ['10.0.0.1'] }),
      policy('a', { ingress: [{ from: [{ podSelector: web }, { ipBlock: { cidr: '10.0.0.0/8' } }] }] }),
    );
    const before = engine.render();
    engine.onChanges(upserts(policy('b', { podSelector: web })));
    const after = engine.render();
    const kept = (name: string) => name.startsWith('pods-4') || name.startsWith('blocks-4');
    const names = [...before.sets.keys()].filter(kept);
    expect(names).toHaveLength(2);
    for (const name of names) expect(after.sets.get(name)).toBe(before.sets.get(name));
    expect(after.chains.get('ingress/default/a')).toBe(before.chains.get('ingress/default/a'));
  });
});

describe('who is a peer', () => {
  const policies = [
    policy('a', { podSelector: web, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'x' } } }] }] }),
  ];
  const subject = pod('web', { labels: { app: 'web' }, ips: ['10.0.0.1'] });
  const selector = 'namespaces: team=x pods: all';
  const peers = (engine: PolicyEngine) => addressesBySelector(engine.render())[selector];

  test('pods on the host’s network and pods that have ended are none', () => {
    const engine = engineWith(
      ...policies,
      subject,
      namespace('x', { team: 'x' }),
      pod('ok', { namespace: 'x', node: 'there', ips: ['10.0.1.1', 'fd00::1'] }),
      pod('host', { namespace: 'x', node: 'there', hostNetwork: true, ips: ['192.0.2.2'] }),
      pod('done', { namespace: 'x', node: 'there', phase: 'Succeeded', ips: ['10.0.1.2'] }),
      pod('failed', { namespace: 'x', node: 'there', phase: 'Failed', ips: ['10.0.1.3'] }),
      pod('waiting', { namespace: 'x', node: 'there' }),
    );
    expect(peers(engine)).toEqual(['10.0.1.1']);
    engine.onChanges(upserts(pod('ok', { namespace: 'x', node: 'there', phase: 'Succeeded', ips: ['10.0.1.1'] })));
    expect(peers(engine)).toEqual([]);
  });

  test('a pod on the host’s network is not isolated', () => {
    const ruleset = engineWith(policy('all', {}), pod('host', { hostNetwork: true, ips: ['192.0.2.1'] })).render();
    expect(verdicts(ruleset, 'ingress-4')).toEqual([]);
  });

  test('a namespace’s labels may change', () => {
    const engine = engineWith(...policies, subject, pod('p', { namespace: 'x', ips: ['10.0.0.7'] }));
    expect(peers(engine)).toEqual([]);
    engine.onChanges(upserts(namespace('x', { team: 'x' })));
    expect(peers(engine)).toEqual(['10.0.0.7']);
    engine.onChanges(deletions(namespace('x', { team: 'x' })));
    expect(peers(engine)).toEqual([]);
  });

  test('a namespace that nothing describes has its name as a label', () => {
    const byName = { matchLabels: { 'kubernetes.io/metadata.name': 'x' } };
    const engine = engineWith(
      subject,
      pod('p', { namespace: 'x', ips: ['10.0.0.7'] }),
      policy('a', { ingress: [{ from: [{ namespaceSelector: byName }] }] }),
    );
    expect(addressesBySelector(engine.render())).toEqual({
      'namespaces: kubernetes.io/metadata.name=x pods: all': ['10.0.0.7'],
    });
  });

  test('an address that passes from an ended pod to a new one belongs to the new one', () => {
    const engine = engineWith(
      policy('all', { podSelector: web }),
      pod('old', { labels: { app: 'web' }, ips: ['10.0.0.1'] }),
      pod('new', { ips: ['10.0.0.1'] }),
    );
    expect(verdicts(engine.render(), 'ingress-4')).toHaveLength(1);
    engine.onChanges(upserts(pod('old', { labels: { app: 'web' }, phase: 'Succeeded', ips: ['10.0.0.1'] })));
    expect(verdicts(engine.render(), 'ingress-4')).toEqual([]);
  });
});

describe('explanations', () => {
  const engine = engineWith(
    node('here', ['192.0.2.1']),
    pod('web', {
      labels: { app: 'web' },
      ips: ['10.0.0.1', 'fd00::1'],
      ports: [{ name: 'http', containerPort: 8080 }],
    }),
    pod('api', { labels: { app: 'api' }, ips: ['10.0.0.2', 'fd00::2'] }),
    pod('host', { hostNetwork: true, ips: ['192.0.2.1'] }),
    policy('deny', {}),
    policy('allow', {
      podSelector: web,
      ingress: [
        {
          from: [{ podSelector: { matchLabels: { app: 'api' } } }],
          ports: [{ port: 'http' }, { port: 80, endPort: 90 }],
        },
        { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/16'] } }], ports: [{ protocol: 'UDP' }] },
      ],
    }),
  );

  test('a pod: the policies that isolate it, with what their rules mean now', () => {
    expect(engine.explain('default/web')).toEqual({
      pod: 'default/web',
      nodeName: 'here',
      addresses: ['10.0.0.1', 'fd00::1'],
      local: true,
      ingress: {
        isolated: true,
        policies: [
          {
            policy: 'default/allow',
            rules: [
              {
                rule: 'default/allow ingress[0]',
                peers: { pods: [{ selector: 'namespace=default pods: app=api', count: 1 }], blocks: [] },
                ports: ['TCP/80-90', 'TCP/http'],
              },
              {
                rule: 'default/allow ingress[1]',
                peers: { pods: [], blocks: [{ cidr: '10.0.0.0/8', except: ['10.0.0.0/16'] }] },
                ports: ['UDP'],
              },
            ],
          },
          { policy: 'default/deny', rules: [] },
        ],
      },
      egress: { isolated: false, policies: [] },
    });
  });

  test('a pod on the host’s network: why no policy applies', () => {
    expect(engine.explain('default/host')).toMatchObject({ excluded: 'hostNetwork', ingress: { isolated: false } });
    expect(engine.explain('default/nobody')).toBeUndefined();
  });

  test('with the kernel’s counters: what each rule allowed, and what was denied', () => {
    const counters = {
      rules: new Map([['default/allow ingress[0]', { packets: 3, bytes: 180 }]]),
      elements: new Map([['denied-ingress-4', new Map([['10.0.0.1', { packets: 2, bytes: 120 }]])]]),
    };
    const { ingress } = engine.explain('default/web', counters)!;
    expect(ingress.denied).toEqual({ packets: 2, bytes: 120 });
    expect(ingress.policies[0].rules.map(({ allowed }) => allowed)).toEqual([{ packets: 3, bytes: 180 }, undefined]);
  });

  const free = { kind: 'notIsolated' };
  test.each([
    ['default/api', 'default/web', 'TCP', 8080, true, free, { kind: 'allowed', rule: 'default/allow ingress[0]' }],
    [
      'default/api',
      'default/web',
      'TCP',
      91,
      false,
      free,
      { kind: 'denied', policies: ['default/allow', 'default/deny'] },
    ],
    ['10.1.0.1', 'default/web', 'UDP', 53, true, free, { kind: 'allowed', rule: 'default/allow ingress[1]' }],
    [
      '10.0.9.1',
      'default/web',
      'UDP',
      53,
      false,
      free,
      { kind: 'denied', policies: ['default/allow', 'default/deny'] },
    ],
    [
      '10.0.9.1',
      'default/web',
      'ICMP',
      undefined,
      false,
      free,
      { kind: 'denied', policies: ['default/allow', 'default/deny'] },
    ],
    ['default/web', 'default/api', 'TCP', 80, false, free, { kind: 'denied', policies: ['default/deny'] }],
    ['default/web', 'default/web', 'TCP', 1, true, free, { kind: 'itself' }],
    ['192.0.2.1', 'default/api', 'TCP', 1, true, free, { kind: 'ownNode' }],
    ['default/api', '198.51.100.1', 'TCP', 1, true, free, free],
  ] as const)('%s to %s %s/%s: %s', (from, to, protocol, port, allowed, egress, ingress) => {
    expect(engine.explainFlow({ from, to, protocol, port })).toEqual({ kind: 'judged', allowed, egress, ingress });
  });

  test.each([
    ['default/nobody', 'default/web', 'there is no pod default/nobody'],
    ['default/web', 'default/host', "pod default/host is on its node's network: ask for the node's address"],
    ['2001:db8::1', '10.0.0.1', '10.0.0.1 is not an ipv6 address'],
  ])('%s to %s cannot be judged', (from, to, reason) => {
    expect(engine.explainFlow({ from, to, protocol: 'TCP', port: 1 })).toEqual({ kind: 'unknown', reason });
  });
});

test('identities whose hashes are equal get different names', () => {
  const [a, b] = ['selector 116289', 'selector 1139474'];
  expect(new ObjectNames().nameOf('x', a)).toBe(new ObjectNames().nameOf('x', b));
  const names = new ObjectNames();
  expect(names.nameOf('x', a)).not.toBe(names.nameOf('x', b));
  expect(names.nameOf('x', a)).toBe(names.nameOf('x', a));
});
