/** docs/rfc-coverage.md, held to the code: what it names is there, and what the code says it implements is in it. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const top = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(top, 'docs/rfc-coverage.md'), 'utf8');

interface Row {
  /** `RFC 4724: graceful restart §4.1` */
  readonly title: string;
  readonly what: string;
  /** `bgp/wire/open.ts:decodeOpen` */
  readonly places: readonly string[];
  readonly tests: readonly string[];
  /** Words of either column that are no name in backquotes. */
  readonly loose: string;
}

function rows(): Row[] {
  let chapter = '';
  const found: Row[] = [];
  for (const line of page.split('\n')) {
    chapter = /^## (.*)/.exec(line)?.[1] ?? chapter;
    if (!line.startsWith('| ') || line.startsWith('| § |')) continue;
    const cells = line.split(' | ').map((cell) => cell.replaceAll(/^\| ?|\s*\|$/g, '').trim());
    const [section, what, places = '', tests = ''] = cells;
    found.push({
      title: `${chapter} §${section}`,
      what,
      places: names(places),
      tests: names(tests),
      loose: `${places} ${tests}`.replaceAll(/`[^`]*`|[,\s|]/g, ''),
    });
  }
  return found;
}

function names(cell: string): string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, name]) => name);
}

/** Whether the text declares the name: a function, a class, a constant, a type, a member, or a key. */
function declares(text: string, name: string): boolean {
  const before = String.raw`(?:^\s*(?:(?:export|private|protected|public|static|readonly|async|get|set|override|abstract|declare) )*(?:(?:function\*?|class|const|let|interface|type|enum) )?\*?#?|[{,] (?:readonly )?)`;
  return new RegExp(String.raw`${before}${name}\??(?:[(:<;]| =| extends| implements| \{)`, 'm').test(text);
}

function isMissing(place: string): boolean {
  const [file, name] = place.split(':');
  if (name === undefined || !existsSync(join(top, file))) return true;
  const text = readFileSync(join(top, file), 'utf8');
  return !name.split('.').every((part) => declares(text, part));
}

const table = rows();
const chapters = new Set(
  [...page.matchAll(/^## RFC ([\d, ]+)/gm)].flatMap(([, numbers]) => numbers.split(',').map((number) => number.trim())),
);

test('the page has rows', () => {
  expect(table.length).toBeGreaterThan(90);
});

test('every row names where and by which tests, or what is left out', () => {
  const isWhole = ({ places, tests, what, loose }: Row) =>
    loose === '' &&
    ((places.length > 0 && tests.length > 0) ||
      (what.startsWith('Left out: ') && places.length === 0 && tests.length === 0));
  expect(table.filter((row) => !isWhole(row)).map(({ title }) => title)).toEqual([]);
});

test('every file and every name in it is there', () => {
  expect(table.flatMap(({ title, places }) => places.filter(isMissing).map((place) => `${title}: ${place}`))).toEqual(
    [],
  );
});

test('every test and benchmark is there', () => {
  const isTest = (file: string) => /\.test\.ts$|-stories\.ts$|^bench\//.test(file) && existsSync(join(top, file));
  expect(
    table.flatMap(({ title, tests }) => tests.filter((file) => !isTest(file)).map((file) => `${title}: ${file}`)),
  ).toEqual([]);
});

/** What this speaker is to cover. */
const wanted = [
  [4271, 4760, 2545, 6793, 5492, 9072, 2918, 7313, 4456, 7911, 7606, 8654, 9687, 4486, 8203, 9003, 6286, 7607, 6608],
  [4724, 8538, 9494, 1997, 8092, 4360, 5668, 8326, 9234, 8212, 5082, 2385, 8950, 5880, 5881, 5882, 5883],
].flatMap((numbers) => numbers.map(String));

test('every RFC that is to be covered has a chapter', () => {
  expect(wanted.filter((number) => !chapters.has(number))).toEqual([]);
});

test('every RFC that an opener in bgp/ says it implements has a chapter', () => {
  const implemented = readdirSync(join(top, 'bgp'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const opener = /^\/\*\*[\s\S]*?\*\//.exec(readFileSync(join(top, 'bgp', file), 'utf8'))?.[0] ?? '';
      const says = /Implements:([\s\S]*?)(?:\* (?:Leaves out|Holds):|\*\/)/.exec(opener)?.[1] ?? '';
      return [...says.matchAll(/RFC (\d+)/g)].map(([, number]) => number);
    });
  expect([...new Set(implemented)].filter((number) => !chapters.has(number))).toEqual([]);
});
