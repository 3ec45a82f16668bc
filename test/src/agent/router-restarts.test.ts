/**
 * Graceful restart under a stream of pings, with each real router: it is killed and comes back, then we. The way there is what the
 * agent has put into its kernel; the way back is a fixed route, for on Linux most of these daemons program no kernel.
 *
 *     10.10.0.1, fd10::1 the agent 10.99.0.1, fd99::1 ── iBGP ── 10.99.0.2, fd99::2 the router 10.20.0.1, fd20::1
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addresses, ourAs, password, prefixes } from '../../bgp/kit/interop-lab.ts';
import { BirdRouter } from '../../bgp/kit/routers/bird.ts';
import { ExaBgpRouter } from '../../bgp/kit/routers/exabgp.ts';
import { FrrRouter } from '../../bgp/kit/routers/frr.ts';
import { GoBgpRouter } from '../../bgp/kit/routers/gobgp.ts';
import { OpenBgpdRouter } from '../../bgp/kit/routers/openbgpd.ts';
import type { Subject } from '../../bgp/kit/subject.ts';
import { AgentProcess } from '../../kit/agent-process.ts';
import { eventually } from '../../kit/eventually.ts';
import { missedWhile } from '../../kit/missed-while.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Pings } from '../../kit/pings.ts';
import { RouteMonitor } from '../../kit/route-monitor.ts';

const manifests = (signed: boolean) => `
apiVersion: v1
kind: Node
metadata: { name: node }
spec: { podCIDRs: ['${prefixes.we.join("', '")}'] }
status: { addresses: [{ type: InternalIP, address: ${addresses.we} }, { type: InternalIP, address: 'fd99::1' }] }
---
apiVersion: godwit.dev/v1
kind: BGPConfiguration
metadata: { name: default }
spec: { asNumber: ${ourAs} }
---
apiVersion: v1
kind: Secret
metadata: { name: bgp }
stringData: { router: ${password} }
---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata: { name: router }
spec:
  peerIP: ${addresses.daemon}
  asNumber: ${ourAs}
  holdTime: 9s
  connectRetryTime: 1s
  ttlSecurity: 1
  ${signed ? 'password: { secretKeyRef: { name: bgp, key: router } }' : ''}
`;

const hosts = { we: ['10.10.0.1', 'fd10::1'], daemon: ['10.20.0.1', 'fd20::1'] } as const;
const gateways = { we: [addresses.we, 'fd99::1'], daemon: [addresses.daemon, 'fd99::2'] } as const;
/** Of the pairs: IPv4, IPv6. */
const families = [0, 1] as const;
const learned = families.map((family) => `${prefixes.daemon[family]} via ${gateways.daemon[family]}`);

/** The drawing above, for one router. */
class RestartLab {
  readonly node = new TestNamespace();
  readonly host = new TestNamespace();
  readonly router: Subject;
  readonly agent: AgentProcess;
  private readonly made = new AsyncDisposableStack();

  constructor({ Router, signed = true }: Case) {
    for (const namespace of [this.node, this.host]) this.made.use(namespace);
    this.router = this.made.use(new Router(this.host.name, [addresses.we]));
    const options = { namespace: this.node.name, node: 'node', roles: 'bgp,routes', manifests: manifests(signed) };
    this.agent = this.made.use(new AgentProcess(options));
  }

  async start(): Promise<void> {
    const { node, host } = this;
    connectNamespaces(node, 'eth0', host, 'eth0');
    for (const [namespace, side] of [
      [node, 'we'],
      [host, 'daemon'],
    ] as const) {
      namespace.addAddresses('eth0', `${gateways[side][0]}/24`, `${gateways[side][1]}/64`);
      namespace.addAddresses('lo', ...hosts[side]);
    }
    for (const family of families) host.ip(`route add ${prefixes.we[family]} via ${gateways.we[family]}`);
    // The kernel tells of an address of its own that it was still trying out.
    await eventually(() => [node, host].every((namespace) => namespace.ip('addr show tentative') === ''), {
      reason: 'every address is in use',
    });
    await this.router.start();
    this.agent.start();
    await this.converged();
  }

  /** The session is up, each side has told everything, nothing is stale, and the kernel has it. */
  async converged(): Promise<void> {
    // What some reflect is our own route.
    const counts = '1 imported, (1 filtered, )?1 exported, 1 preferred\n';
    const told = new RegExp(`Established(?:[^]*${counts}[^]*End-of-RIB: +received, sent){2}`);
    await eventually(async () => expect(await this.session()).toMatch(told), { reason: 'everything has been told' });
    await eventually(async () => expect(await this.agent.ask('show status')).not.toContain('recovery'), {
      reason: 'no restart is under way',
    });
    await eventually(() => expect(this.kernelRoutes()).toEqual(learned), { reason: 'the routes are in the kernel' });
    await eventually(() => expect(this.missingAtRouter()).toEqual([]), { reason: 'the router has our routes' });
  }

