/** The table as text, its comparison with the kernel's, and what happens when nft refuses. */

import { describe, expect, test } from 'vitest';
import {
  emptyRuleset,
  nftComment,
  NftError,
  NftTable,
  plainElement,
  type NftRunner,
  type NftSet,
  type Ruleset,
} from '../../../dataplane/index.ts';
import { diffRulesets } from '../../../dataplane/nft/diff.ts';
import { printCommands, printReplacement } from '../../../dataplane/nft/print.ts';

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

test('long lists of elements are cut into several commands of the same transaction', () => {
  const many = set(...Array.from({ length: 2500 }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
  const script = printReplacement('godwit', { sets: new Map([['many', many]]), chains: new Map() });
  expect(script.split('\n').filter((line) => line.startsWith('add element'))).toHaveLength(3);
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
    expect(() => printReplacement('godwit', commented)).toThrow('not a comment for nftables: "a\\"b"');
    const named = { ...emptyRuleset, sets: new Map([['a b', set()]]) };
    expect(() => printReplacement('godwit', named)).toThrow('not a name for an nftables object: "a b"');
  });
});

/** A kernel that takes everything but scripts with the given text. */
function fakeNft(refused: string): NftRunner & { readonly loaded: string[] } {
  const loaded: string[] = [];
  return {
    loaded,
    load: async (script) => {
      if (script.includes(refused)) throw new NftError('nft refused the transaction', 'Error: too bad\n');
      loaded.push(script);
    },
    // As nft lists `ruleset`.
    list: async () => ({
      nftables: [
        { set: { name: 'peers', elem: ['10.0.0.2'] } },
        {
          map: {
            name: 'by-pod',
            elem: [[{ elem: { val: '10.0.0.1', comment: 'ns/pod' } }, { goto: { target: 'a' } }]],
          },
        },
        { chain: { name: 'base', type: 'filter', hook: 'forward', prio: 0 } },
        { chain: { name: 'a' } },
        { rule: { chain: 'base', expr: [{ vmap: {} }] } },
        {
          rule: {
            chain: 'a',
            comment: 'ns/policy ingress[0]',
            expr: [{ match: {} }, { counter: {} }, { accept: null }],
          },
        },
      ],
    }),
  };
}

test('a transaction that nft refuses: its words, and the next apply starts from what is in force', async () => {
  const nft = fakeNft('10.0.0.66');
  const table = new NftTable({ run: nft });
  await table.apply(ruleset);
  const first = nft.loaded.length;
  const refused = { ...ruleset, sets: new Map([...ruleset.sets, ['peers', set('10.0.0.2', '10.0.0.66')] as const]) };
  await expect(table.apply(refused)).rejects.toThrow('nft refused the transaction: Error: too bad');
  const good = { ...ruleset, sets: new Map([...ruleset.sets, ['peers', set('10.0.0.2', '10.0.0.7')] as const]) };
  expect(await table.apply(good)).toEqual({ kind: 'changed', commands: 1 });
  expect(nft.loaded.at(-1)).toBe('add element inet godwit peers { 10.0.0.7 }\n');
  expect(nft.loaded).toHaveLength(first + 1);
});

test('while the table is made anew, a second one with the same rules judges: it comes before and goes after', async () => {
  const nft = fakeNft('refuses nothing');
  await new NftTable({ run: nft }).apply(ruleset);
  const about = nft.loaded.map((script) => /^delete table inet (\S+)$/m.exec(script)?.[1]);
  expect(about).toEqual(['godwit-stand-in', 'godwit', 'godwit-stand-in']);
  const rules = (script: string) => script.split('\n').filter((line) => line.startsWith('add rule'));
  expect(rules(nft.loaded[0]).map((rule) => rule.replace('godwit-stand-in', 'godwit'))).toEqual(rules(nft.loaded[1]));
  expect(rules(nft.loaded[0])).not.toEqual([]);
  expect(rules(nft.loaded[2])).toEqual([]);
});

test('a table that cannot be made anew leaves no second one behind', async () => {
  const nft = fakeNft('delete table inet godwit\n');
  await expect(new NftTable({ run: nft }).apply(ruleset)).rejects.toThrow('nft refused the transaction');
  expect(nft.loaded.at(-1)).toContain('delete table inet godwit-stand-in');
  expect(nft.loaded.at(-1)).not.toContain('add rule');
});

test('a second table that could not be taken away is made and taken away again by the next apply', async () => {
  const nft = fakeNft('refuses nothing');
  let refusals = 1;
  const run: NftRunner = {
    ...nft,
    load: async (script) => {
      const removal = script.endsWith('delete table inet godwit-stand-in\n');
      if (removal && refusals-- > 0) throw new NftError('nft refused the transaction', 'Error: busy\n');
      await nft.load(script);
    },
  };
  const table = new NftTable({ run });
  await expect(table.apply(ruleset)).rejects.toThrow('busy');
  expect(await table.apply(ruleset)).toEqual({ kind: 'replaced' });
  expect(nft.loaded.at(-1)).toBe('add table inet godwit-stand-in\ndelete table inet godwit-stand-in\n');
  expect(await table.apply(ruleset)).toEqual({ kind: 'unchanged' });
});

test('a program that is not there is told by its name', async () => {
  const { nftProcess } = await import('../../../dataplane/index.ts');
  await expect(nftProcess(['/nonexistent/nft']).load('')).rejects.toThrow('cannot run /nonexistent/nft');
});
