/** The life of pods' networks: the compiled plugin, a real socket, real namespaces, nftables of a namespace. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KernelError } from '../../../../dataplane/index.ts';
import type { PodLinks } from '../../../../src/agent/cni/attacher.ts';
import { LedgerFolder, type AttachmentLedger } from '../../../../src/agent/cni/ledger.ts';
import { toPodLink } from '../../../../src/agent/cni/attachment.ts';
import { Forwarder } from '../../../kit/cni-forwarder.ts';
import { eventually } from '../../../kit/eventually.ts';
import { CniNode, onlyFrom, pings, podManifest } from './cni-node.ts';

let forwarder: Forwarder;
let node: CniNode;

beforeAll(() => {
  forwarder = new Forwarder();
});
afterAll(() => forwarder[Symbol.dispose]());

beforeEach(async () => {
  node = new CniNode(forwarder);
  await node.apply('upsert', podManifest('web', { app: 'web' }));
  await node.apply('upsert', podManifest('db', { app: 'db' }));
  await node.apply('upsert', podManifest('other', { app: 'other' }));
  await node.apply('upsert', onlyFrom('web', 'db'));
});
afterEach(() => node.close());

/** PodNetwork, but for one of its steps. */
function linksThat(changes: Partial<PodLinks>): PodLinks {
  return {
    prepare: (link) => node.links.prepare(link),
    connect: (link) => node.links.connect(link),
    remove: (name) => node.links.remove(name),
    differences: (link) => node.links.differences(link),
    hostLinks: () => node.links.hostLinks(),
    close() {},
    ...changes,
  };
}

function ledgerThat(changes: Partial<AttachmentLedger>): AttachmentLedger {
  const folder = new LedgerFolder(node.ledgerFolder);
  return {
    read: () => folder.read(),
    write: (attachment) => folder.write(attachment),
    remove: (key) => folder.remove(key),
    ...changes,
  };
}

const records = () => readdirSync(node.ledgerFolder);

test('ADD: host and pods reach each other in both families, the address is published, DEL leaves nothing', async () => {
  await node.startAgent();
  const before = node.traces();
  const [a, b] = [node.sandbox(), node.sandbox()];
  const web = { containerId: 'c1', netns: a.path, pod: 'default/web' };
  const other = { containerId: 'c2', netns: b.path, pod: 'default/other' };
  expect(await node.add(web)).toEqual(['10.244.1.1', 'fd00:1::1']);
  expect(await node.add(other)).toEqual(['10.244.1.2', 'fd00:1::2']);
  for (const address of ['10.244.1.1', 'fd00:1::1']) expect(pings(node.host, address)).toBe(true);
  for (const address of ['10.244.1.2', 'fd00:1::2', '192.0.2.11', '2001:db8::11']) expect(pings(a, address)).toBe(true);
  expect(a.ip('-br link show eth0')).toContain('UP');
  expect(a.ipJson('link show eth0')).toMatchObject([{ mtu: 1400 }]);
  expect(node.published).toEqual(['default/web 10.244.1.1 fd00:1::1', 'default/other 10.244.1.2 fd00:1::2']);
  expect(records()).toHaveLength(2);

  for (const call of [web, other]) expect(await node.call({ command: 'DEL', ...call })).toEqual({ status: 0 });
  expect(node.traces()).toBe(before);
  expect(a.ipJson('link show').map(({ ifname }) => ifname)).toEqual(['lo']);
  expect(records()).toEqual([]);
  expect(node.part.usage()).toMatchObject([
    { held: 0, coolingDown: 2 },
    { held: 0, coolingDown: 2 },
  ]);
});

