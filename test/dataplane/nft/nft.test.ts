/** The difference between two rulesets, the order of transactions, and what happens when the kernel refuses one. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  emptyRuleset,
  nftComment,
  NftError,
  NftSocket,
  NftTable,
  plainElement,
  type NftKernel,
  type NftSet,
  type Ruleset,
} from '../../../dataplane/index.ts';
import { diffRulesets, waypoints, type NftCommand } from '../../../dataplane/nft/diff.ts';
import { toMessages } from '../../../dataplane/nft/transaction.ts';
import { TestNamespace } from '../../kit/netns.ts';
import { printCommands, printReplacement } from '../../kit/nft-text.ts';

const set = (...keys: string[]): NftSet => ({
  keyTypes: ['ipv4_addr'],
  elements: new Map(keys.map((key) => [key, plainElement])),
});
const map: NftSet = {
  keyTypes: ['ipv4_addr'],
  verdicts: true,
  elements: new Map([['10.0.0.1', { verdict: { kind: 'goto', chain: 'a' }, comment: 'ns/pod' }]]),
};
const ruleset: Ruleset = {
  sets: new Map([
    ['peers', set('10.0.0.2')],
    ['by-pod', map],
  ]),
  chains: new Map([
    [
      'base',
      {
        hook: { name: 'forward', priority: 0 },
        rules: [{ matches: [], verdict: { kind: 'verdictMap', field: 'responder4', map: 'by-pod' } }],
      },
    ],
    [
      'a',
      {
        rules: [
          {
            matches: [{ kind: 'inSet', fields: ['initiator4'], set: 'peers' }],
            counter: true,
            verdict: { kind: 'accept' },
            comment: 'ns/policy ingress[0]',
          },
        ],
      },
    ],
  ]),
};

test('the first script makes the table anew in one transaction', () => {
  expect(printReplacement('godwit', ruleset).trim().split('\n')).toEqual([
    'add table inet godwit',
    'delete table inet godwit',
    'add table inet godwit',
    'add set inet godwit peers { type ipv4_addr; }',
    'add map inet godwit by-pod { type ipv4_addr : verdict; }',
    'add chain inet godwit base { type filter hook forward priority 0; policy accept; }',
    'add chain inet godwit a',
    'add rule inet godwit base ct reply ip saddr vmap @by-pod',
    'add rule inet godwit a ct original ip saddr @peers counter accept comment "ns/policy ingress[0]"',
    'add element inet godwit peers { 10.0.0.2 }',
    'add element inet godwit by-pod { 10.0.0.1 comment "ns/pod" : goto a }',
  ]);
});

test('a change writes what changed, deletions last', () => {
  const after: Ruleset = {
    sets: new Map([
      ['peers', set('10.0.0.3')],
      ['by-pod', { ...map, elements: new Map() }],
    ]),
    chains: new Map([['base', ruleset.chains.get('base')!]]),
  };
  expect(printCommands('godwit', diffRulesets(ruleset, after)).trim().split('\n')).toEqual([
    'flush chain inet godwit a',
    'delete element inet godwit peers { 10.0.0.2 }',
    'add element inet godwit peers { 10.0.0.3 }',
    'delete element inet godwit by-pod { 10.0.0.1 }',
    'delete chain inet godwit a',
  ]);
});

test('no change is no command', () => {
  expect(diffRulesets(ruleset, { sets: new Map(ruleset.sets), chains: new Map(ruleset.chains) })).toEqual([]);
});

test('on the way from one ruleset to another: what is new comes first, what is not needed goes last', () => {
  const moved: Ruleset = {
    sets: new Map([
      ['others', set('10.0.0.9')],
      ['by-pod', { ...map, elements: new Map([['10.0.0.1', { verdict: { kind: 'goto', chain: 'b' } }]]) }],
    ]),
    chains: new Map([
      ['base', ruleset.chains.get('base')!],
      ['b', { rules: [{ matches: [], verdict: { kind: 'drop' } }] }],
    ]),
  };
  let held = ruleset;
  const transactions = waypoints(ruleset, moved).map((next) => {
    const commands = diffRulesets(held, next);
    held = next;
    return printCommands('godwit', commands).trim().split('\n');
  });
  expect(transactions).toEqual([
    [
      'add set inet godwit others { type ipv4_addr; }',
      'add chain inet godwit b',
      'add rule inet godwit b drop',
      'add element inet godwit others { 10.0.0.9 }',
    ],
    ['delete element inet godwit by-pod { 10.0.0.1 }', 'add element inet godwit by-pod { 10.0.0.1 : goto b }'],
    ['flush chain inet godwit a', 'delete set inet godwit peers', 'delete chain inet godwit a'],
  ]);
});

describe('text of users', () => {
  test.each([
    ['plain', 'plain'],
    ['a"; flush ruleset; "', 'a?; flush ruleset; ?'],
    ['line\nend\\', 'line?end?'],
    ['größer', 'gr??er'],
    ['x'.repeat(200), `${'x'.repeat(124)}...`],
  ])('%j becomes a comment that nft gives back unchanged', (text, comment) => {
    expect(nftComment(text)).toBe(comment);
  });

  test('a comment that is none, or a name that is none, is not written', () => {
    const commented = { ...ruleset, sets: new Map([['peers', { ...set(), comment: 'a"b' }]]) };
    expect(() => messagesFor(commented)).toThrow('not a comment for nftables: "a\\"b"');
    const named = { ...emptyRuleset, sets: new Map([['a b', set()]]) };
    expect(() => messagesFor(named)).toThrow('not a name for an nftables object: "a b"');
  });

  const messagesFor = (after: Ruleset) => [...toMessages('godwit', diffRulesets(emptyRuleset, after))];
});

/** The kernel of a namespace; a transaction is refused while the test says so. */
class Kernel implements NftKernel {
  readonly socket: NftSocket;
  /** Tables and what was done to them. */
  committed: { table: string; commands: readonly NftCommand[] }[] = [];
  refuses: (table: string, commands: readonly NftCommand[]) => boolean = () => false;

