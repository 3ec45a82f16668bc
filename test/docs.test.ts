/** The pages are true: links between them lead somewhere, files, scripts and flags that they name exist, manifests are valid. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { usageText } from '../src/cli/usage.ts';
import { labUsage } from '../src/lab/arguments.ts';
import { validateManifest } from '../src/resources/resource.ts';

const top = fileURLToPath(new URL('..', import.meta.url));
const pages = [
  'README.md',
  ...readdirSync(join(top, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];
const textOf = (page: string) => readFileSync(join(top, page), 'utf8');

/** `a/{b,c}.ts` → a/b.ts, a/c.ts */
function expand(path: string): string[] {
  const found = /^(.*)\{([^}]*)\}(.*)$/.exec(path);
  return found === null ? [path] : found[2].split(',').flatMap((part) => expand(found[1] + part + found[3]));
}

test('links between pages lead to a file', () => {
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
      .map(([, target]) => target)
      .filter((target) => !existsSync(join(top, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test('files of the sources and the tests that a page names are there', () => {
  // architecture.md is a blueprint: it names what is to come, too.
  const asBuilt = pages.filter((page) => page !== 'docs/architecture.md');
  const missing = asBuilt.flatMap((page) =>
    [...textOf(page).matchAll(/`((?:bench|bgp|dataplane|deploy|scripts|src|test)\/[^`\s:]+)(?::\S+)?`/g)]
      .flatMap(([, path]) => expand(path))
      .filter((path) => !/[*…]/.test(path) && !existsSync(join(top, path)))
      .map((path) => `${page}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test('links into a page lead to a heading of it', () => {
  const headings = (page: string): string[] =>
    [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchor(text));
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)]
      .filter(([, path, target]) => !headings(path === '' ? page : join(dirname(page), path)).includes(target))
      .map(([link]) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('each decision has a number of its own', () => {
  const numbers = pages.map((page) => /^docs\/adr\/(\d{4})-/.exec(page)?.[1]).filter((number) => number !== undefined);
  expect(numbers.toSorted()).toEqual([...new Set(numbers)].toSorted());
});

test('npm scripts that a page names exist', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const missing = pages.flatMap((page) =>
    [...textOf(page).matchAll(/npm run ([\w:]+)/g)]
      .map(([, name]) => name)
      .filter((name) => !(name in scripts))
      .map((name) => `${page}: ${name}`),
  );
  expect(missing).toEqual([]);
});

test('flags of our commands that a page shows exist', () => {
  const known = `${usageText}${labUsage} --help`;
  const unknown = pages.flatMap((page) =>
    commandsIn(textOf(page)).flatMap((command) =>
      [...command.matchAll(/(?<=\s\[?)--[a-z][a-z-]*/g)]
        .filter(([flag]) => !new RegExp(`${flag}\\b`).test(known))
        .map(([flag]) => `${page}: ${flag} in ${command}`),
    ),
  );
  expect(unknown).toEqual([]);
});

test('manifests that a page shows are valid', () => {
  const manifests = pages.flatMap((page) => manifestsIn(textOf(page)).map((manifest) => ({ page, manifest })));
  const problems = manifests.flatMap(({ page, manifest }) => {
    const validation = validateManifest(manifest);
    // What an agent writes is read by nobody of ours.
    const written = validation.kind === 'notUsed' && validation.identity.kind === 'NodeNetworkStatus';
    return validation.kind === 'valid' || written ? [] : [{ page, manifest, validation }];
  });
  expect(problems).toEqual([]);
  expect(manifests.length).toBeGreaterThan(10);
});

/** Blocks of code: fenced, or indented by four. */
function codeIn(text: string): string[] {
  const fenced = [...text.matchAll(/^```.*\n([^]*?)^```/gm)].map(([, code]) => code);
  const indented = [...text.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([code]) => code.replaceAll(/^ {4}/gm, ''));
  return [...fenced, ...indented];
}

/** What a shell would put in is put in. */
function manifestsIn(text: string): unknown[] {
  return codeIn(text)
    .flatMap((code) => [...code.matchAll(/<<END\n([^]*?)\nEND/g)].map(([, manifest]) => manifest).concat(code))
    .filter((code) => code.startsWith('apiVersion: '))
    .flatMap((code) => parseAllDocuments(code.replaceAll(/\$\([^)]*\)/g, 'put-in')))
    .map((document) => document.toJS() as unknown);
}

/** Lines of code, and code in a sentence, that run our program; without comments and what goes into a pipe. */
function commandsIn(text: string): string[] {
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  const lines = [...codeIn(text).flatMap((code) => code.split('\n')), ...inline];
  return lines.flatMap((line) => [...line.matchAll(/(?:^|\| )godwit [^|#]*/g)].map(([command]) => command));
}