describe('policy', () => {
  test('is in the kernel before the pod’s link is made', async () => {
    const seen: string[] = [];
    await node.startAgent({
      links: linksThat({
        prepare(link) {
          seen.push(node.nft());
          node.links.prepare(link);
        },
      }),
    });
    await node.add({ containerId: 'c1', netns: node.sandbox().path, pod: 'default/db' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/map ingress-4 {[^}]*10\.244\.1\.1 comment "default\/db"/);
    expect(seen[0]).toMatch(/map ingress-6 {[^}]*fd00:1::1 comment "default\/db"/);
  });

  test('lets through not one packet of a flood that began before the pod', async () => {
    await node.startAgent();
    const [other, web, db] = [node.sandbox(), node.sandbox(), node.sandbox()];
    await node.add({ containerId: 'c1', netns: other.path, pod: 'default/other' });
    await node.add({ containerId: 'c2', netns: web.path, pod: 'default/web' });
    const flood = spawn('ip', ['netns', 'exec', other.name, 'ping', '-i', '0.002', '10.244.1.3'], { stdio: 'ignore' });
    try {
      await node.add({ containerId: 'c3', netns: db.path, pod: 'default/db' });
      expect(pings(web, '10.244.1.3')).toBe(true);
      await eventually(() => Number(/denied-ingress-4[^}]*packets (\d+)/.exec(node.nft())?.[1]) > 20, {
        reason: 'the flood meets the policy',
      });
      // The one echo request is web's.
      expect(db.exec('sh', '-c', 'grep "^Icmp: [0-9]" /proc/net/snmp').split(' ')[1]).toBe('1');
    } finally {
      flood.kill();
    }
  });

  test('stays with the address over what the API server says later, and goes with the pod’s DEL, not with its object', async () => {
    await node.startAgent();
    const call = { containerId: 'c1', netns: node.sandbox().path, pod: 'default/db' };
    await node.add(call);
    // The object changes before kubelet has written a status.
    await node.apply('upsert', podManifest('db', { app: 'db', changed: 'yes' }));
    expect(node.nft()).toContain('10.244.1.1 comment "default/db"');
    // Deleted by force: the container still runs.
    await node.apply('delete', podManifest('db', { app: 'db' }));
    expect(node.nft()).toContain('10.244.1.1 comment "default/db"');
    await node.call({ command: 'DEL', ...call });
    expect(node.nft()).not.toContain('default/db');
  });

  test('that cannot be put in force means that the pod has no network: error 11, and nothing is left', async () => {
    await node.startAgent();
    const before = node.traces();
    node.policy.problem = () => 'nft refused';
    const pod = node.sandbox();
    const { status, output } = await node.call({
      command: 'ADD',
      containerId: 'c1',
      netns: pod.path,
      pod: 'default/db',
    });
    expect(status).toBe(1);
    expect(output).toMatchObject({ code: 11, details: 'nft refused' });
    expect(node.traces()).toBe(before);
    expect(records()).toEqual([]);
  });
});

test('ADD twice is the same result, and mends what was broken in between', async () => {
  await node.startAgent();
  const pod = node.sandbox();
  const call = { command: 'ADD', containerId: 'c1', netns: pod.path, pod: 'default/web' };
  const first = await node.call(call);
  const index = () => pod.ipJson('link show eth0')[0]['ifindex'];
  const before = index();
  expect(await node.call(call)).toEqual(first);
  expect(index()).toBe(before);
  pod.ip('link del eth0');
  expect(await node.call(call)).toEqual(first);
  expect(pings(node.host, '10.244.1.1')).toBe(true);
  expect(records()).toHaveLength(1);
});

test('DEL of what is not there is done; also when the namespace is gone', async () => {
  await node.startAgent();
  expect(await node.call({ command: 'DEL', containerId: 'never', netns: '', pod: 'default/web' })).toEqual({
    status: 0,
  });
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  await node.add(call);
  pod.remove();
  for (let i = 0; i < 2; i++) expect(await node.call({ command: 'DEL', ...call })).toEqual({ status: 0 });
  expect(records()).toEqual([]);
});