  /** What the agent shows of it. */
  session(): Promise<string> {
    return this.agent.ask('show protocols all peer_router');
  }

  /** Those that the agent has put in. */
  kernelRoutes(): string[] {
    return ['-4', '-6'].flatMap((family) =>
      this.node
        .ipJson(`${family} route show proto 167`)
        .map(({ dst, gateway }) => `${String(dst)} via ${String(gateway)}`),
    );
  }

  missingAtRouter(): string[] {
    return prefixes.we.filter((prefix) => !this.router.route(prefix).includes(prefix));
  }

  async remove(): Promise<void> {
    await this.made.disposeAsync();
  }
}

interface Case {
  readonly name: string;
  readonly Router: new (namespace: string, neighbors: readonly string[]) => Subject;
  /** With a password; true unless told. */
  readonly signed?: boolean;
}

describe.each<Case>([
  { name: 'BIRD', Router: BirdRouter },
  { name: 'FRR', Router: FrrRouter },
  { name: 'GoBGP', Router: GoBgpRouter },
  { name: 'OpenBGPD', Router: OpenBgpdRouter, signed: false },
  { name: 'ExaBGP', Router: ExaBgpRouter },
])('$name', (given) => {
  let lab: RestartLab;
  let monitor: RouteMonitor;
  let pings: readonly Pings[];

  beforeAll(async () => {
    lab = new RestartLab(given);
    await lab.start();
  });
  afterAll(() => lab?.remove());

  beforeEach(async ({ onTestFailed, onTestFinished }) => {
    onTestFailed(() => console.error(`the agent:\n${lab.agent.said}\nthe router:\n${lab.router.log.slice(-4000)}`));
    const namespace = lab.node.name;
    monitor = new RouteMonitor(namespace);
    pings = families.map((family) => new Pings({ namespace, from: hosts.we[family], to: hosts.daemon[family] }));
    onTestFinished(async () => {
      monitor.end();
      await Promise.all(pings.map((each) => each.end()));
    });
    await monitor.ready();
    await goOn();
  });

  const goOn = () => Promise.all(pings.map((each) => each.goOn(20)));

  /** Ends the pings. @returns how many of IPv4 and of IPv6 were lost, and what the kernel told of routes meanwhile. */
  async function noticed() {
    await goOn();
    const lost = (await Promise.all(pings.map((each) => each.end()))).map((each) => each.lost);
    const changes = (await monitor.changes()).map((line) => /\] ((?:Deleted )?\S+ via \S+)/.exec(line)?.[1] ?? line);
    return { lost, changes: changes.sort() };
  }
  const nothing = { lost: [0, 0], changes: [] };

  test('RFC 4724 §4.2: it is killed and comes back; what it says that it preserves is kept, and nothing else', async () => {
    const { router } = lab;
    const [offer] = [...(await lab.session()).matchAll(/graceful restart \d+ s.*/g)].slice(1);
    await router.kill();
    await eventually(async () => expect(await lab.session()).toContain('connection closed by the peer'), {
      reason: 'the loss is noticed',
    });
    if (router.restart === undefined) {
      // §3: it names no family, so it can help, and preserves nothing itself.
      expect(offer[0]).not.toMatch(/IPv[46]/);
      await eventually(() => expect(lab.kernelRoutes()).toEqual([]), { reason: 'nothing is kept' });
      await router.start();
      await lab.converged();
      const { lost, changes } = await noticed();
      expect(lost.map((count) => count > 0)).toEqual([true, true]);
      expect(changes).toEqual([...learned, ...learned.map((route) => `Deleted ${route}`)].sort());
    } else {
      expect(offer[0]).toMatch(/IPv4.*, IPv6/);
      await goOn();
      await router.restart();
      await lab.converged();
      expect(await noticed()).toEqual(nothing);
    }
  });

  test('RFC 4724 §4.1: we are killed and come back; nothing is lost, and a helper keeps our routes all the time', async () => {
    await lab.agent.end('SIGKILL');
    const missed = await missedWhile({ 'our routes': () => lab.missingAtRouter().length === 0 }, async () => {
      await goOn();
      lab.agent.start();
      await lab.converged();
    });
    expect(await noticed()).toEqual(nothing);
    if (lab.router.helps) expect(missed).toEqual([]);
  });
});
