/** What the keepers of policy and routes tell the probes and the histograms, with kernels that a test has in its hand. */

import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { BestPathReader } from '../../../bgp/index.ts';
import {
  emptyRuleset,
  KernelError,
  NftError,
  NftMissing,
  type LinkMonitor,
  type NftTable,
  type RouteTable,
  type TunnelDevices,
} from '../../../dataplane/index.ts';
import { PolicyKeeper } from '../../../src/agent/policy-keeper.ts';
import { TableKeeper } from '../../../src/agent/table-keeper.ts';
import { RouteKeeper } from '../../../src/agent/route-keeper.ts';
import { PolicyEngine } from '../../../src/policy/engine.ts';
import { validateManifest, type ResourceChange } from '../../../src/resources/resource.ts';
import { toInventory } from '../../../src/topology/inventory.ts';
import { clusterOf, node, selfOf } from '../../kit/cluster.ts';

const log = pino({ level: 'silent' });

/** Time that the test moves; timers ring when it is moved. */
class TestClock {
  time = 1_000_000;
  private timers: { readonly at: number; readonly callback: () => void }[] = [];

  now = () => this.time;

  after = (milliseconds: number, callback: () => void) => {
    const timer = { at: this.time + milliseconds, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  pass(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
  }
}

const change: ResourceChange = (() => {
  const validation = validateManifest({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  if (validation.kind !== 'valid') throw new Error('no Namespace');
  return { kind: 'upsert', object: validation.resource };
})();

describe('policy', () => {
  /** Transactions end when the test says so. */
  function keeper() {
    const clock = new TestClock();
    const programmed: number[] = [];
    let end: { resolve: (result: object) => void; reject: (error: Error) => void } | undefined;
    const apply = () => new Promise((resolve, reject) => (end = { resolve, reject }));
    const policy = new PolicyKeeper({
      engine: new PolicyEngine({ nodeName: 'a' }),
      table: { apply } as unknown as NftTable,
      clock,
      log,
      onProgrammed: (milliseconds) => programmed.push(milliseconds),
    });
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    const done = async () => {
      end?.resolve({ kind: 'changed' });
      await settled();
    };
    const refuse = async () => {
      end?.reject(new NftError('nft says no'));
      await settled();
    };
    return { clock, programmed, policy, done, refuse };
  }

  test('the time is that from the first change to the end of the transaction that carries it', async () => {
    const { clock, programmed, policy, done } = keeper();
    policy.onChanges([change]);
    clock.pass(10);
    void policy.flush();
    clock.pass(30);
    // This one comes too late for the transaction under way.
    policy.onChanges([change]);
    void policy.flush();
    clock.pass(5);
    await done();
    expect(programmed).toEqual([45]);
    clock.pass(7);
    await done();
    expect(programmed).toEqual([45, 12]);
    policy.close();
  });

  test('refused transactions count into the time of the one that is taken', async () => {
    const { clock, programmed, policy, done, refuse } = keeper();
    policy.onChanges([change]);
    void policy.flush();
    await refuse();
    expect([programmed, policy.everApplied, policy.waitingSince]).toEqual([[], false, undefined]);
    clock.pass(500);
    await done();
    expect([programmed, policy.everApplied]).toEqual([[500], true]);
    policy.close();
  });

  test('a transaction that does not end is waited for since it began', async () => {
    const { clock, policy, done } = keeper();
    void policy.flush();
    const began = clock.time;
    clock.pass(90_000);
    expect(policy.waitingSince).toBe(began);
    await done();
    expect(policy.waitingSince).toBeUndefined();
    policy.close();
  });
});

describe('a table that is not always wanted', () => {
  function keeper(fails: { error?: Error } = {}) {
    const clock = new TestClock();
    const done: string[] = [];
    const state = { wanted: false };
    const act = async (word: string) => {
      if (fails.error) throw fails.error;
      done.push(word);
      return { kind: 'changed' };
    };
    const table = { apply: () => act('apply'), remove: () => act('remove'), verify: () => act('verify') };
    const nat = new TableKeeper({
      subject: 'natOutgoing',
      table: table as unknown as NftTable,
      wanted: () => (state.wanted ? emptyRuleset : undefined),
      clock,
      log,
    });
    return { clock, done, state, nat, fails };
  }

  test('is removed once, with that of an earlier run, and looked after while it is there', async () => {
    const { clock, done, state, nat } = keeper();
    await nat.flush();
    await nat.flush();
    clock.pass(60_000);
    expect(done).toEqual(['remove']);
    state.wanted = true;
    await nat.flush();
    clock.pass(10_000);
    expect(done).toEqual(['remove', 'apply', 'verify']);
    state.wanted = false;
    await nat.flush();
    await nat.flush();
    clock.pass(60_000);
    expect(done.slice(3)).toEqual(['remove']);
    nat.close();
  });

  test('that nft refuses is told with the time of the first refusal, and tried again', async () => {
    const { clock, done, state, nat, fails } = keeper({ error: new NftError('nft says no') });
    state.wanted = true;
    await nat.flush();
    const since = clock.time;
    clock.pass(500);
    await new Promise((resolve) => setImmediate(resolve));
    expect(nat.failure).toEqual({ message: 'nft says no', since });
    delete fails.error;
    clock.pass(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect([nat.failure, done]).toEqual([undefined, ['apply']]);
    nat.close();
  });

  test('needs no nft while it is not wanted', async () => {
    const { state, nat } = keeper({ error: new NftMissing('cannot run nft') });
    await nat.flush();
    expect(nat.failure).toBeUndefined();
    state.wanted = true;
    await nat.flush();
    expect(nat.failure).toMatchObject({ message: 'cannot run nft' });
    nat.close();
  });
});

describe('routes', () => {
  function keeper() {
    const clock = new TestClock();
    const programmed: number[] = [];
    const state = { fails: false, slices: 0 };
    const table = {
      adopt() {},
      adoptedPrefixes: () => new Set<string>(),
      apply() {
        if (state.fails) throw new KernelError('route', 105, 'ENOBUFS');
        return state.slices-- > 0;
      },
      totals: () => ({ desired: 0, actual: 0, adopted: 0, pending: 0, failures: 0 }),
      setDesired() {},
      removeDesired() {},
      close() {},
    };
    const devices = { supported: () => ({ supported: true }), apply: () => [], removeUnused: () => [], close() {} };
    const routes = new RouteKeeper({
      inventory: toInventory(clusterOf(node('a', '10.0.0.1')), selfOf('a')),
      links: { onChange: () => () => {}, links: () => [], resolve: () => undefined } as unknown as LinkMonitor,
      table: table as unknown as RouteTable,
      devices: devices as unknown as TunnelDevices,
      clock,
      log,
      onProgrammed: (milliseconds) => programmed.push(milliseconds),
    });
    const changes = [{ family: 'ipv4', prefix: '10.1.0.0/24', paths: [] }];
    const reader = { read: () => changes.splice(0), close() {} } as unknown as BestPathReader;
    routes.follow(reader, () => []);
    return { clock, programmed, routes, state };
  }

  test('the time is that from the first change until the kernel has taken what was read', () => {
    const { clock, programmed, routes, state } = keeper();
    clock.pass(0);
    expect(programmed).toEqual([]);
    routes.onReadable();
    routes.onReadable();
    state.slices = 2;
    clock.time += 20;
    clock.pass(0);
    expect(programmed).toEqual([20]);
    routes.close();
  });

  test('a kernel that keeps failing is waited for since its first failure, and counts into the time', () => {
    const { clock, programmed, routes, state } = keeper();
    clock.pass(0);
    expect(routes.waitingSince).toBeUndefined();
    state.fails = true;
    const began = clock.time;
    routes.onReadable();
    clock.pass(61_500);
    expect([routes.waitingSince, programmed]).toEqual([began, []]);
    state.fails = false;
    clock.pass(1000);
    expect([routes.waitingSince, programmed]).toEqual([undefined, [62_000]]);
    routes.close();
  });
});