describe('an ADD that fails at a step leaves nothing, and the next one succeeds', () => {
  const refusal = () => {
    throw new KernelError('test', 12, 'ENOMEM');
  };
  const full = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
  test.each<[string, number, () => { links?: PodLinks; ledger?: AttachmentLedger }]>([
    ['the record', 11, () => ({ ledger: ledgerThat({ write: full }) })],
    ['the pair', 11, () => ({ links: linksThat({ prepare: refusal }) })],
    [
      'half of the pod’s side',
      11,
      () => ({
        links: linksThat({
          prepare(link) {
            node.links.prepare(link);
            refusal();
          },
        }),
      }),
    ],
    ['the host’s side', 11, () => ({ links: linksThat({ connect: refusal }) })],
    [
      'half of the host’s side',
      11,
      () => ({
        links: linksThat({
          connect(link) {
            node.links.connect(link);
            refusal();
          },
        }),
      }),
    ],
    [
      'an error of ours',
      999,
      () => ({
        links: linksThat({
          connect() {
            throw new TypeError('ours');
          },
        }),
      }),
    ],
  ])('%s: error %d', async (_, code, faults) => {
    await node.startAgent(faults());
    const before = node.traces();
    const pod = node.sandbox();
    const call = { containerId: 'c1', netns: pod.path, pod: 'default/db' };
    const { status, output } = await node.call({ command: 'ADD', ...call });
    expect({ status, code: output?.['code'] }).toEqual({ status: 1, code });
    expect(node.traces()).toBe(before);
    expect(pod.ipJson('link show').map(({ ifname }) => ifname)).toEqual(['lo']);
    expect(records()).toEqual([]);
    expect(node.part.usage()).toMatchObject([{ held: 0, coolingDown: 0 }, { held: 0 }]);
    expect(node.published).toEqual([]);
    await node.stopAgent();
    await node.startAgent();
    expect(await node.add(call)).toEqual(['10.244.1.1', 'fd00:1::1']);
  });

  test('the interface’s name is taken in the pod', async () => {
    await node.startAgent();
    const pod = node.sandbox();
    pod.ip('link add eth0 type bridge');
    const call = { containerId: 'c1', netns: pod.path, pod: 'default/db' };
    const { output } = await node.call({ command: 'ADD', ...call });
    expect(output).toMatchObject({ code: 11, details: expect.stringContaining('EEXIST') as string });
    pod.ip('link del eth0');
    expect(await node.add(call)).toHaveLength(2);
  });

  test.each([
    ['/run/netns/nonexistent', 'ENOENT'],
    ['/proc/self/ns/net', "the host's own network namespace"],
  ])('the namespace %s: error 8', async (netns, reason) => {
    const own = netns === '/proc/self/ns/net';
    await node.startAgent();
    const path = own ? node.host.path : netns;
    const { output } = await node.call({ command: 'ADD', containerId: 'c1', netns: path, pod: 'default/db' });
    expect(output).toMatchObject({ code: 8, details: expect.stringContaining(reason) as string });
    expect(records()).toEqual([]);
  });

  test('a disk that is full: error 11; with room again it goes on', async () => {
    mkdirSync(node.ledgerFolder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', node.ledgerFolder]);
    try {
      await node.startAgent();
      const filler = join(node.ledgerFolder, 'filler.tmp');
      execFileSync('sh', ['-c', `dd if=/dev/zero of=${filler} bs=4k 2>/dev/null || true`]);
      const before = node.traces();
      const call = { containerId: 'c1', netns: node.sandbox().path, pod: 'default/db' };
      const { output } = await node.call({ command: 'ADD', ...call });
      expect(output).toMatchObject({ code: 11, details: expect.stringContaining('ENOSPC') as string });
      expect(node.traces()).toBe(before);
      expect(records()).toEqual(['filler.tmp']);
      rmSync(filler);
      expect(await node.add(call)).toHaveLength(2);
      await node.stopAgent();
    } finally {
      execFileSync('umount', ['-l', node.ledgerFolder]);
    }
  });
});

describe('the pod’s object', () => {
  test('that comes while the ADD waits is in time', async () => {
    await node.startAgent({ podPatienceMilliseconds: 20_000 });
    const added = node.add({ containerId: 'c1', netns: node.sandbox().path, pod: 'default/late' });
    await node.apply('upsert', podManifest('late', { app: 'db' }));
    expect(await added).toEqual(['10.244.1.1', 'fd00:1::1']);
    expect(node.nft()).toContain('10.244.1.1 comment "default/late"');
  });

  test.each<[string, object | undefined, RegExp]>([
    ['never comes', undefined, /no such Pod object is known/],
    ['is of another node', podManifest('late', {}, { spec: { nodeName: 'n2', containers: [] } }), /of node n2/],
    [
      'is of an earlier life of that name',
      podManifest('late', {}, { metadata: { name: 'late', uid: 'old' } }),
      /has the uid old, not new/,
    ],
  ])('that %s: error 11', async (_, manifest, reason) => {
    await node.startAgent();
    if (manifest !== undefined) await node.apply('upsert', manifest);
    const call = { containerId: 'c1', netns: node.sandbox().path, pod: 'default/late', args: 'K8S_POD_UID=new' };
    const { output } = await node.call({ command: 'ADD', ...call });
    expect(output).toMatchObject({ code: 11, details: expect.stringMatching(reason) as string });
  });

  test('of a static pod has another uid than kubelet says, and is known by its hash', async () => {
    await node.startAgent();
    const metadata = { name: 'static', uid: 'mirror', annotations: { 'kubernetes.io/config.hash': 'kubelet' } };
    await node.apply('upsert', podManifest('static', {}, { metadata }));
    const call = { containerId: 'c1', netns: node.sandbox().path, pod: 'default/static', args: 'K8S_POD_UID=kubelet' };
    expect(await node.add(call)).toHaveLength(2);
  });

  test('may name its addresses', async () => {
    await node.startAgent();
    const named = (text: string) => ({ metadata: { name: 'named', annotations: { 'godwit.dev/ip-addresses': text } } });
    const call = { containerId: 'c1', netns: node.sandbox().path, pod: 'default/named' };
    await node.apply('upsert', podManifest('named', {}, named('10.9.9.9')));
    expect(await node.call({ command: 'ADD', ...call })).toMatchObject({ output: { code: 7 } });
    await node.apply('upsert', podManifest('named', {}, named('not an address')));
    expect(await node.call({ command: 'ADD', ...call })).toMatchObject({ output: { code: 7 } });
    await node.apply('upsert', podManifest('named', {}, named('["10.244.1.77","fd00:1::77"]')));
    expect(await node.add(call)).toEqual(['10.244.1.77', 'fd00:1::77']);
  });

  test('is not asked for where the runtime is not Kubernetes’', async () => {
    await node.startAgent();
    expect(await node.add({ containerId: 'c1', netns: node.sandbox().path })).toHaveLength(2);
    expect(node.published).toEqual([]);
  });
});

test('no address left: error 11 with counts, and whoever tells the cluster of it is told', async () => {
  const told: string[] = [];
  await node.startAgent({
    ranges: ['10.244.1.0/31'],
    onFailure: ({ pod, kind, reason }) => void told.push(`${pod?.namespace}/${pod?.name} ${kind}: ${reason}`),
  });
  await node.add({ containerId: 'c1', netns: node.sandbox().path });
  const { output } = await node.call({
    command: 'ADD',
    containerId: 'c2',
    netns: node.sandbox().path,
    pod: 'default/other',
  });
  const details = 'no IPv4 address is left (10.244.1.0/31: 1 for pods, 1 held, 0 reserved)';
  expect(output).toMatchObject({ code: 11, msg: 'no address for the pod', details });
  expect(told).toEqual([`default/other noAddress: ${details}`]);
});

test('a node without a range: who tells the cluster of it hears that it is the node’s problem', async () => {
  const told: unknown[] = [];
  await node.startAgent({ ranges: [], onFailure: (failure) => void told.push(failure) });
  await node.call({ command: 'ADD', containerId: 'c1', netns: node.sandbox().path, pod: 'default/other' });
  const reason = 'the node has no pod range (spec.podCIDRs)';
  expect(told).toMatchObject([{ pod: { name: 'other' }, kind: 'noAddress', reason, nodeProblem: reason }]);
});

test('a disk that takes no record: whoever tells the cluster of it is told', async () => {
  const told: unknown[] = [];
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  await node.startAgent({
    ledger: ledgerThat({ write: () => Promise.reject(full) }),
    onFailure: (failure) => void told.push(failure),
  });
  await node.call({ command: 'ADD', containerId: 'c1', netns: node.sandbox().path, pod: 'default/other' });
  const reason = 'the attachment cannot be recorded: ENOSPC: no space left on device';
  expect(told).toMatchObject([{ pod: { name: 'other' }, kind: 'noNetwork', reason, nodeProblem: undefined }]);
});

test('an agent that was killed before it made the link: its record is dropped, and the address is free', async () => {
  // The kernel never answers: so far had it come when it was killed.
  await node.startAgent({
    ledger: ledgerThat({
      write: (attachment) =>
        new LedgerFolder(node.ledgerFolder).write(attachment).then(() => new Promise<never>(() => {})),
    }),
  });
  const dying = node.call({ command: 'ADD', containerId: 'c1', netns: node.sandbox().path, pod: 'default/db' });
  void dying;
  await eventually(() => records().some((name) => name.endsWith('.json')), { reason: 'the record is written' });
  await node.startAgent();
  expect(records()).toEqual([]);
  expect(node.nft()).not.toContain('10.244.1.1');
  expect(await node.add({ containerId: 'c2', netns: node.sandbox().path, pod: 'default/db' })).toEqual([
    '10.244.1.1',
    'fd00:1::1',
  ]);
});

test('an agent that was killed between the link’s two steps: the retry mends it, a DEL takes it away', async () => {
  await node.startAgent();
  const before = node.traces();
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/web' };
  await node.add(call);
  const [attachment] = (await new LedgerFolder(node.ledgerFolder).read()).attachments;
  await node.stopAgent();
  await node.links.remove(attachment.hostName);
  node.links.prepare(toPodLink(attachment));
  await node.startAgent();
  expect(pings(node.host, '10.244.1.1')).toBe(false);
  expect(await node.add(call)).toEqual(['10.244.1.1', 'fd00:1::1']);
  expect(pings(node.host, '10.244.1.1')).toBe(true);
  expect(await node.call({ command: 'DEL', ...call })).toEqual({ status: 0 });
  expect(node.traces()).toBe(before);
});

describe('another life of the agent', () => {
  const call = () => ({ containerId: 'c1', netns: node.sandbox().path, pod: 'default/db' });

  test('keeps pods, policy and addresses', async () => {
    await node.startAgent();
    const db = call();
    await node.add(db);
    const before = node.traces();
    await node.stopAgent();
    await node.startAgent();
    expect(node.traces()).toBe(before);
    expect(await node.call({ command: 'CHECK', ...db })).toEqual({ status: 0 });
    expect(await node.add({ containerId: 'c2', netns: node.sandbox().path, pod: 'default/web' })).toEqual([
      '10.244.1.2',
      'fd00:1::2',
    ]);
  });

  test('keeps the policy of a pod whose object went meanwhile', async () => {
    await node.startAgent();
    const db = call();
    await node.add(db);
    await node.stopAgent();
    await node.apply('delete', podManifest('db', { app: 'db' }));
    await node.startAgent();
    expect(node.nft()).toContain('10.244.1.1 comment "default/db"');
    await node.call({ command: 'DEL', ...db });
    expect(node.nft()).not.toContain('default/db');
  });

  test('after a reboot forgets them', async () => {
    await node.startAgent();
    await node.add(call());
    await node.stopAgent();
    for (const { name } of node.links.hostLinks()) await node.links.remove(name);
    await node.startAgent({ bootId: 'boot 2' });
    expect(records()).toEqual([]);
    expect(node.part.usage()).toMatchObject([{ held: 0 }, { held: 0 }]);
  });

  test('that cannot read a record gives the link’s addresses to nobody, and DEL still finds the link', async () => {
    await node.startAgent();
    const db = call();
    await node.add(db);
    await node.stopAgent();
    writeFileSync(join(node.ledgerFolder, records()[0]), '{"torn');
    await node.startAgent();
    expect(node.logged.join('\n')).toContain('a record of an attachment cannot be read');
    expect(await node.add({ containerId: 'c2', netns: node.sandbox().path, pod: 'default/web' })).toEqual([
      '10.244.1.2',
      'fd00:1::2',
    ]);
    expect(await node.call({ command: 'DEL', ...db })).toEqual({ status: 0 });
    expect(node.links.hostLinks()).toHaveLength(1);
    expect(records()).toHaveLength(1);
    expect(node.part.usage()).toMatchObject([{ held: 1, coolingDown: 1 }, {}]);
  });
});

test('while the agent is away: 11, for STATUS 50; VERSION is answered', async () => {
  const base = { containerId: 'c1', netns: '/run/netns/x' };
  for (const command of ['ADD', 'DEL', 'CHECK', 'GC']) {
    expect(await node.call({ command, ...base })).toMatchObject({ status: 1, output: { code: 11 } });
  }
  expect(await node.call({ command: 'STATUS' })).toMatchObject({ status: 1, output: { code: 50 } });
  expect(await node.call({ command: 'VERSION' })).toEqual({
    status: 0,
    output: { cniVersion: '1.0.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] },
  });
});

test('CHECK finds what is not as it was made, and does not know what was never there', async () => {
  await node.startAgent();
  const pod = node.sandbox();
  const call = { command: 'CHECK', containerId: 'c1', netns: pod.path, pod: 'default/web' };
  expect(await node.call(call)).toMatchObject({ output: { code: 3 } });
  await node.add(call);
  const prevResult = { ips: [{ address: '10.244.1.1/32' }] };
  expect(await node.call({ ...call, config: { prevResult } })).toEqual({ status: 0 });
  expect(await node.call({ ...call, config: { prevResult: { ips: [{ address: '10.244.1.8/32' }] } } })).toMatchObject({
    output: { code: 100, details: '10.244.1.8 is not an address of the attachment' },
  });
  pod.ip('route del default');
  expect(await node.call(call)).toMatchObject({
    output: { code: 100, details: 'the pod has no route to 0.0.0.0/0 through eth0' },
  });
});

test('GC takes away what the runtime no longer knows, of its network alone', async () => {
  await node.startAgent();
  const add = (containerId: string, name: string) =>
    node.add({ containerId, netns: node.sandbox().path, config: { name } });
  await add('kept', 'godwit');
  await add('lost', 'godwit');
  await add('elsewhere', 'another');
  const valid = [{ containerID: 'kept', ifname: 'eth0' }];
  const call = { command: 'GC', version: '1.1.0', config: { 'cni.dev/valid-attachments': valid } };
  expect(await node.call(call)).toEqual({ status: 0 });
  const left = (await new LedgerFolder(node.ledgerFolder).read()).attachments;
  expect(left.map(({ containerId }) => containerId)).toEqual(['kept', 'elsewhere']);
  expect(node.links.hostLinks()).toHaveLength(2);
});

test('a namespace that ended without a DEL is found, and its address is free', async () => {
  await node.startAgent();
  const pod = node.sandbox();
  await node.add({ containerId: 'c1', netns: pod.path, pod: 'default/db' });
  pod.remove();
  await eventually(() => node.links.hostLinks().length === 0, { reason: 'the kernel takes the link' });
  node.checkLeaks!();
  await eventually(() => records().length === 0, { reason: 'the leak is collected' });
  expect(node.part.usage()).toMatchObject([{ held: 0, coolingDown: 1 }, {}]);
  expect(node.nft()).not.toContain('10.244.1.1');
});

test('STATUS is 50 with the reason while no pod could be served', async () => {
  await node.startAgent();
  const status = () => node.call({ command: 'STATUS', version: '1.1.0' });
  expect(await status()).toEqual({ status: 0 });
  node.policy.problem = () => 'nft refused';
  expect(await status()).toMatchObject({ output: { code: 50, details: 'nft refused' } });
  await node.stopAgent();
  await node.startAgent({ ranges: [] });
  expect(await status()).toMatchObject({
    output: { code: 50, details: 'the node has no pod range (spec.podCIDRs)' },
  });
});

test('the network configuration is there when the socket is served, and stays when the agent ends', async () => {
  const path = join(node.folder, 'net.d', '10-godwit.conflist');
  expect(() => readFileSync(path)).toThrow();
  await node.startAgent();
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ name: 'godwit', plugins: [{ type: 'godwit-cni' }] });
  expect(readdirSync(join(node.folder, 'net.d'))).toEqual(['10-godwit.conflist']);
  await node.stopAgent();
  expect(() => readFileSync(path)).not.toThrow();
});