  constructor(namespace: string) {
    this.socket = new NftSocket({ namespace });
  }

  async commit(table: string, commands: readonly NftCommand[]): Promise<void> {
    if (this.refuses(table, commands)) throw new NftError('the kernel refused it: EBUSY', { code: 16, errno: 'EBUSY' });
    await this.socket.commit(table, commands);
    this.committed.push({ table, commands });
  }

  read(table: string) {
    return this.socket.read(table);
  }

  text(): string[] {
    return this.committed.map(({ table, commands }) => printCommands(table, commands).trim());
  }
}

describe('a table', () => {
  let host: TestNamespace;
  let kernel: Kernel;
  let drift: string[];

  beforeAll(() => {
    host = new TestNamespace();
    kernel = new Kernel(host.path);
  });

  afterAll(() => {
    kernel?.socket.close();
    host?.remove();
  });

  function newTable(): NftTable {
    kernel.committed = [];
    kernel.refuses = () => false;
    drift = [];
    return new NftTable({ kernel, onDrift: (difference) => drift.push(difference) });
  }

  const withPeers = (...keys: string[]): Ruleset => ({
    ...ruleset,
    sets: new Map([...ruleset.sets, ['peers', set(...keys)] as const]),
  });

  test('a transaction that the kernel refuses: its words, and the next apply starts from what is in force', async () => {
    const table = newTable();
    await table.apply(ruleset);
    kernel.committed = [];
    kernel.refuses = () => true;
    await expect(table.apply(withPeers('10.0.0.2', '10.0.0.66'))).rejects.toThrow('the kernel refused it: EBUSY');
    kernel.refuses = () => false;
    expect(await table.apply(withPeers('10.0.0.2', '10.0.0.7'))).toEqual({
      kind: 'changed',
      commands: 1,
      transactions: 1,
    });
    expect(kernel.text()).toEqual(['add element inet godwit peers { 10.0.0.7 }']);
    expect(drift).toEqual([]);
  });

  test('refused half-way: the next apply starts from there', async () => {
    const table = newTable();
    await table.apply(ruleset);
    const after: Ruleset = {
      ...ruleset,
      sets: new Map([
        ['peers', set('10.0.0.3')],
        ['by-pod', map],
        ['new', set('10.0.0.4')],
      ]),
    };
    kernel.refuses = (_, commands) => commands.some(({ kind }) => kind === 'deleteElements');
    await expect(table.apply(after)).rejects.toThrow('EBUSY');
    kernel.refuses = () => false;
    kernel.committed = [];
    await table.apply(ruleset);
    expect(kernel.text()).toEqual(['delete set inet godwit new']);
    expect(await table.verify()).toBe('intact');
    expect(drift).toEqual([]);
  });

  test('a refusal because others changed the table: it is made anew, and said', async () => {
    const table = newTable();
    await table.apply(ruleset);
    host.exec('nft', 'add element inet godwit peers { 10.0.0.7 }');
    expect(await table.apply(withPeers('10.0.0.2', '10.0.0.7'))).toEqual({ kind: 'replaced' });
    expect(drift).toEqual(['set peers has a foreign element 10.0.0.7']);
    expect(await table.verify()).toBe('intact');
  });

  test('a change need not wait until the table is compared; what others did is mended in what is in force by then', async () => {
    newTable();
    let compared: () => void = () => {};
    const comparing = new Promise<void>((resolve) => (compared = resolve));
    const slow = new NftTable({
      kernel,
      onDrift: (difference) => drift.push(difference),
      breath: () => () => comparing,
    });
    await slow.apply(ruleset);
    host.exec('nft', 'flush map inet godwit by-pod');
    const verified = slow.verify();
    expect(await slow.apply(withPeers('10.0.0.2', '10.0.0.9'))).toMatchObject({ kind: 'changed' });
    compared();
    expect(await verified).toBe('repaired');
    expect(drift).toEqual(['set by-pod lacks the element 10.0.0.1']);
    expect(host.exec('nft', 'list', 'set', 'inet', 'godwit', 'peers')).toContain('10.0.0.9');
    expect(await slow.verify()).toBe('intact');
  });

  test('a table that was removed while it was compared is not made again', async () => {
    let compared: () => void = () => {};
    const comparing = new Promise<void>((resolve) => (compared = resolve));
    newTable();
    const table = new NftTable({ kernel, breath: () => () => comparing });
    await table.apply(ruleset);
    host.exec('nft', 'flush map inet godwit by-pod');
    const verified = table.verify();
    await table.remove();
    compared();
    expect(await verified).toBe('intact');
    expect(host.exec('nft', 'list', 'tables').trim()).toBe('');
  });

  test('while the table is made anew, a second one with the same rules judges: it comes before and goes after', async () => {
    await newTable().apply(ruleset);
    expect(kernel.committed.map(({ table }) => table)).toEqual(['godwit-stand-in', 'godwit', 'godwit-stand-in']);
    const [first, second, last] = kernel.committed.map(({ commands }) => commands);
    expect(first).toEqual(second);
    expect(first.map(({ kind }) => kind)).toContain('addRules');
    expect(last).toEqual([{ kind: 'removeTable' }]);
    expect(host.exec('nft', 'list', 'tables').trim()).toBe('table inet godwit');
  });

  test('a table that cannot be made anew leaves no second one behind', async () => {
    const table = newTable();
    await table.remove();
    kernel.refuses = (name) => name === 'godwit';
    await expect(table.apply(ruleset)).rejects.toThrow('EBUSY');
    expect(host.exec('nft', 'list', 'tables').trim()).toBe('');
  });

  test('a second table that could not be taken away is made and taken away again by the next apply', async () => {
    const table = newTable();
    let refusals = 1;
    kernel.refuses = (name, [{ kind }]) => name === 'godwit-stand-in' && kind === 'removeTable' && refusals-- > 0;
    await expect(table.apply(ruleset)).rejects.toThrow('EBUSY');
    expect(await table.apply(ruleset)).toEqual({ kind: 'replaced' });
    expect(host.exec('nft', 'list', 'tables').trim()).toBe('table inet godwit');
    expect(await table.apply(ruleset)).toEqual({ kind: 'unchanged' });
  });
});
