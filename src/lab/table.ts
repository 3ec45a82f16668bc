/** Columns of text, for terminals. */

import { stripVTControlCharacters } from 'node:util';

/** @returns lines, each column as wide as its widest cell; cells may be coloured. */
export function toColumns(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, visibleWidth(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] + gap)))
      .join('')
      .trimEnd(),
  );
}

/** A square: from (rows) to (columns). Machines go by their short names where those are unambiguous: `web-1` for `shop/web-1`. */
export function toMatrix(names: readonly string[], cell: (from: string, to: string) => string): string[] {
  const short = new Map(names.map((name) => [name, name.slice(name.indexOf('/') + 1)]));
  const label = new Set(short.values()).size === names.length ? (name: string) => short.get(name) ?? name : String;
  const header = ['from \\ to', ...names.map(label)];
  return toColumns([
    header,
    ...names.map((from) => [label(from), ...names.map((to) => (from === to ? '·' : cell(from, to)))]),
  ]);
}

export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - visibleWidth(text)));
}

/** Characters on the screen: colour codes take none. All the lab prints is one column a character. */
export function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
