import { expect, test } from 'vitest';
import type { Attachment } from '../../../../src/agent/cni/attachment.ts';
import { LocalPods } from '../../../../src/agent/cni/local-pods.ts';
import type { Pod } from '../../../../src/resources/pod.ts';
import { validateManifest, type ResourceChange } from '../../../../src/resources/resource.ts';
import { podManifest } from './cni-node.ts';

function podOf(name: string, ips: readonly string[] = [], labels: Record<string, string> = {}): Pod {
  const status = { podIPs: ips.map((ip) => ({ ip })) };
  const validation = validateManifest(podManifest(name, labels, { status }));
  if (validation.kind !== 'valid') throw new Error(JSON.stringify(validation));
  return validation.resource as Pod;
}

function attachmentOf(containerId: string, pod: string, addresses: string[], ifName = 'eth0'): Attachment {
  return {
    bootId: 'boot 1',
    network: 'godwit',
    containerId,
    ifName,
    namespace: '/run/netns/x',
    pod: { namespace: 'default', name: pod, labels: { app: pod } },
    addresses,
    hostName: 'gw0000000000000',
    hostMac: '02:00:00:00:00:01',
    podMac: '02:00:00:00:00:02',
    mtu: 1500,
    defaultRoute: true,
    routes: [],
    attachedAt: 0,
  };
}

/** `upsert web 10.244.1.1`, for each change. */
function inWords(changes: readonly ResourceChange[]): string[] {
  return changes.map(({ kind, object }) => {
    const { metadata, status } = object as Pod;
    return [kind, metadata.name, ...status.podIPs.map(({ ip }) => ip)].join(' ');
  });
}

const upsert = (object: Pod): ResourceChange => ({ kind: 'upsert', object });
const gone = (object: Pod): ResourceChange => ({ kind: 'delete', object });

test('a pod has the addresses of its interfaces, whatever the API server still or already says', () => {
  const pods = new LocalPods('n1');
  expect(inWords(pods.attach(attachmentOf('c1', 'web', ['10.244.1.1']), podOf('web')))).toEqual([
    'upsert web 10.244.1.1',
  ]);
  expect(inWords(pods.translate([upsert(podOf('web', ['10.244.1.9']))]))).toEqual(['upsert web 10.244.1.1']);
  expect(inWords(pods.attach(attachmentOf('c1', 'web', ['10.244.1.2'], 'net1'), podOf('web')))).toEqual([
    'upsert web 10.244.1.1 10.244.1.2',
  ]);
  expect(pods.addressesOf('default/web')).toEqual(['10.244.1.1', '10.244.1.2']);
});

test('a pod without an interface of ours is as the API server says', () => {
  const pods = new LocalPods('n1');
  expect(inWords(pods.translate([upsert(podOf('far', ['10.244.2.1'])), gone(podOf('far', ['10.244.2.1']))]))).toEqual([
    'upsert far 10.244.2.1',
    'delete far 10.244.2.1',
  ]);
});

test('an address that passed on is told of the new pod only', () => {
  const pods = new LocalPods('n1');
  const old = attachmentOf('c1', 'job', ['10.244.1.1']);
  pods.attach(old, podOf('job'));
  expect(inWords(pods.detach(old))).toEqual(['upsert job']);
  pods.attach(attachmentOf('c2', 'web', ['10.244.1.1']), podOf('web'));
  expect(inWords(pods.translate([upsert(podOf('job', ['10.244.1.1']))]))).toEqual(['upsert job']);
});

test('a sandbox made anew: the old address goes with the old container', () => {
  const pods = new LocalPods('n1');
  const old = attachmentOf('c1', 'web', ['10.244.1.1']);
  pods.attach(old, podOf('web'));
  expect(inWords(pods.attach(attachmentOf('c2', 'web', ['10.244.1.2']), podOf('web')))).toEqual([
    'upsert web 10.244.1.1 10.244.1.2',
  ]);
  expect(inWords(pods.detach(old))).toEqual(['upsert web 10.244.1.2']);
  expect(inWords(pods.detach(old))).toEqual([]);
});

test('a pod deleted by force stays until its last interface goes', () => {
  const pods = new LocalPods('n1');
  const attachment = attachmentOf('c1', 'web', ['10.244.1.1']);
  pods.attach(attachment, podOf('web'));
  expect(pods.translate([gone(podOf('web'))])).toEqual([]);
  expect(inWords(pods.detach(attachment))).toEqual(['delete web']);
});

test('a pod that is told as ended runs as long as it has an interface', () => {
  const pods = new LocalPods('n1');
  const attachment = attachmentOf('c1', 'web', ['10.244.1.1']);
  pods.attach(attachment, podOf('web'));
  const failed = { ...podOf('web'), status: { phase: 'Failed' as const, podIPs: [] } };
  expect(pods.translate([upsert(failed)])[0].object).toMatchObject({ status: { phase: 'Running' } });
  expect(pods.detach(attachment)[0].object).toMatchObject({ status: { phase: 'Failed', podIPs: [] } });
});

test('after a restart a pod is as its record remembers it, until the source tells', () => {
  const pods = new LocalPods('n1');
  const [{ object }] = pods.attach(attachmentOf('c1', 'web', ['10.244.1.1']));
  expect(object).toMatchObject({ metadata: { labels: { app: 'web' } }, spec: { nodeName: 'n1' } });
  const [told] = pods.translate([upsert(podOf('web', [], { app: 'new' }))]);
  expect(told.object).toMatchObject({
    metadata: { labels: { app: 'new' } },
    status: { podIPs: [{ ip: '10.244.1.1' }] },
  });
});

test('a container that is no pod is nothing to policy', () => {
  const pods = new LocalPods('n1');
  const attachment = { ...attachmentOf('c1', 'x', ['10.244.1.1']), pod: undefined };
  expect([...pods.attach(attachment), ...pods.detach(attachment)]).toEqual([]);
});
