/** doctor on a host that is made so: a network namespace with Docker's firewall, flannel's link, a stranger on the port. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enterNamespace } from '../../bgp/kit/enter-namespace.ts';
import { eventually } from '../../kit/eventually.ts';
import { TestNamespace } from '../../kit/netns.ts';
import { runDoctor } from '../../../src/cli/doctor.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { gatherFirewall } from '../../../src/doctor/gather/programs.ts';
import { gatherListeners } from '../../../src/doctor/gather/host.ts';
import { serve } from '../control/control-kit.ts';

const namespace = new TestNamespace();
const root = mkdtempSync(join(tmpdir(), 'godwit-doctor-'));
let leave: (() => void) | undefined;
let stranger: ChildProcess | undefined;

function file(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

beforeAll(async () => {
  leave = enterNamespace(namespace.path);
  stranger = spawn(process.execPath, ['-e', "require('node:net').createServer().listen(179, '127.0.0.1')"], {
    stdio: 'ignore',
  });
  namespace.ip('link add flannel.1 type bridge');
  namespace.ip('link add uplink type bridge');
  namespace.ip('addr add 10.1.1.11/24 dev uplink');
  namespace.ip('link set uplink up');
  namespace.ip('route add 10.9.0.0/24 via 10.1.1.1 proto 80');
  namespace.ip('rule add table 77');
  namespace.exec(
    'nft',
    'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; add chain ip filter cali-x',
  );
  file('run/systemd/netif/state', '');
  file('etc/systemd/networkd.conf.d/a.conf', '[Network]\nManageForeignRoutingPolicyRules=no\n');
  file('etc/cni/net.d/05-flannel.conflist', '{"plugins": [{"type": "flannel"}]}');
  file('etc/cni/net.d/10-godwit.conflist', '{"plugins": [{"type": "godwit-cni"}]}');
  await eventually(() => isOpen(), { reason: 'the stranger listens' });
});

function isOpen(): boolean {
  const listeners = gatherListeners(179);
  return 'value' in listeners && listeners.value.length > 0;
}

afterAll(() => {
  stranger?.kill();
  leave?.();
  namespace.remove();
  rmSync(root, { recursive: true });
});

async function doctor(...args: string[]) {
  let stdout = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      stdout += chunk.toString();
      done();
    },
  });
  return { code: await runDoctor(args, { stdout: stream }, root), stdout };
}

test('everything that was set up is found, with its level', async () => {
  const { json } = await serve();
  const { code, stdout } = await doctor('--api', json.path, '--json');
  const findings = JSON.parse(stdout) as Finding[];
  const found = (subject: string) =>
    findings.filter((finding) => finding.subject === subject).map(({ level, text }) => `${level}: ${text}`);
  expect(code).toBe(1);
  expect(found('firewall')).toEqual([expect.stringMatching(/^problem: ip filter FORWARD drops/)]);
  expect(found('port')).toEqual([expect.stringMatching(/^problem: .*node.* listens on port 179/)]);
  expect(found('systemd-networkd')).toEqual([expect.stringMatching(/^warning: ManageForeignRoutes is on/)]);
  expect(found('cni')).toEqual([expect.stringMatching(/^problem: 05-flannel\.conflist \(flannel\) sorts before ours/)]);
  expect(found('leftovers')).toEqual([
    'warning: of Calico: 1 routes; 1 chains (ip filter cali-x)',
    'warning: of flannel: links flannel.1',
    'warning: of kube-router: rules to table 77',
  ]);
});

test('rules that let the pods through are read out of nft', async () => {
  namespace.exec(
    'nft',
    'add chain ip filter PODS; add rule ip filter PODS ip saddr 10.244.0.0/16 counter accept; add rule ip filter PODS ip daddr 10.244.1.5 accept; add rule ip filter PODS tcp dport 80 accept; add rule ip filter FORWARD jump PODS',
  );
  namespace.exec(
    'nft',
    'add table inet other; add chain inet other f { type filter hook forward priority 10; }; add rule inet other f reject',
  );
  const firewall = await gatherFirewall();
  expect('value' in firewall && firewall.value.forward).toEqual([
    {
      name: 'ip filter FORWARD',
      rest: 'drop',
      accepts: [{ source: '10.244.0.0/16' }, { destination: '10.244.1.5/32' }],
    },
    { name: 'inet other f', rest: 'drop', accepts: [] },
  ]);
});

test('without an agent the host is judged all the same', async () => {
  const { code, stdout } = await doctor('-s', '/nonexistent/godwit.ctl');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^problem {2}agent .*no such socket/m);
  expect(stdout).toMatch(/^problem {2}firewall /m);
});

test('a word is a wrong command line', async () => {
  await expect(doctor('now')).rejects.toThrow("doctor takes only flags, not 'now'");
});
