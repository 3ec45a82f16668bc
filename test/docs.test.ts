/** What the pages lead to is there: links between them, and the files of the repository that they name. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

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