test('the network configuration waits for policy', async () => {
  const path = join(node.folder, 'net.d', '10-godwit.conflist');
  await node.startAgent({ beforeServe: () => (node.policy.problem = () => 'nft refused') });
  expect(() => readFileSync(path)).toThrow();
  node.policy.problem = () => undefined;
  await eventually(() => void readFileSync(path), { reason: 'policy is in force' });
});

test('an ADD that waits for its pod does not hold the end of the agent', async () => {
  await node.startAgent({ podPatienceMilliseconds: 3_600_000 });
  const answer = node.call({ command: 'ADD', containerId: 'c1', netns: node.sandbox().path, pod: 'default/never' });
  await eventually(() => node.part.calls() === 1, { reason: 'the call is under way' });
  await node.stopAgent();
  expect(await answer).toMatchObject({ output: { code: 11 } });
});

test('a further interface (Multus): its own addresses, isolated as the first, only the routes it is given', async () => {
  await node.startAgent();
  const pod = node.sandbox();
  const call = { containerId: 'c1', netns: pod.path, pod: 'default/db' };
  await node.add(call);
  const config = { routes: [{ dst: '203.0.113.0/24' }] };
  expect(await node.add({ ...call, ifName: 'net1', config })).toEqual(['10.244.1.2', 'fd00:1::2']);
  expect(pod.ip('route get 203.0.113.9')).toContain('dev net1');
  expect(pod.ip('route get 198.51.100.9')).toContain('dev eth0');
  expect(node.nft()).toContain('10.244.1.2 comment "default/db"');
  expect(node.published.at(-1)).toBe('default/db 10.244.1.1 fd00:1::1 10.244.1.2 fd00:1::2');
  await node.call({ command: 'DEL', ...call, ifName: 'net1' });
  expect(node.nft()).not.toContain('10.244.1.2');
  expect(node.nft()).toContain('10.244.1.1 comment "default/db"');
});

test('a pod that sends from an address that is not its own is not heard, in either family', async () => {
  await node.startAgent();
  // The setting that makes IPv4's own check loose, as some distributions have it.
  node.host.exec('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=2');
  const [a, b] = [node.sandbox(), node.sandbox()];
  await node.add({ containerId: 'c1', netns: a.path, pod: 'default/web' });
  await node.add({ containerId: 'c2', netns: b.path, pod: 'default/other' });
  const received = () => b.exec('cat', '/proc/net/snmp6', '/proc/net/snmp').match(/Icmp6InEchos\s+\d+|Icmp: \d+/g);
  a.ip('addr add 10.244.1.99/32 dev eth0');
  a.ip('addr add fd00:1::99/128 dev eth0 nodad');
  const before = received();
  for (const [from, to] of [
    ['10.244.1.99', '10.244.1.2'],
    ['fd00:1::99', 'fd00:1::2'],
  ]) {
    expect(() => a.exec('ping', '-c', '1', '-W', '0.2', '-I', from, to)).toThrow();
  }
  expect(received()).toEqual(before);
  expect(pings(a, 'fd00:1::2')).toBe(true);
});

test('many at once: no address twice, and all go again', async () => {
  await node.startAgent();
  const before = node.traces();
  const calls = Array.from({ length: 12 }, (_, i) => ({
    containerId: `c${i}`,
    netns: node.sandbox().path,
    pod: 'default/db',
  }));
  const given = await Promise.all(calls.map((call) => node.add(call)));
  expect(new Set(given.flat()).size).toBe(24);
  await Promise.all(calls.map((call) => node.call({ command: 'DEL', ...call })));
  expect(node.traces()).toBe(before);
  expect(records()).toEqual([]);
});
